"""Numbers and dates the events of a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from corun.v1.orchestrator_service_pb2 import CompareStrategiesResponse, ExecuteWithStrategyResponse

Event = TypeVar("Event", ExecuteWithStrategyResponse, CompareStrategiesResponse)


async def numbered(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The same events, with `sequence` from 1 without gaps and the present time. Closes `events`."""
    sequence = 0
    async with aclosing(events):
        async for event in events:
            sequence += 1
            event.sequence = sequence
            event.event_time.GetCurrentTime()
            yield event
