"""The three services that the orchestrator calls, each call with a deadline."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from corun.errors import PeerUnavailable
from corun.orchestrator.patience import Patience
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun.v1.predictor_service_pb2_grpc import PredictorServiceStub
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub

_T = TypeVar("_T")

# What gRPC itself says when nobody answers; a peer that does answer adds an ErrorInfo.
_UNANSWERED = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a call may take: short ones, preparing models, profiling one, carrying out a plan, reading records,
    refining the predictor; and how long a pool that is full is come back to."""

    short: float
    prepare: float
    profile: float
    execute: float
    dataset: float
    refine: float
    full_pool: float


@dataclass(frozen=True, slots=True)
class Link:
    """A channel to one service, and how to call that service in messages. The channel is its maker's to close."""

    service: str
    target: str
    channel: grpc.aio.Channel

    async def answer(self, call: Awaitable[_T], *, within: float) -> _T:
        """The call's response; its failures as this project's errors."""
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise self.failure(error, within=within) from error

    async def answers(self, *, within: float) -> bool:
        """Whether the service says that it serves, within some seconds."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        try:
            response = await stub.Check(  # type: ignore[attr-defined]  # set at run time
                health_pb2.HealthCheckRequest(), timeout=within
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    def failure(self, error: grpc.aio.AioRpcError, *, within: float) -> PeerUnavailable | RemoteError:
        """PeerUnavailable when the service did not answer, else what it said."""
        remote = RemoteError.from_rpc(error)
        if remote.reason or remote.code not in _UNANSWERED:
            return remote
        silent = remote.code == "DEADLINE_EXCEEDED"
        detail = f"not finished within {within:g} s" if silent else remote.message or remote.code
        return PeerUnavailable(self.service, self.target, detail)


class Peers:
    """Calls the predictor, the resource pool and the validator.

    Every method raises PeerUnavailable when the service does not answer in time, and RemoteError with the
    service's own status when it refuses.
    """

    def __init__(self, *, predictor: Link, pool: Link, validator: Link, timeouts: Timeouts) -> None:
        self._predictor_link, self._pool_link, self._validator_link = predictor, pool, validator
        self._predictor = PredictorServiceStub(predictor.channel)
        self._pool = ResourcePoolServiceStub(pool.channel)
        self._validator = ValidatorServiceStub(validator.channel)
        self._timeouts = timeouts

    @property
    def validator_is_connected(self) -> bool:
        """Whether the last connection to the validator still stands; known at once where its process ended."""
        return self._validator_link.channel.get_state() is grpc.ChannelConnectivity.READY

    @property
    def pool_is_connected(self) -> bool:
        """The same of the pool."""
        return self._pool_link.channel.get_state() is grpc.ChannelConnectivity.READY

    async def list_models(self, names: Sequence[str]) -> list[pool_pb2.ModelInfo]:
        """The models of these names, in this order, each prepared."""
        seconds = self._timeouts.prepare
        call = self._pool.ListModels(pool_pb2.ListModelsRequest(names=names), timeout=seconds)
        return list((await self._pool_link.answer(call, within=seconds)).models)

    async def capabilities(
        self, platform: core_pb2.Platform.ValueType, *, preferred: str = ""
    ) -> pool_pb2.GetCapabilitiesResponse:
        """Which engines of the pool's machine were tried, the preferred one first, until one had the platform."""
        seconds = self._timeouts.prepare
        request = pool_pb2.GetCapabilitiesRequest(platform=platform, engine=preferred)
        call = self._pool.GetCapabilities(request, timeout=seconds)
        return await self._pool_link.answer(call, within=seconds)

    async def profile(self, request: pool_pb2.ProfileModelRequest) -> pool_pb2.ProfileModelResponse:
        """Measures one model alone. A pool that is full is come back to."""
        seconds, patience = self._timeouts.profile, Patience(self._timeouts.full_pool)
        while True:
            try:
                return await self._pool_link.answer(self._pool.ProfileModel(request, timeout=seconds), within=seconds)
            except RemoteError as error:
                await patience.wait_after(error)

    async def execute_plan(
        self, request: pool_pb2.ExecutePlanRequest
    ) -> AsyncGenerator[pool_pb2.ExecutePlanResponse, None]:
        """Carries out a plan. Closing the generator, or cancelling whoever waits for it, cancels the pool's call.

        A pool that is full is come back to as long as nothing has happened yet.
        """
        patience, started = Patience(self._timeouts.full_pool), False
        while True:
            try:
                async with aclosing(self._plan_events(request)) as events:
                    async for event in events:
                        started = True
                        yield event
            except RemoteError as error:
                if started:
                    raise
                await patience.wait_after(error)
            else:
                return

    async def _plan_events(
        self, request: pool_pb2.ExecutePlanRequest
    ) -> AsyncGenerator[pool_pb2.ExecutePlanResponse, None]:
        seconds = self._timeouts.execute
        call = self._pool.ExecutePlan(request, timeout=seconds)
        try:
            async for event in call:
                yield event
        except grpc.aio.AioRpcError as error:
            raise self._pool_link.failure(error, within=seconds) from error
        finally:
            call.cancel()

    async def recommend(
        self, request: predictor_pb2.RecommendStrategyRequest
    ) -> predictor_pb2.RecommendStrategyResponse:
        """Predicts every strategy and names the best."""
        seconds = self._timeouts.short
        call = self._predictor.RecommendStrategy(request, timeout=seconds)
        return await self._predictor_link.answer(call, within=seconds)

    async def observe(self, request: predictor_pb2.ObserveRequest) -> predictor_pb2.ObserveResponse:
        """Teaches the predictor measured runs and executions."""
        seconds = self._timeouts.short
        return await self._predictor_link.answer(self._predictor.Observe(request, timeout=seconds), within=seconds)

    async def record_execution(
        self, request: validator_pb2.RecordExecutionRequest
    ) -> validator_pb2.RecordExecutionResponse:
        """Puts an execution on the validator's record."""
        seconds = self._timeouts.short
        call = self._validator.RecordExecution(request, timeout=seconds)
        return await self._validator_link.answer(call, within=seconds)

    async def record_executions(
        self, request: validator_pb2.RecordExecutionsRequest
    ) -> validator_pb2.RecordExecutionsResponse:
        """Puts many executions on the validator's record, all at once."""
        seconds = self._timeouts.short
        call = self._validator.RecordExecutions(request, timeout=seconds)
        return await self._validator_link.answer(call, within=seconds)

    async def validate_prediction(
        self, request: validator_pb2.ValidatePredictionRequest
    ) -> validator_pb2.ValidatePredictionResponse:
        """Holds a prediction against its measurement."""
        seconds = self._timeouts.short
        call = self._validator.ValidatePrediction(request, timeout=seconds)
        return await self._validator_link.answer(call, within=seconds)

    async def record_impact(
        self, request: validator_pb2.RecordOptimizationImpactRequest
    ) -> validator_pb2.RecordOptimizationImpactResponse:
        """Puts a comparison on the validator's record."""
        seconds = self._timeouts.short
        call = self._validator.RecordOptimizationImpact(request, timeout=seconds)
        return await self._validator_link.answer(call, within=seconds)

    async def refinement_recommendations(
        self, request: validator_pb2.GetRefinementRecommendationsRequest
    ) -> validator_pb2.GetRefinementRecommendationsResponse:
        """Whether the predictor should be refined, and by which method."""
        seconds = self._timeouts.short
        call = self._validator.GetRefinementRecommendations(request, timeout=seconds)
        return await self._validator_link.answer(call, within=seconds)

    async def dataset(
        self, request: validator_pb2.GenerateValidationDatasetRequest
    ) -> AsyncGenerator[validator_pb2.ExecutionRecord, None]:
        """Executions on record, in the order they were recorded. Closing the generator ends the call."""
        seconds = self._timeouts.dataset
        call = self._validator.GenerateValidationDataset(request, timeout=seconds)
        try:
            async for response in call:
                yield response.record.execution
        except grpc.aio.AioRpcError as error:
            raise self._validator_link.failure(error, within=seconds) from error
        finally:
            call.cancel()

    async def refine(
        self, options: predictor_pb2.RefinementOptions, records: Sequence[predictor_pb2.ExecutedPlan]
    ) -> predictor_pb2.RefineModelResponse:
        """Refines the predictor by records, oldest first."""

        async def requests() -> AsyncGenerator[predictor_pb2.RefineModelRequest, None]:
            yield predictor_pb2.RefineModelRequest(options=options)
            for record in records:
                yield predictor_pb2.RefineModelRequest(record=record)

        seconds = self._timeouts.refine
        call = self._predictor.RefineModel(requests(), timeout=seconds)
        return await self._predictor_link.answer(call, within=seconds)

    async def record_refinement(
        self, request: validator_pb2.RecordModelRefinementRequest
    ) -> validator_pb2.RecordModelRefinementResponse:
        """Puts an attempt to refine the predictor on the validator's record."""
        seconds = self._timeouts.short
        call = self._validator.RecordModelRefinement(request, timeout=seconds)
        return await self._validator_link.answer(call, within=seconds)

    async def validation_metrics(
        self, query: validator_pb2.GetValidationMetricsRequest
    ) -> validator_pb2.GetValidationMetricsResponse:
        """How good the predictions are."""
        seconds = self._timeouts.short
        call = self._validator.GetValidationMetrics(query, timeout=seconds)
        return await self._validator_link.answer(call, within=seconds)
