"""How the asyncio client calls: one channel, failures in the client's words, patience with a full pool."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from corun.plumbing.channel import open_channel
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from corun_client import calls
from corun_client.errors import CorunError, DeadlineExceeded, NotInitialized
from corun_client.failures import from_rpc, pause_before_retry, unfinished
from corun_client.target import checked_target

_Event = TypeVar("_Event")
_Report = TypeVar("_Report")


class AsyncCaller:
    """Carries out calls that `corun_client.calls`, `pool_calls` and `validator_calls` prepared.

    Args:
        target: HOST:PORT.
        retry_when_full: Come back to a pool that is full, when it says so, within the deadline of the call.

    Raises:
        InvalidArgument: when `target` is not HOST:PORT.
    """

    def __init__(self, target: str, *, retry_when_full: bool = True) -> None:
        self.target = checked_target(target)
        self.retry_when_full = retry_when_full
        self._channel = open_channel(self.target)
        self._stubs: dict[str, Any] = {
            calls.ORCHESTRATOR: OrchestratorServiceStub(self._channel),
            calls.POOL: ResourcePoolServiceStub(self._channel),
            calls.VALIDATOR: ValidatorServiceStub(self._channel),
        }
        self._closed = False

    async def answer(self, call: calls.Call[_Report]) -> _Report:
        """The report of a call with one answer."""
        ends_at, attempt = time.monotonic() + call.seconds, 0
        while True:
            attempt += 1
            try:
                return call.read(await self._attempt(call, ends_at - time.monotonic()))
            except CorunError as error:
                remaining = ends_at - time.monotonic()
                pause = pause_before_retry(error, attempt, remaining, random.random()) if self.retry_when_full else None
                if pause is None:
                    raise
                await asyncio.sleep(pause)

    async def follow(
        self, call: calls.StreamedCall[_Event, _Report], on_event: Callable[[_Event], None] | None
    ) -> _Report:
        """The report of a call whose answer is a stream of events, telling `on_event` what happens.

        An orchestrator that has enough to do is come back to, as a full pool is.
        """
        ends_at, attempt = time.monotonic() + call.seconds, 0
        while True:
            attempt += 1
            try:
                return await self._followed(call, on_event, ends_at - time.monotonic())
            except CorunError as error:
                remaining = ends_at - time.monotonic()
                refused = self.retry_when_full and error.reason == "TOO_MANY_EXECUTIONS"
                pause = pause_before_retry(error, attempt, remaining, random.random()) if refused else None
                if pause is None:
                    raise
                await asyncio.sleep(pause)

    async def _followed(
        self,
        call: calls.StreamedCall[_Event, _Report],
        on_event: Callable[[_Event], None] | None,
        seconds: float,
    ) -> _Report:
        self._refuse_when_closed()
        stream = getattr(self._stubs[calls.ORCHESTRATOR], call.method)(call.request, timeout=seconds)
        started = False
        try:
            async for event in stream:
                started = True
                if on_event is not None:
                    on_event(event)
                report = call.outcome(event)
                if report is not None:
                    return report
        except grpc.RpcError as error:
            raise self._failure(error, calls.ORCHESTRATOR, call.seconds, started=started) from None
        finally:
            stream.cancel()
        raise unfinished(self.target)

    async def watch(self, call: calls.Call[_Report]) -> AsyncGenerator[_Report, None]:
        """The report of every response, until the caller stops or the deadline passes."""
        started = False
        async with aclosing(self.responses(call)) as responses:
            try:
                async for response in responses:
                    started = True
                    yield response
            except DeadlineExceeded:
                if not started:
                    raise

    async def responses(self, call: calls.Call[_Report]) -> AsyncGenerator[_Report, None]:
        """The report of every response of a stream that must come to its end."""
        self._refuse_when_closed()
        stream = getattr(self._stubs[call.service], call.method)(call.request, timeout=call.seconds)
        started = False
        try:
            async for response in stream:
                started = True
                yield call.read(response)
        except grpc.RpcError as error:
            raise self._failure(error, call.service, call.seconds, started=started) from None
        finally:
            stream.cancel()

    async def close(self) -> None:
        """Closes the channel; calls in flight are cancelled. Closing twice is fine."""
        self._closed = True
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _attempt(self, call: calls.Call[_Report], seconds: float) -> Any:
        self._refuse_when_closed()
        try:
            return await getattr(self._stubs[call.service], call.method)(call.request, timeout=seconds)
        except grpc.RpcError as error:
            raise self._failure(error, call.service, call.seconds) from None

    def _failure(self, error: grpc.RpcError, service: str, seconds: float, *, started: bool = False) -> CorunError:
        return from_rpc(error, target=self.target, service=service, timeout_seconds=seconds, started=started)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise NotInitialized("this client is closed; connect again")
