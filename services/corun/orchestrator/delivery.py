"""Tells the validator what was measured: in order, each thing once, and later where it does not answer now."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog
from google.protobuf.message import Message

from corun.errors import CorunError, PeerUnavailable
from corun.orchestrator.peers import Peers
from corun.orchestrator.store.outbox import Outbox, OutboxEntry
from corun.orchestrator.uncut import uncut
from corun.plumbing.status import RemoteError
from corun.v1 import validator_service_pb2 as validator_pb2

_log = structlog.get_logger(__name__)

_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 10.0
# With all services in one process the validator takes its time from whatever runs then: so an execution that does not
# wait for it ends first.
_GATHERED_SECONDS = 0.02
# The validator puts a batch on record in one transaction; one by one, executions may come faster than it takes them.
_LARGEST_BATCH, _LARGEST_BATCH_BYTES = 256, 1024**2

# Refusals that will not change: trying again would hold up everything behind.
_FINAL = frozenset({"INVALID_ARGUMENT", "ALREADY_EXISTS", "FAILED_PRECONDITION", "NOT_FOUND", "OUT_OF_RANGE"})
_MAX_ATTEMPTS_AT_A_DEFECT = 5

_Call: TypeAlias = Callable[[Any], Awaitable[Message]]


class Postponed(CorunError):
    """The validator does not take it now; it is kept and will be delivered. `cause` says why."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(slots=True, eq=False)
class _Parcel:
    position: int
    entry: OutboxEntry
    answer: asyncio.Future[Any]
    alone: bool
    attempt_count: int = 0


def entry_of(request: Message) -> OutboxEntry:
    """A request to the validator, to be kept."""
    return OutboxEntry(type(request).__name__, request.SerializeToString())


class Delivery:
    """Delivers what is in the outbox, a moment after it came. `run` must be running; `resume` ends a pause early, and
    `hurry` the moment.

    An entry leaves the outbox when the validator has taken it, or has refused it for good. Should the orchestrator end
    between the two, it is sent again: the validator knows it by its id. Executions whose answers nobody needs go in
    batches; one that is refused in company is sent once more alone, so that the refusal is its own.
    """

    def __init__(self, peers: Peers, outbox: Outbox) -> None:
        self._peers = peers
        self._outbox = outbox
        self._calls: Mapping[str, tuple[type[Message], _Call]] = {
            each.__name__: (each, call)
            for each, call in (
                (validator_pb2.RecordExecutionRequest, peers.record_execution),
                (validator_pb2.ValidatePredictionRequest, peers.validate_prediction),
                (validator_pb2.RecordOptimizationImpactRequest, peers.record_impact),
                (validator_pb2.RecordModelRefinementRequest, peers.record_refinement),
            )
        }
        self._batched = {
            validator_pb2.RecordExecutionRequest.__name__: False,
            validator_pb2.ValidatePredictionRequest.__name__: True,
        }
        self._parcels: deque[_Parcel] = deque()
        self._arrived = asyncio.Event()
        self._resumed = asyncio.Event()
        self._hurried = asyncio.Event()
        self._silence: Postponed | None = None
        self._on_validated: list[Callable[[validator_pb2.ExecutionRecord], None]] = []
        self.waiting_bytes = 0

    async def recover(self) -> int:
        """Takes up what an earlier orchestrator left; gives how much."""
        left = await self._outbox.waiting()
        self.send([position for position, _ in left], [entry for _, entry in left])
        return len(left)

    async def post(self, request: Message) -> asyncio.Future[Any]:
        """Keeps a request in the outbox and takes it, even where the caller is cancelled meanwhile; the future is as
        those of `send`, its answer not needed.

        Raises:
            StoreFailed: when the disk refuses.
        """
        entry = entry_of(request)

        async def keep_and_send() -> asyncio.Future[Any]:
            position = await self._outbox.add(entry)
            (answer,) = self.send([position], [entry])
            return answer

        return await uncut(keep_and_send())

    def send(
        self, positions: Sequence[int], entries: Sequence[OutboxEntry], *, answers_needed: bool = False
    ) -> list[asyncio.Future[Any]]:
        """Takes entries that are in the outbox. The futures have the validator's answers, or its refusals, or Postponed
        as soon as it is known not to answer. An answer that is not needed may be one for many."""
        loop = asyncio.get_running_loop()
        answers = []
        for position, entry in zip(positions, entries, strict=True):
            parcel = _Parcel(position, entry, loop.create_future(), alone=answers_needed and self._silence is None)
            self._parcels.append(parcel)
            self.waiting_bytes += len(entry.payload)
            answers.append(parcel.answer)
            if self._silence is not None:
                _refuse(parcel, self._silence)
        self._arrived.set()
        return answers

    @property
    def is_prompt(self) -> bool:
        """Whether the validator is there and takes what comes, as far as is known at the moment."""
        return self._silence is None and self._peers.validator_is_connected

    def hurry(self) -> None:
        """Somebody waits: what has come is delivered at once."""
        self._hurried.set()

    async def settle(self, *, within_seconds: float) -> None:
        """Waits until the validator has taken what it takes now, but not longer than that."""
        self.hurry()
        if self._parcels:
            await asyncio.wait([parcel.answer for parcel in self._parcels], timeout=within_seconds)

    def on_validated(self, call: Callable[[validator_pb2.ExecutionRecord], None]) -> None:
        """Calls `call` with every execution that the validator has held against its prediction."""
        self._on_validated.append(call)

    def resume(self) -> None:
        """The validator answers again: what waits is tried at once."""
        self._resumed.set()

    async def run(self) -> None:
        """Delivers until it is cancelled."""
        pause = _SHORTEST_PAUSE_SECONDS
        while True:
            while not self._parcels:
                self._arrived.clear()
                self._hurried.clear()
                await self._arrived.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_GATHERED_SECONDS):
                        await self._hurried.wait()
            self._resumed.clear()
            if await self._deliver(self._next()):
                pause = _SHORTEST_PAUSE_SECONDS
                continue
            try:
                async with asyncio.timeout(pause):
                    await self._resumed.wait()
            except TimeoutError:
                pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)

    def _next(self) -> list[_Parcel]:
        """The oldest, and those behind it that may go with it."""
        first = self._parcels[0]
        if first.alone or first.entry.kind not in self._batched:
            return [first]
        batch, size = [first], len(first.entry.payload)
        for parcel in itertools.islice(self._parcels, 1, _LARGEST_BATCH):
            size += len(parcel.entry.payload)
            if parcel.alone or parcel.entry.kind != first.entry.kind or size > _LARGEST_BATCH_BYTES:
                break
            batch.append(parcel)
        return batch

    async def _deliver(self, parcels: Sequence[_Parcel]) -> bool:
        """Tells the validator; False where it does not take anything now."""
        kind = parcels[0].entry.kind
        message, _ = self._calls[kind]
        requests: list[Any] = [message.FromString(parcel.entry.payload) for parcel in parcels]
        answer: Message | PeerUnavailable | RemoteError
        try:
            answer, refused = await self._tell(kind, requests)
        except (PeerUnavailable, RemoteError) as error:
            for parcel in parcels:
                parcel.attempt_count += 1
            if not _is_final(error, parcels[0].attempt_count):
                self._postpone(error)
                return False
            answer, refused = error, set(range(len(parcels)))
        self._silence = None
        for index, (parcel, request) in enumerate(zip(parcels, requests, strict=True)):
            if index in refused and len(parcels) > 1:
                parcel.alone, parcel.attempt_count = True, 0
            else:
                self._finish(parcel, request, answer)
        return True

    async def _tell(self, kind: str, requests: Sequence[Any]) -> tuple[Message, set[int]]:
        """The answer, and which of several it refuses."""
        if len(requests) == 1:
            _, call = self._calls[kind]
            return await call(requests[0]), set()
        executions = [request.execution for request in requests]
        batch = validator_pb2.RecordExecutionsRequest(executions=executions, validate=self._batched[kind])
        answer = await self._peers.record_executions(batch)
        return answer, {each.index for each in answer.refused}

    def _finish(self, parcel: _Parcel, request: Message, answer: Message | PeerUnavailable | RemoteError) -> None:
        self._parcels.remove(parcel)
        self.waiting_bytes -= len(parcel.entry.payload)
        self._outbox.remove(parcel.position).add_done_callback(_note_removed)
        if not isinstance(answer, Message):
            _log.error("the validator refuses for good", kind=parcel.entry.kind, cause=answer.message)
            _refuse(parcel, answer)
            return
        if not parcel.answer.done():
            parcel.answer.set_result(answer)
        if isinstance(request, validator_pb2.ValidatePredictionRequest):
            for told in self._on_validated:
                told(request.execution)

    def _postpone(self, error: PeerUnavailable | RemoteError) -> None:
        if self._silence is None:
            _log.warning("the validator takes no records; they are kept", cause=error.message)
        self._silence = Postponed(error.message)
        for parcel in self._parcels:
            parcel.alone = False  # whoever needed its answer has this one
            _refuse(parcel, self._silence)


def _is_final(error: PeerUnavailable | RemoteError, attempt_count: int) -> bool:
    if isinstance(error, PeerUnavailable):
        return False
    return error.code in _FINAL or (error.reason == "INTERNAL" and attempt_count >= _MAX_ATTEMPTS_AT_A_DEFECT)


def _refuse(parcel: _Parcel, error: Exception) -> None:
    if not parcel.answer.done():
        parcel.answer.set_exception(error)
        parcel.answer.exception()  # whoever asked may be gone


def _note_removed(removed: asyncio.Future[None]) -> None:
    if not removed.cancelled() and removed.exception() is not None:
        # It will be sent once more after a restart, which the validator takes for what it is.
        _log.error("a delivered record stays in the outbox", cause=str(removed.exception()))
