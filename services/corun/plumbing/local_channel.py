"""A channel to services of the same process: the calls of the wire, with everything they promise, but no wire.

Requests and responses are still copied, so that neither side sees what the other one changes; what is unavailable is
asked again, as `channel` has it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from corun.plumbing.channel import ATTEMPTS, pause_after
from corun.plumbing.guard import guarded
from corun.plumbing.server import MAX_MESSAGE_BYTES, Service

# Responses that a stream may be ahead of its reader. On the wire it is some bytes.
_AHEAD = 64

T = TypeVar("T")
_Serializer = Callable[[Any], bytes]
_Deserializer = Callable[[bytes], Any]
# Of grpc, whose stubs know no asynchronous ones.
Handler: TypeAlias = Any
_End: TypeAlias = grpc.aio.AioRpcError | StopAsyncIteration | asyncio.CancelledError


class LocalChannel:
    """Takes the place of a grpc.aio.Channel for the stubs of the services that it serves."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._health = health.aio.HealthServicer()
        self._tasks: set[asyncio.Task[Any]] = set()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self)  # type: ignore[arg-type]  # it only adds handlers

    async def serve(self, service: Service) -> None:
        """Makes the calls of a service known."""
        service.add(service.servicer, self)  # type: ignore[arg-type]  # it only adds handlers
        for name in ("", service.name):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """What is to be known of a service comes by `add_registered_method_handlers`."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Takes the handlers of a service, as a server does."""
        for name, handler in handlers.items():
            method = f"/{service}/{name}"
            self._handlers[method] = guarded(handler, method)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: ARG002  # as grpc has it
        """It is always there."""
        return grpc.ChannelConnectivity.READY

    async def close(self) -> None:
        """Ends what is under way, and waits until it has let go of everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def unary_unary(
        self,
        method: str,
        request_serializer: _Serializer,
        response_deserializer: _Deserializer,
        _registered_method: bool = False,
    ) -> Callable[..., Awaitable[Any]]:
        """The call of a method with one request and one response."""

        async def call(request: Message, *, timeout: float | None = None) -> Any:
            content, context = request_serializer(request), LocalContext(timeout)
            return response_deserializer(await _repeated(lambda: self._answer(method, context, content)))

        return call

    def stream_unary(
        self,
        method: str,
        request_serializer: _Serializer,
        response_deserializer: _Deserializer,
        _registered_method: bool = False,
    ) -> Callable[..., Awaitable[Any]]:
        """The call of a method with a stream of requests and one response."""

        async def call(requests: AsyncIterator[Message], *, timeout: float | None = None) -> Any:
            contents = (request_serializer(request) async for request in requests)
            return response_deserializer(await self._answer(method, LocalContext(timeout), contents))

        return call

    def unary_stream(
        self,
        method: str,
        request_serializer: _Serializer,
        response_deserializer: _Deserializer,
        _registered_method: bool = False,
    ) -> Callable[..., LocalStream]:
        """The call of a method with one request and a stream of responses."""

        def call(request: Message, *, timeout: float | None = None) -> LocalStream:
            content, context = request_serializer(request), LocalContext(timeout)
            stream = LocalStream(lambda: self.handler(method), content, context, response_deserializer)
            self._keep(stream.task)
            return stream

        return call

    def handler(self, method: str) -> Handler:
        """What answers a method.

        Raises:
            AioRpcError: nothing does.
        """
        handler = self._handlers.get(method)
        if handler is None:
            raise _error(grpc.StatusCode.UNIMPLEMENTED, f"no method {method}")
        return handler

    async def _answer(self, method: str, context: LocalContext, sent: bytes | AsyncIterator[bytes]) -> bytes:
        """The response. A caller that goes, or whose time is over, does not wait until the handler has let go."""
        task = asyncio.ensure_future(_answered(self.handler(method), context, sent))
        self._keep(task)
        try:
            await asyncio.wait([task], timeout=context.time_remaining())
        finally:
            in_time = task.done()
            task.cancel()
        if not in_time:
            raise _error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if task.cancelled():
            raise _error(grpc.StatusCode.CANCELLED, f"{method} was cancelled")
        return task.result()

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may be gone


class LocalStream:
    """Responses as they come. They are made while nobody reads, up to a number; `cancel` ends that."""

    def __init__(
        self, find: Callable[[], Handler], request: bytes, context: LocalContext, deserializer: _Deserializer
    ) -> None:
        self._deserializer = deserializer
        self._room = asyncio.Semaphore(_AHEAD)
        self._responses: asyncio.Queue[bytes | _End] = asyncio.Queue()
        self._begun = self._ended = False
        self.task = asyncio.ensure_future(self._answer(find, request, context))
        remaining = context.time_remaining()
        self._timer = None if remaining is None else asyncio.get_running_loop().call_later(remaining, self._expire)

    def cancel(self) -> bool:
        """Cancels what is under way; False where it is over."""
        self._end(asyncio.CancelledError())
        return self.task.cancel()

    def __aiter__(self) -> LocalStream:
        return self

    async def __anext__(self) -> Any:
        try:
            response = await self._responses.get()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if isinstance(response, bytes):
            self._room.release()
            return self._deserializer(response)
        self._responses.put_nowait(response)  # whoever asks again is told the same
        raise response

    async def _answer(self, find: Callable[[], Handler], request: bytes, context: LocalContext) -> None:
        end: _End = _error(grpc.StatusCode.CANCELLED, "the stream was cancelled")
        try:
            handler = find()
            await _repeated(lambda: self._forward(handler, request, context), unless=lambda: self._begun)
            end = StopAsyncIteration()
        except grpc.aio.AioRpcError as error:
            end = error
        finally:
            self._end(end)
            context.end()

    async def _forward(self, handler: Handler, request: bytes, context: LocalContext) -> None:
        with context.told():
            received = handler.request_deserializer(context.checked(request))
            async with aclosing(handler.unary_stream(received, context)) as responses:
                async for response in responses:
                    await self._room.acquire()
                    self._put(context.checked(handler.response_serializer(response)))
                    self._begun = True

    def _expire(self) -> None:
        self._end(_error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))
        self.task.cancel()

    def _put(self, response: bytes | _End) -> None:
        if not self._ended:
            self._responses.put_nowait(response)

    def _end(self, end: _End) -> None:
        """Only the first end counts."""
        self._put(end)
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()


class LocalContext:
    """What handlers of this project ask of a grpc.aio.ServicerContext.

    Args:
        timeout: Seconds that the call may take; None for any.
    """

    def __init__(self, timeout: float | None) -> None:
        self._ends_at = None if timeout is None else asyncio.get_running_loop().time() + timeout
        self._on_end: list[Callable[[LocalContext], None]] = []
        self._failure = _error(grpc.StatusCode.UNKNOWN, "aborted")

    def time_remaining(self) -> float | None:
        """Seconds to the deadline, at least 0; None for none."""
        return None if self._ends_at is None else max(0.0, self._ends_at - asyncio.get_running_loop().time())

    def peer(self) -> str:
        """Who calls."""
        return "local"

    def add_done_callback(self, call: Callable[[LocalContext], None]) -> None:
        """Calls `call` when the call has ended."""
        self._on_end.append(call)

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        """Ends the call."""
        self._fail(_error(code, details))

    async def abort_with_status(self, status: Any) -> NoReturn:
        """Ends the call with a rich status."""
        trailing = grpc.aio.Metadata(*status.trailing_metadata)
        self._fail(grpc.aio.AioRpcError(status.code, grpc.aio.Metadata(), trailing, status.details))

    def checked(self, content: bytes) -> bytes:
        """What would go over the wire; ends the call where it is too large for that."""
        if len(content) > MAX_MESSAGE_BYTES:
            words = f"a message of {len(content)} bytes is larger than {MAX_MESSAGE_BYTES}"
            self._fail(_error(grpc.StatusCode.RESOURCE_EXHAUSTED, words))
        return content

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raises what the call was ended with as the caller is told it."""
        try:
            yield
        except grpc.aio.AbortError:
            raise self._failure from None

    def end(self) -> None:
        """The call has ended."""
        for call in self._on_end:
            call(self)

    def _fail(self, error: grpc.aio.AioRpcError) -> NoReturn:
        self._failure = error
        raise grpc.aio.AbortError("Locally aborted.")


async def _answered(handler: Handler, context: LocalContext, sent: bytes | AsyncIterator[bytes]) -> bytes:
    def received(content: bytes) -> Any:
        return handler.request_deserializer(context.checked(content))

    try:
        with context.told():
            if isinstance(sent, bytes):
                response = await handler.unary_unary(received(sent), context)
            else:
                response = await handler.stream_unary((received(each) async for each in sent), context)
            return context.checked(handler.response_serializer(response))
    finally:
        context.end()


async def _repeated(ask: Callable[[], Awaitable[T]], *, unless: Callable[[], bool] = lambda: False) -> T:
    """Asks again what is unavailable, as `channel` has it, unless there was a part of an answer."""
    for attempt in itertools.count(1):
        try:
            return await ask()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt == ATTEMPTS or unless():
                raise
        await asyncio.sleep(pause_after(attempt))
    raise AssertionError("the loop above ends only by returning or raising")


def _error(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
