"""A channel to services of the same process: the calls of the wire, with everything they promise, but no wire.

Requests and responses are still copied, so that neither side sees what the other one changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from corun.plumbing.guard import guarded
from corun.plumbing.server import MAX_MESSAGE_BYTES, Service

# Responses that a stream may be ahead of its reader, as the wire's flow control has it.
_AHEAD = 64

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
        self._streams: set[asyncio.Task[None]] = set()
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

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: ARG002
        """It is always there."""
        return grpc.ChannelConnectivity.READY

    async def close(self) -> None:
        """Ends the streams that nobody has read to their end."""
        for stream in list(self._streams):
            stream.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    def unary_unary(
        self,
        method: str,
        request_serializer: _Serializer,
        response_deserializer: _Deserializer,
        _registered_method: bool = False,
    ) -> Callable[..., Awaitable[Any]]:
        """The call of a method with one request and one response."""

        async def call(request: Message, *, timeout: float | None = None) -> Any:
            handler = self._handler(method)
            received = handler.request_deserializer(_checked(request_serializer(request)))
            return await _answered(handler.unary_unary, received, handler, response_deserializer, timeout=timeout)

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
            handler = self._handler(method)

            async def received() -> AsyncIterator[Any]:
                async for request in requests:
                    yield handler.request_deserializer(_checked(request_serializer(request)))

            return await _answered(handler.stream_unary, received(), handler, response_deserializer, timeout=timeout)

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
            content = request_serializer(request)
            stream = LocalStream(lambda: self._handler(method), content, response_deserializer, timeout=timeout)
            self._streams.add(stream.task)
            stream.task.add_done_callback(self._streams.discard)
            return stream

        return call

    def _handler(self, method: str) -> Handler:
        handler = self._handlers.get(method)
        if handler is None:
            raise _error(grpc.StatusCode.UNIMPLEMENTED, f"no method {method}")
        return handler


class LocalStream:
    """Responses as they come. They are made while nobody reads, up to a number; `cancel` ends that."""

    def __init__(
        self, find: Callable[[], Handler], request: bytes, deserializer: _Deserializer, *, timeout: float | None
    ) -> None:
        self._deserializer = deserializer
        self._room = asyncio.Semaphore(_AHEAD)
        self._responses: asyncio.Queue[bytes | _End] = asyncio.Queue()
        self.task = asyncio.ensure_future(self._answer(find, request, LocalContext(timeout)))

    def cancel(self) -> bool:
        """Cancels what is under way; False where it is over."""
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
        end: _End = asyncio.CancelledError()
        try:
            handler = find()
            received = handler.request_deserializer(_checked(request))
            async with _in_time(context), aclosing(handler.unary_stream(received, context)) as responses:
                async for response in responses:
                    await self._room.acquire()
                    self._responses.put_nowait(_checked(handler.response_serializer(response)))
            end = StopAsyncIteration()
        except grpc.aio.AioRpcError as error:
            end = error
        finally:
            context.end()
            self._responses.put_nowait(end)


class LocalContext:
    """What handlers of this project ask of a grpc.aio.ServicerContext.

    Args:
        timeout: Seconds that the call may take; None for any.
    """

    def __init__(self, timeout: float | None) -> None:
        self.ends_at = None if timeout is None else asyncio.get_running_loop().time() + timeout
        self._on_end: list[Callable[[LocalContext], None]] = []

    def time_remaining(self) -> float | None:
        """Seconds to the deadline, at least 0; None for none."""
        return None if self.ends_at is None else max(0.0, self.ends_at - asyncio.get_running_loop().time())

    def peer(self) -> str:
        """Who calls."""
        return "local"

    def add_done_callback(self, call: Callable[[LocalContext], None]) -> None:
        """Calls `call` when the call has ended."""
        self._on_end.append(call)

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        """Ends the call."""
        raise _error(code, details)

    async def abort_with_status(self, status: Any) -> NoReturn:
        """Ends the call with a rich status."""
        raise grpc.aio.AioRpcError(
            status.code, grpc.aio.Metadata(), grpc.aio.Metadata(*status.trailing_metadata), status.details
        )

    def end(self) -> None:
        """The call has ended."""
        for call in self._on_end:
            call(self)


async def _answered(
    answering: Any, received: Any, handler: Handler, deserializer: _Deserializer, *, timeout: float | None
) -> Any:
    context = LocalContext(timeout)
    try:
        async with _in_time(context):
            response = await answering(received, context)
    finally:
        context.end()
    return deserializer(_checked(handler.response_serializer(response)))


def _checked(content: bytes) -> bytes:
    """What would go over the wire."""
    if len(content) > MAX_MESSAGE_BYTES:
        words = f"a message of {len(content)} bytes is larger than {MAX_MESSAGE_BYTES}"
        raise _error(grpc.StatusCode.RESOURCE_EXHAUSTED, words)
    return content


@asynccontextmanager
async def _in_time(context: LocalContext) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(context.ends_at) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise _error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None


def _error(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
