"""The asyncio client: the methods of `corun_client.client.Client`, awaited."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from corun.plumbing.channel import open_channel
from corun.v1.orchestrator_service_pb2_grpc import OrchestratorServiceStub
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from corun_client import calls
from corun_client.conversion.inference import Inference
from corun_client.conversion.pool import CapabilityReport, ModelReport, PoolReport
from corun_client.conversion.reports import ComparisonReport, ExecutionReport, MetricsReport
from corun_client.conversion.requests import ModelConfig, validation_policy
from corun_client.errors import NotHosted, NotInitialized
from corun_client.failures import from_rpc, unfinished
from corun_client.target import checked_target

_Event = TypeVar("_Event")
_Report = TypeVar("_Report")


class AsyncClient:
    """Calls the services at one address from one event loop. Made by `connect_async`; close it, or use it as a context.

    Arguments, reports and errors are those of `Client`. Cancelling a task that awaits a method cancels the work.
    """

    def __init__(self, target: str) -> None:
        self.target = checked_target(target)
        self._channel = open_channel(self.target)
        self._stubs: dict[str, Any] = {
            calls.ORCHESTRATOR: OrchestratorServiceStub(self._channel),
            calls.POOL: ResourcePoolServiceStub(self._channel),
            calls.VALIDATOR: ValidatorServiceStub(self._channel),
        }
        self._closed = False

    async def execute(
        self,
        *,
        models: Sequence[ModelConfig],
        platform: str,
        strategy: str | None = None,
        goal: str = "latency",
        iterations: int = 1,
        validation_interval: int | None = None,
        error_threshold: float | None = None,
        validate: bool = True,
        on_event: Callable[[calls.ExecutionEvent], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> ExecutionReport:
        """Runs models together and reports what was predicted and what was measured."""
        call = calls.execute(
            models=models,
            platform=platform,
            strategy=strategy,
            goal=goal,
            iterations=iterations,
            validation=validation_policy(
                interval=validation_interval, error_threshold=error_threshold, disabled=not validate
            ),
            timeout_seconds=timeout_seconds,
        )
        return await self.follow(call, on_event)

    async def compare(
        self,
        *,
        models: Sequence[ModelConfig],
        platform: str,
        goal: str = "latency",
        strategies: Sequence[str] = (),
        iterations: int = 1,
        rounds: int | None = None,
        on_event: Callable[[calls.ComparisonEvent], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> ComparisonReport:
        """Runs models under several strategies (all three by default) in interleaved rounds (3 by default)."""
        call = calls.compare(
            models=models,
            platform=platform,
            goal=goal,
            strategies=strategies,
            iterations=iterations,
            rounds=rounds,
            timeout_seconds=timeout_seconds,
        )
        return await self.follow(call, on_event)

    async def metrics(self, *, timeout_seconds: float | None = None) -> MetricsReport:
        """How good the predictions were: from the orchestrator, or the validator where only that is hosted."""
        try:
            return await self._answer(calls.metrics(timeout_seconds))
        except NotHosted:
            return await self._answer(calls.validator_metrics(timeout_seconds))

    async def list_models(
        self, names: Sequence[str] = (), *, timeout_seconds: float | None = None
    ) -> list[ModelReport]:
        """All models as they are; or those named, which are fetched or made if need be."""
        return await self._answer(calls.list_models(names, timeout_seconds))

    async def capabilities(self, *, timeout_seconds: float | None = None) -> CapabilityReport:
        """Which engines and platforms were found to work. The first call may start every browser once."""
        return await self._answer(calls.capabilities(timeout_seconds))

    async def infer(
        self,
        model_name: str,
        *,
        platform: str,
        texts: Sequence[str] | None = None,
        images: Sequence[bytes] | None = None,
        audio: Sequence[bytes] | None = None,
        tensors: Mapping[str, object] | None = None,
        timeout_seconds: float | None = None,
    ) -> Inference:
        """Runs one model on texts, image files, WAV files or numpy arrays by input name; one kind of them."""
        call = calls.infer(
            model_name,
            platform=platform,
            texts=texts,
            images=images,
            audio=audio,
            tensors=tensors,
            timeout_seconds=timeout_seconds,
        )
        return await self._answer(call)

    async def load(self, model_name: str, *, platform: str, timeout_seconds: float | None = None) -> float:
        """Loads a model so that later runs are warm; gives the milliseconds it took, 0 when it was there before."""
        return await self._answer(calls.load(model_name, platform=platform, timeout_seconds=timeout_seconds))

    async def unload(
        self, model_name: str, *, platform: str | None = None, timeout_seconds: float | None = None
    ) -> int:
        """Unloads a model from every lane, or on one platform only; gives the number of sessions released."""
        return await self._answer(calls.unload(model_name, platform=platform, timeout_seconds=timeout_seconds))

    async def pool_status(self, *, timeout_seconds: float | None = None) -> PoolReport:
        """Which browsers, lanes and sessions are alive."""
        return await self._answer(calls.pool_status(timeout_seconds))

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

    async def _answer(self, call: calls.Call[_Report]) -> _Report:
        self._refuse_when_closed()
        try:
            response = await getattr(self._stubs[call.service], call.method)(call.request, timeout=call.seconds)
        except grpc.RpcError as error:
            raise from_rpc(error, target=self.target, service=call.service, timeout_seconds=call.seconds) from None
        return call.read(response)

    async def follow(
        self, call: calls.StreamedCall[_Event, _Report], on_event: Callable[[_Event], None] | None
    ) -> _Report:
        """Carries out a call that `corun_client.calls` prepared, telling `on_event` what happens."""
        self._refuse_when_closed()
        stream = getattr(self._stubs[calls.ORCHESTRATOR], call.method)(call.request, timeout=call.seconds)
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
            raise from_rpc(
                error,
                target=self.target,
                service=calls.ORCHESTRATOR,
                timeout_seconds=call.seconds,
                started=started,
            ) from None
        finally:
            stream.cancel()
        raise unfinished(self.target)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise NotInitialized("this client is closed; connect again")


def connect_async(target: str) -> AsyncClient:
    """An asyncio client for the services at HOST:PORT. It connects on its first call.

    Raises:
        InvalidArgument: when `target` is not HOST:PORT.
    """
    return AsyncClient(target)
