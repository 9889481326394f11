"""All executions and comparisons: those that are under way, and those that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic
from uuid import uuid4

import structlog

from corun.errors import CorunError, ExecutionInterrupted, ExecutionNotFound, InvalidField, RequestConflict
from corun.orchestrator.admission import Admitted
from corun.orchestrator.failures import failure_status
from corun.orchestrator.kinds import Kind, kind_numbered
from corun.orchestrator.live import Event, LiveExecution
from corun.orchestrator.store.executions import ExecutionLog, Row
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2

_log = structlog.get_logger(__name__)

_EVENTS_AT_ONCE = 200

AnyLive = LiveExecution[Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an execution comes from.

    Attributes:
        admitted: Its client, counted until it has ended.
        request_id: As given; "" for none.
        digest: Of the request, to tell a repeat from another one.
        workload: Models.
        platform: Platform.
        reattach_window: Seconds that it goes on unwatched.
        deadline: Of the loop's clock; None for none.
    """

    admitted: Admitted
    request_id: str
    digest: bytes
    workload: core_pb2.Workload
    platform: core_pb2.Platform.ValueType
    reattach_window: float
    deadline: float | None


@dataclass(frozen=True, slots=True)
class Launch(Generic[Event]):
    """What is started: the first event of an id, and the work that gives the last one."""

    accepted: Callable[[str], Event]
    work: Callable[[LiveExecution[Event]], Awaitable[Event]]


class Executions:
    """Starts, finds, watches and stops executions; those that were under way when the last orchestrator ended are ended
    by `recover`."""

    def __init__(self, log: ExecutionLog, *, heartbeat_seconds: float) -> None:
        self._log = log
        self._heartbeat_seconds = heartbeat_seconds
        self._live: dict[str, AnyLive] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def recover(self) -> int:
        """Ends what is kept as running: completed where it was measured, else interrupted; gives how many."""
        unfinished = await self._log.unfinished()
        for row, outcome in unfinished:
            kind = kind_numbered(row.kind)
            if outcome is not None:
                terminal, state = kind.event(outcome), orchestrator_pb2.EXECUTION_STATE_COMPLETED
            else:
                status = failure_status(ExecutionInterrupted(row.execution_id), subject=row.execution_id)
                terminal = kind.event_class(failed=status)
                state = orchestrator_pb2.EXECUTION_STATE_INTERRUPTED
            terminal.sequence = row.last_sequence + 1
            terminal.event_time.GetCurrentTime()
            await self._log.end(
                row.number,
                state=state,
                sequence=terminal.sequence,
                payload=terminal.SerializeToString(),
                durable=True,
            )
        if unfinished:
            _log.warning("executions were under way when the last orchestrator ended", count=len(unfinished))
        return len(unfinished)

    def start(self, kind: Kind[Event], origin: Origin, launch: Launch[Event]) -> LiveExecution[Event]:
        """Starts an execution; its `accepted` tells when it is on disk."""
        execution_id = str(uuid4())

        async def begin(first: bytes) -> Row:
            return await self._log.begin(
                execution_id=execution_id,
                kind=kind.number,
                request_id=origin.request_id,
                digest=origin.digest,
                client_id=origin.admitted.client,
                workload=origin.workload.SerializeToString(),
                platform=origin.platform,
                first_event=first,
            )

        live = LiveExecution(
            execution_id,
            kind.event_class,
            self._log,
            begin=begin,
            reattach_window=origin.reattach_window,
            deadline=origin.deadline,
        )
        self._live[execution_id] = live
        origin.admitted.hold()
        task = asyncio.create_task(live.run(launch.accepted(execution_id), lambda: launch.work(live)))
        self._tasks.add(task)

        def ended(_task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._live.pop(execution_id, None)
            origin.admitted.release()

        task.add_done_callback(ended)
        if self._closing:
            live.stop(ExecutionInterrupted(execution_id))
        return live

    async def repeated(self, request_id: str, digest: bytes, kind: Kind[Any]) -> str:
        """Id of the execution that a request_id became; "" where it is new.

        Raises:
            RequestConflict: it became something else.
        """
        row = await self._log.find_request(request_id) if request_id else None
        if row is None:
            return ""
        if row.digest != digest or row.kind != kind.number:
            raise RequestConflict(request_id, row.execution_id)
        return row.execution_id

    async def kind_of(self, execution_id: str) -> Kind[Any]:
        """What an execution is.

        Raises:
            ExecutionNotFound: there is none of this id.
        """
        live = self._live.get(execution_id)
        return kind_numbered((await (asyncio.shield(live.accepted) if live else self._kept(execution_id))).kind)

    async def watch(self, execution_id: str, *, after: int = 0) -> AsyncGenerator[Any, None]:
        """Events after a sequence, to the terminal one; None whenever nothing happened for a while.

        Raises:
            ExecutionNotFound: there is none of this id.
            InvalidField: `after` is beyond its last event.
        """
        live = self._live.get(execution_id)
        if live is not None:
            await asyncio.shield(live.accepted)
            with live.watching():
                async with aclosing(live.events(after=after, heartbeat_seconds=self._heartbeat_seconds)) as events:
                    async for event in events:
                        yield event
            return
        row = await self._kept(execution_id)
        if after > row.last_sequence:
            raise InvalidField("after_sequence", f"the last event is {row.last_sequence}; received {after}")
        kind = kind_numbered(row.kind)
        while payloads := await self._log.events(row.number, after=after, limit=_EVENTS_AT_ONCE):
            for payload in payloads:
                yield kind.event(payload)
            after += len(payloads)

    async def cancel(self, execution_id: str, cause: CorunError) -> Row:
        """Stops an execution, waits for its end and gives how it ended.

        Raises:
            ExecutionNotFound: there is none of this id.
        """
        live = self._live.get(execution_id)
        if live is not None:
            live.stop(cause)
            await live.ended.wait()
        return await self._kept(execution_id)

    def tell_refined(self, refined: orchestrator_pb2.ModelRefined) -> None:
        """Tells of a refinement in every stream on its platform that has not come to its end."""
        for live in list(self._live.values()):
            live.tell_refined(refined)

    async def newest(self, *, state: int, before: int, limit: int) -> list[Row]:
        """The newest that are kept, with a number under `before`; `state` 0 is any."""
        return await self._log.newest(state=state, before=before, limit=limit)

    async def close(self) -> None:
        """Stops all that are under way, and whatever is started later, and waits for their ends; they are
        interrupted."""
        self._closing = True
        for execution_id, live in list(self._live.items()):
            live.stop(ExecutionInterrupted(execution_id))
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _kept(self, execution_id: str) -> Row:
        row = await self._log.find(execution_id)
        if row is None:
            raise ExecutionNotFound(execution_id)
        return row
