"""One execution or comparison that is under way: what happened so far, who watches, and how it is stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from corun.errors import (
    CorunError,
    ExecutionCancelled,
    ExecutionDeadline,
    ExecutionInterrupted,
    InvalidField,
    StoreFailed,
)
from corun.orchestrator.failures import failure_status
from corun.orchestrator.store.executions import ExecutionLog, Row
from corun.orchestrator.store.outbox import OutboxEntry
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1.orchestrator_service_pb2 import CompareStrategiesResponse, ExecuteWithStrategyResponse

_log = structlog.get_logger(__name__)

Event = TypeVar("Event", ExecuteWithStrategyResponse, CompareStrategiesResponse)

_STOPPED = (ExecutionCancelled, ExecutionDeadline)
_DEADLINE_SLACK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Settlement:
    """What is kept together with the end, on which platform it counts, and who is told where it is in the outbox."""

    entries: Sequence[OutboxEntry]
    counted_on: str
    kept: Callable[[list[int]], object]


class LiveExecution(Generic[Event]):
    """Numbers and keeps events, and shows them to whoever watches once they are kept.

    It goes on as long as somebody watches, and `reattach_window` seconds longer; what it is told to do is cancelled
    then. Whatever happens, exactly one terminal event ends it.

    Args:
        execution_id: Its id.
        event_class: The kind of its events.
        log: Where they are kept.
        begin: Puts it on disk with its first event.
        reattach_window: Seconds.
        deadline: Of the loop's clock; None for none.
    """

    def __init__(
        self,
        execution_id: str,
        event_class: type[Event],
        log: ExecutionLog,
        *,
        begin: Callable[[bytes], Awaitable[Row]],
        reattach_window: float,
        deadline: float | None,
    ) -> None:
        self.execution_id = execution_id
        self.accepted: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.state = orchestrator_pb2.EXECUTION_STATE_RUNNING
        self.last_sequence = 0
        self._event_class: type[Event] = event_class
        self._log = log
        self._begin = begin
        self._window = reattach_window
        self._deadline = deadline
        self._events: list[Event] = []
        self._changed = asyncio.Event()
        self._watcher_count = 0
        self._abandoned: asyncio.TimerHandle | None = None
        self._cause: CorunError | None = None
        self._row: Row | None = None
        self._work: asyncio.Task[Event] | None = None
        self._outcome: Event | None = None
        self._settlement: _Settlement | None = None
        self._log_failed = False
        self._ending = False

    async def run(self, first: Event, work: Callable[[], Awaitable[Event]]) -> None:
        """Keeps the first event, does the work and ends with its event, or with `failed`. Not to be cancelled: `stop`
        is there for that. The work must wait for `accepted` before it does anything that is to be accounted for."""
        self._number(first)
        # Looking ahead needs no disk: the work has begun when the first event is kept, and waits for that itself.
        self._work = asyncio.ensure_future(self._bounded(work))
        if self._cause is not None:  # stopped before it began
            self._work.cancel()
        try:
            self._row = await self._begin(first.SerializeToString())
        except CorunError as refusal:
            self.accepted.set_exception(refusal)
            self.accepted.exception()  # whoever asked may be gone
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
            self.ended.set()
            return
        self._show()
        for event in self._events[1:]:
            self._keep(event, self._row)
        self.accepted.set_result(self._row)
        await asyncio.wait([self._work])
        await self._end(*self._result(self._work))

    def emit(self, event: Event) -> None:
        """Numbers an event and keeps it; it is shown once it is on disk."""
        self._number(event)
        if self._row is not None:
            self._keep(event, self._row)

    def _keep(self, event: Event, row: Row) -> None:
        kept = self._log.append(row.number, event.sequence, event.SerializeToString())
        kept.add_done_callback(self._note_kept)

    def tell_refined(self, refined: orchestrator_pb2.ModelRefined) -> None:
        """Emits that the predictor of its platform was refined, unless it is not yet on disk or comes to its end."""
        platform = refined.refinement.platform
        if self._row is not None and self._row.platform == platform and not self._ending:
            self.emit(self._event_class(refined=refined))

    async def settle(self, outcome: Event, entries: Sequence[OutboxEntry], *, counted_on: str = "") -> list[int]:
        """Keeps how it will end and what the validator is to be told, all or nothing. From now on it ends with
        `outcome` whatever happens, unless the work gives a newer one. Gives the positions of the entries.

        Raises:
            StoreFailed: when the disk refuses; nothing is kept then.
        """
        assert self._row is not None
        positions = await self._log.settle(
            self._row.number, outcome=outcome.SerializeToString(), entries=entries, platform=counted_on
        )
        self._outcome = outcome
        return positions

    def settle_with_end(
        self, entries: Sequence[OutboxEntry], *, counted_on: str, kept: Callable[[list[int]], object]
    ) -> None:
        """The same, all or nothing with the end that the work is just about to give; `kept` is told the positions."""
        self._settlement = _Settlement(entries, counted_on, kept)

    def stop(self, cause: CorunError) -> None:
        """Cancels the work; `failed` will carry the cause. Only the first call counts."""
        if self._cause is None and not self.ended.is_set():
            self._cause = cause
            if self._work is not None:
                self._work.cancel()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While the context is open somebody watches."""
        self._watcher_count += 1
        if self._abandoned is not None:
            self._abandoned.cancel()
            self._abandoned = None
        try:
            yield
        finally:
            self._watcher_count -= 1
            if self._watcher_count == 0 and not self.ended.is_set():
                self._note_abandoned()

    async def events(self, *, after: int, heartbeat_seconds: float) -> AsyncGenerator[Event | None, None]:
        """Events after a sequence, to the terminal one; None whenever nothing happened for `heartbeat_seconds`.

        Raises:
            InvalidField: `after` is beyond the last event.
        """
        if after > self.last_sequence:
            raise InvalidField("after_sequence", f"the last event is {self.last_sequence}; received {after}")
        while True:
            while after < self.last_sequence:
                after += 1
                yield self._events[after - 1]
            if self.ended.is_set():
                return
            changed = self._changed
            try:
                async with asyncio.timeout(heartbeat_seconds):
                    await changed.wait()
            except TimeoutError:
                yield None

    async def _bounded(self, work: Callable[[], Awaitable[Event]]) -> Event:
        async with asyncio.timeout_at(self._deadline) as limit:
            try:
                return await work()
            except TimeoutError as error:
                # Not the deadline's: that comes as a cancellation.
                raise RuntimeError("a wait inside the work timed out unhandled") from error
            except asyncio.CancelledError:
                if limit.when() is not None and asyncio.get_running_loop().time() >= (limit.when() or 0):
                    self._cause = self._cause or ExecutionDeadline(self.execution_id)
                raise

    def _result(self, work: asyncio.Task[Event]) -> tuple[Event | None, Exception | None]:
        if not work.cancelled() and work.exception() is None:
            return work.result(), None
        if self._outcome is not None:
            return self._outcome, None
        error = None if work.cancelled() else work.exception()
        if isinstance(error, Exception) and not isinstance(error, TimeoutError):
            return None, error
        return None, self._cause or ExecutionInterrupted(self.execution_id)

    async def _end(self, terminal: Event | None, error: Exception | None) -> None:
        assert self._row is not None
        self._ending = True
        states = orchestrator_pb2.ExecutionState
        state = states.EXECUTION_STATE_COMPLETED
        if terminal is None:
            status = failure_status(error or ExecutionInterrupted(self.execution_id), subject=self.execution_id)
            terminal = self._event_class(failed=status)
            state = states.EXECUTION_STATE_FAILED
            if isinstance(error, _STOPPED):
                state = states.EXECUTION_STATE_CANCELLED
            elif isinstance(error, ExecutionInterrupted):
                state = states.EXECUTION_STATE_INTERRUPTED
        self._number(terminal)
        try:
            if not (self._settlement and await self._keep_settled(terminal, state, self._settlement)):
                await self._keep_end(terminal, state)
        except StoreFailed as failure:
            _log.error("the end of an execution is not kept", execution_id=self.execution_id, cause=failure.message)
        self.state = state
        if self._abandoned is not None:
            self._abandoned.cancel()
        self.last_sequence = terminal.sequence - 1
        self.ended.set()
        self._show()

    async def _keep_settled(
        self, terminal: Event, state: orchestrator_pb2.ExecutionState.ValueType, settlement: _Settlement
    ) -> bool:
        try:
            positions = await self._keep_end(terminal, state, settlement.entries, settlement.counted_on)
        except StoreFailed as failure:
            terminal.completed.record_queued = False
            terminal.completed.warnings.append(f"not recorded: {failure.message}")
            return False
        settlement.kept(positions)
        return True

    async def _keep_end(
        self,
        terminal: Event,
        state: orchestrator_pb2.ExecutionState.ValueType,
        entries: Sequence[OutboxEntry] = (),
        counted_on: str = "",
    ) -> list[int]:
        assert self._row is not None
        return await self._log.end(
            self._row.number,
            state=state,
            sequence=terminal.sequence,
            payload=terminal.SerializeToString(),
            # What the validator has not taken exists nowhere else.
            durable=terminal.HasField("completed") and bool(terminal.completed.degraded),
            entries=entries,
            platform=counted_on,
        )

    def _number(self, event: Event) -> None:
        event.sequence = len(self._events) + 1
        event.event_time.FromNanoseconds(time.time_ns())
        self._events.append(event)

    def _note_kept(self, kept: asyncio.Future[None]) -> None:
        if not kept.cancelled() and kept.exception() is not None and not self._log_failed:
            self._log_failed = True
            _log.error("events are not kept", execution_id=self.execution_id, cause=str(kept.exception()))
        self._show()

    def _show(self) -> None:
        """One more event may be seen."""
        self.last_sequence += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _note_abandoned(self) -> None:
        loop = asyncio.get_running_loop()
        if self._deadline is not None and loop.time() > self._deadline - _DEADLINE_SLACK_SECONDS:
            self.stop(ExecutionDeadline(self.execution_id))
            return
        left = ExecutionCancelled(self.execution_id, "nobody watches it any longer")
        if self._window > 0:
            self._abandoned = loop.call_later(self._window, self.stop, left)
        else:
            self.stop(left)
