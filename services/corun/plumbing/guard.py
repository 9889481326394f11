"""The one interceptor around every RPC: rules before the handler, statuses for whatever it raises."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog
from google.protobuf.message import Message
from grpc_status import rpc_status

from corun.errors import CorunError
from corun.plumbing.rules import broken_rules
from corun.plumbing.status import RemoteError, make_status, status_of

_log = structlog.get_logger(__name__)

if TYPE_CHECKING:
    # Generic in their stubs only.
    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]


class Guard(grpc.aio.ServerInterceptor):
    """Refuses requests that break their rules, and turns exceptions into statuses. No traceback leaves."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wraps the handler of one call of this project; other packages' calls pass through."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        return handler if handler is None else guarded(handler, method)


def guarded(handler: Handler, method: str) -> Handler:
    """The handler with rules and statuses around it; streams both ways (reflection) and other packages' handlers as
    they are."""
    if not method.startswith("/corun.") or (handler.request_streaming and handler.response_streaming):
        return handler
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(
            _guarded_intake(handler.stream_unary, method),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(
            _guarded_stream(handler.unary_stream, method),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
    return grpc.unary_unary_rpc_method_handler(
        _guarded_call(handler.unary_unary, method),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def _guarded_call(call: Any, method: str) -> Any:
    async def guarded(request: Message, context: Context) -> Any:
        await _refuse_broken(request, context)
        try:
            return await call(request, context)
        except Exception as error:
            await _abort(error, method, context)

    return guarded


def _guarded_intake(call: Any, method: str) -> Any:
    async def checked(requests: AsyncIterator[Message], context: Context) -> AsyncGenerator[Message, None]:
        async for request in requests:
            await _refuse_broken(request, context)
            yield request

    async def guarded(requests: AsyncIterator[Message], context: Context) -> Any:
        try:
            async with aclosing(checked(requests, context)) as intact:
                return await call(intact, context)
        except Exception as error:
            await _abort(error, method, context)

    return guarded


def _guarded_stream(stream: Any, method: str) -> Any:
    async def guarded(request: Message, context: Context) -> AsyncIterator[Any]:
        await _refuse_broken(request, context)
        try:
            # Closed here, not by the garbage collector: a client that left must free what it held at once.
            async with aclosing(stream(request, context)) as responses:
                async for response in responses:
                    yield response
        except Exception as error:
            await _abort(error, method, context)

    return guarded


async def _refuse_broken(request: Message, context: Context) -> None:
    violations = broken_rules(request)
    if violations:
        message = "; ".join(f"{each.field}: {each.description}".removeprefix(": ") for each in violations)
        status = make_status("INVALID_FIELD", message, violations=violations)
        await context.abort_with_status(rpc_status.to_status(status))


async def _abort(error: Exception, method: str, context: Context) -> NoReturn:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, CorunError | RemoteError):
        status = status_of(error)
    else:
        _log.exception("call failed", method=method)
        status = make_status("INTERNAL", f"internal error in {method}: {type(error).__name__}; the server's log has it")
    await context.abort_with_status(rpc_status.to_status(status))
