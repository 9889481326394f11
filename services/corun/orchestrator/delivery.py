"""Tells the validator what was measured: in order, each thing once, and later where it does not answer now."""

from __future__ import annotations

import asyncio
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
from corun.plumbing.status import RemoteError
from corun.v1 import validator_service_pb2 as validator_pb2

_log = structlog.get_logger(__name__)

_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 10.0
# With all services in one process the validator takes its time from whatever runs then: so an execution that does not
# wait for it ends first.
_GATHERED_SECONDS = 0.02

# Refusals that will not change: trying again would hold up everything behind.
_FINAL = frozenset({"INVALID_ARGUMENT", "ALREADY_EXISTS", "FAILED_PRECONDITION", "NOT_FOUND", "OUT_OF_RANGE"})
_MAX_ATTEMPTS_AT_A_DEFECT = 5

_Call: TypeAlias = Callable[[Any], Awaitable[Message]]


class Postponed(CorunError):
    """The validator does not take it now; it is kept and will be delivered. `cause` says why."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(slots=True)
class _Parcel:
    position: int
    entry: OutboxEntry
    answer: asyncio.Future[Any]
    attempt_count: int = 0


def entry_of(request: Message) -> OutboxEntry:
    """A request to the validator, to be kept."""
    return OutboxEntry(type(request).__name__, request.SerializeToString())


class Delivery:
    """Delivers what is in the outbox, a moment after it came. `run` must be running; `resume` ends a pause early, and
    `hurry` the moment.

    An entry leaves the outbox when the validator has taken it, or has refused it for good. Should the orchestrator end
    between the two, it is sent again: the validator knows it by its id.
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
        """Keeps a request in the outbox and takes it; the future is as those of `send`.

        Raises:
            StoreFailed: when the disk refuses.
        """
        entry = entry_of(request)
        position = await self._outbox.add(entry)
        (answer,) = self.send([position], [entry])
        return answer

    def send(self, positions: Sequence[int], entries: Sequence[OutboxEntry]) -> list[asyncio.Future[Any]]:
        """Takes entries that are in the outbox. The futures have the validator's answers, or its refusals, or Postponed
        as soon as it is known not to answer."""
        loop = asyncio.get_running_loop()
        answers = []
        for position, entry in zip(positions, entries, strict=True):
            parcel = _Parcel(position, entry, loop.create_future())
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
            if await self._deliver(self._parcels[0]):
                pause = _SHORTEST_PAUSE_SECONDS
                continue
            try:
                async with asyncio.timeout(pause):
                    await self._resumed.wait()
            except TimeoutError:
                pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)

    async def _deliver(self, parcel: _Parcel) -> bool:
        message, call = self._calls[parcel.entry.kind]
        parcel.attempt_count += 1
        request = message.FromString(parcel.entry.payload)
        answer: Message | CorunError | RemoteError
        try:
            answer = await call(request)
        except (PeerUnavailable, RemoteError) as error:
            if not _is_final(error, parcel.attempt_count):
                self._postpone(error)
                return False
            _log.error("the validator refuses for good", kind=parcel.entry.kind, cause=error.message)
            answer = error
        self._silence = None
        self._parcels.popleft()
        self.waiting_bytes -= len(parcel.entry.payload)
        self._outbox.remove(parcel.position).add_done_callback(_note_removed)
        if isinstance(answer, Message):
            if not parcel.answer.done():
                parcel.answer.set_result(answer)
            if isinstance(request, validator_pb2.ValidatePredictionRequest):
                for told in self._on_validated:
                    told(request.execution)
        else:
            _refuse(parcel, answer)
        return True

    def _postpone(self, error: PeerUnavailable | RemoteError) -> None:
        if self._silence is None:
            _log.warning("the validator takes no records; they are kept", cause=error.message)
        self._silence = Postponed(error.message)
        for parcel in self._parcels:
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
