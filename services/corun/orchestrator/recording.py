"""Puts what was measured on record: kept here first, then told to the validator."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from corun.errors import CorunError, StoreFailed
from corun.orchestrator.delivery import Delivery, Postponed, entry_of
from corun.orchestrator.live import Event, LiveExecution
from corun.orchestrator.uncut import uncut
from corun.plumbing.status import RemoteError

_Answer = TypeVar("_Answer", bound=Message)


class Recording(Generic[Event]):
    """The records of one execution, and how the validator took them.

    Attributes:
        warnings: What it did not take, in words.
        postponed: True when something is kept for it that it does not take now.
    """

    def __init__(self, live: LiveExecution[Event], delivery: Delivery, *, wait_seconds: float, max_bytes: int) -> None:
        self._live: LiveExecution[Event] = live
        self._delivery = delivery
        self._wait_seconds = wait_seconds
        self._max_bytes = max_bytes
        self.warnings: list[str] = []
        self.postponed = False

    async def keep(self, request: Message, *, what: str) -> bool:
        """Keeps a record and lets it be delivered, without waiting; False when it could not be kept."""
        if not self._has_room(what):
            return False
        try:
            await self._delivery.post(request)
        except StoreFailed as error:
            self._warn(f"{what}: {error.message}")
            return False
        return True

    async def settle(
        self, outcome: Event, requests: Sequence[Message], *, what: str, counted_on: str = ""
    ) -> list[asyncio.Future[Any]]:
        """Keeps the outcome and the records, all or nothing, and lets them be delivered; gives the answers to come,
        none where they could not be kept. What is kept counts and is delivered, should it be cancelled meanwhile."""
        entries = [entry_of(request) for request in requests] if requests and self._has_room(what) else []
        outcome.completed.record_queued = bool(entries)

        async def keep_and_send() -> list[asyncio.Future[Any]]:
            positions = await self._live.settle(outcome, entries, counted_on=counted_on)
            return self._delivery.send(positions, entries, answers_needed=True)

        try:
            return await uncut(keep_and_send())
        except StoreFailed as error:
            self._warn(f"{what}: {error.message}")
            return []

    def settle_with_end(self, request: Message, *, what: str, counted_on: str) -> bool:
        """Lets a record be kept together with the end, which comes next, and be delivered then; False where it is not
        to be kept."""
        entries = [entry_of(request)] if self._has_room(what) else []
        self._live.settle_with_end(
            entries, counted_on=counted_on, kept=lambda positions: self._delivery.send(positions, entries)
        )
        return bool(entries)

    async def answer(self, coming: asyncio.Future[_Answer], *, otherwise: str) -> _Answer | None:
        """What the validator says to a record; None, and a warning, where it does not take it now or at all."""
        self._delivery.hurry()
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await asyncio.shield(coming)
        except TimeoutError:
            self._postpone(otherwise, f"no answer within {self._wait_seconds:g} s")
        except Postponed as error:
            self._postpone(otherwise, error.cause)
        except (CorunError, RemoteError) as error:
            self._warn(f"{otherwise}: {error.message}")
        return None

    def _postpone(self, otherwise: str, cause: str) -> None:
        self.postponed = True
        self._warn(f"{otherwise} yet, kept for when the validator takes it: {cause}")

    def _has_room(self, what: str) -> bool:
        if self._delivery.waiting_bytes <= self._max_bytes:
            return True
        self._warn(f"{what}: records for the validator wait already in {self._max_bytes:,} bytes; is it running?")
        return False

    def _warn(self, words: str) -> None:
        if words not in self.warnings:
            self.warnings.append(words)
