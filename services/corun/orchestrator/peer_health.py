"""Which of the three services answer, and telling so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

import structlog

from corun.orchestrator.peers import Link

_log = structlog.get_logger(__name__)

_RETURN_INTERVAL_SECONDS = 0.2


class PeerHealth:
    """Asks each service for its health again and again. `run` must be running."""

    def __init__(self, links: Sequence[Link], *, interval_seconds: float) -> None:
        self._links = links
        self._interval_seconds = interval_seconds
        self._states: dict[str, bool] = {}
        self._changed = asyncio.Event()
        self._on_return: dict[str, list[Callable[[], None]]] = {}

    def on_return(self, service: str, call: Callable[[], None]) -> None:
        """Calls `call` whenever the service is found to answer after it had not, and when it first answers."""
        self._on_return.setdefault(service, []).append(call)

    async def wait_until_up(self, service: str, *, within: float) -> bool:
        """Asks one service often until it answers; False when it does not within some seconds."""
        link = next(each for each in self._links if each.service == service)
        try:
            async with asyncio.timeout(within):
                while True:
                    if await link.answers(within=min(within, self._interval_seconds)):
                        return True
                    await asyncio.sleep(_RETURN_INTERVAL_SECONDS)
        except TimeoutError:
            return False

    async def parts(self) -> AsyncGenerator[Mapping[str, bool], None]:
        """Whether each service answers, by its name with underscores: at once, then after every change."""
        while True:
            changed = self._changed
            yield {service.replace(" ", "_"): is_up for service, is_up in self._states.items()}
            await changed.wait()

    async def run(self) -> None:
        """Asks until it is cancelled."""
        while True:
            answers = await asyncio.gather(*(each.answers(within=self._interval_seconds) for each in self._links))
            for link, is_up in zip(self._links, answers, strict=True):
                self._note(link.service, is_up=is_up)
            await asyncio.sleep(self._interval_seconds)

    def tell(self, part: str, *, in_order: bool) -> None:
        """Tells of a part of the orchestrator itself beside the services."""
        if self._states.get(part) is not in_order:
            self._states[part] = in_order
            self._tell_changed()

    def _tell_changed(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _note(self, service: str, *, is_up: bool) -> None:
        before = self._states.get(service)
        if before is is_up:
            return
        self._states[service] = is_up
        if is_up:
            for call in self._on_return.get(service, []):
                call()
        elif before:  # services that start together do not all answer at once
            _log.warning("a service no longer answers", service=service)
        self._tell_changed()
