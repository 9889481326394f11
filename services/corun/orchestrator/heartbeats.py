"""Signs of life in streams where nothing happens, for proxies that cut what is idle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from corun.orchestrator.live import Event
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2


async def until_done(work: asyncio.Future[Any], *, interval_seconds: float) -> AsyncGenerator[None, None]:
    """None again and again until `work` is done. Closing it cancels the work and waits for its end."""
    try:
        while not (await asyncio.wait([work], timeout=interval_seconds))[0]:
            yield None
    finally:
        if not work.done():
            work.cancel()
            await asyncio.wait([work])


async def with_heartbeats(
    events: AsyncGenerator[Event | None, None], event_class: type[Event], *, after: int = 0
) -> AsyncGenerator[Event, None]:
    """The same events, which come after a sequence, with a heartbeat for every None. Closes `events`."""
    begin, sequence = time.monotonic(), after
    async with aclosing(events):
        async for event in events:
            if event is not None:
                sequence = event.sequence
                yield event
            else:
                yield _heartbeat(event_class, sequence, time.monotonic() - begin)


def _heartbeat(event_class: type[Event], sequence: int, elapsed_seconds: float) -> Event:
    heartbeat = orchestrator_pb2.Heartbeat()
    heartbeat.elapsed.FromMilliseconds(int(elapsed_seconds * 1000))
    event = event_class(sequence=sequence, heartbeat=heartbeat)
    event.event_time.GetCurrentTime()
    return event
