"""Teaching the predictor what executions measured, beside them: nobody waits for what only the next ones gain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from corun.orchestrator.afterwards import Measured, learn
from corun.orchestrator.peers import Peers
from corun.orchestrator.preparation import Preparation

_log = structlog.get_logger(__name__)

# A predictor that learns more slowly than is measured, or not at all now, costs what is beyond these: the validator's
# record has it still, and a refinement learns from there.
_MOST_WAITING = 256
_GATHERED_SECONDS = 0.1
_NOT_LEARNT = "executions are not learnt"


@dataclass(frozen=True, slots=True)
class Lesson:
    """One execution: how it was prepared, and what it measured."""

    execution_id: str
    preparation: Preparation
    measured: Measured


class Lessons:
    """Gives lessons a moment after they came, those of that moment together. `run` must be running.

    Learning takes the predictor some milliseconds however much it is told, and with all services in one process it
    takes them from whatever runs then: so an execution ends first, and what comes in close succession is learnt at
    once. What is not learnt is logged, with the executions' ids and the predictor's reason.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._waiting: asyncio.Queue[Lesson] = asyncio.Queue(_MOST_WAITING)
        self._ending = asyncio.Event()

    def add(self, lesson: Lesson) -> None:
        """Takes a lesson, unless too many wait."""
        try:
            self._waiting.put_nowait(lesson)
        except asyncio.QueueFull:
            _note([lesson], f"{_MOST_WAITING} executions wait already for the predictor to learn them")

    async def run(self) -> None:
        """Teaches until it is cancelled."""
        while True:
            lessons = await self._next()
            try:
                for alike in _alike(lessons):
                    await self._give(alike)
            except Exception:  # a defect in one lesson must not end all teaching
                _log.exception(_NOT_LEARNT, execution_ids=[each.execution_id for each in lessons])
            finally:
                for _ in lessons:
                    self._waiting.task_done()

    async def settle(self, *, within_seconds: float) -> None:
        """Waits until all that was added is taught, but not longer than that. Nothing is added afterwards."""
        self._ending.set()
        try:
            async with asyncio.timeout(within_seconds):
                await self._waiting.join()
        except TimeoutError:
            _log.warning("executions are not learnt: the service ends", count=self._waiting.qsize())

    async def _next(self) -> list[Lesson]:
        lessons = [await self._waiting.get()]
        with suppress(TimeoutError):
            async with asyncio.timeout(_GATHERED_SECONDS):
                await self._ending.wait()
        while not self._waiting.empty():
            lessons.append(self._waiting.get_nowait())
        return lessons

    async def _give(self, lessons: Sequence[Lesson]) -> None:
        for reason in await learn(self._peers, lessons[0].preparation, [each.measured for each in lessons]):
            _note(lessons, reason)


def _alike(lessons: Sequence[Lesson]) -> list[list[Lesson]]:
    """Lessons by what ran and where, in their order: those of one kind are one request to the predictor."""
    kinds: dict[tuple[bytes, bytes], list[Lesson]] = {}
    for each in lessons:
        kind = each.preparation.workload.SerializeToString(), each.preparation.environment.SerializeToString()
        kinds.setdefault(kind, []).append(each)
    return list(kinds.values())


def _note(lessons: Sequence[Lesson], reason: str) -> None:
    _log.warning(_NOT_LEARNT, execution_ids=[each.execution_id for each in lessons], reason=reason)
