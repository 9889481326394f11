"""A predictor that says what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1.predictor_service_pb2_grpc import PredictorServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]

VERSION = "fake-1"

LATENCIES_MS: dict[core_pb2.Strategy.ValueType, float] = {
    core_pb2.STRATEGY_PARALLEL: 80.0,
    core_pb2.STRATEGY_SEQUENTIAL: 100.0,
    core_pb2.STRATEGY_BATCHED: 120.0,
}


def not_better() -> predictor_pb2.RefineModelResponse:
    """A judgement against the refined version."""
    return predictor_pb2.RefineModelResponse(
        reason="not better", error_before=0.2, error_after=0.25, record_count=20, held_out_count=5,
        predictor_version=VERSION,
    )  # fmt: skip


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class FakePredictor(PredictorServiceServicer):
    """Recommends `recommended`, and suggests profiles of the workload's models until a run of each is observed.

    Predicts 80, 100 and 120 ms for parallel, sequential and batched, 1,000 / latency items per second, and
    10 MB each; every model takes 40 ms alone. Plans put all runs in one stage (parallel), one run in a stage
    (sequential), or two (batched). With `learns` it learns nothing before that is set.
    """

    recommended: core_pb2.Strategy.ValueType = core_pb2.STRATEGY_PARALLEL
    reason: str = "parallel is predicted fastest: 80 ms against 100 and 120"
    suggestions: list[predictor_pb2.ProfileSuggestion] = field(default_factory=list)
    observe_error: Exception | None = None
    learns: asyncio.Event | None = None
    ignored_reasons: list[str] = field(default_factory=list)
    recommend_error: Exception | None = None
    recommend_requests: list[predictor_pb2.RecommendStrategyRequest] = field(default_factory=list)
    observe_requests: list[predictor_pb2.ObserveRequest] = field(default_factory=list)
    version: str = VERSION
    refinement: predictor_pb2.RefineModelResponse = field(default_factory=not_better)
    refine_error: Exception | None = None
    refine_requests: list[list[predictor_pb2.RefineModelRequest]] = field(default_factory=list)
    refine_started: asyncio.Event = field(default_factory=asyncio.Event)
    refining: asyncio.Event = field(default_factory=_set_event)

    async def Predict(self, request: predictor_pb2.PredictRequest, _context: Context) -> predictor_pb2.PredictResponse:
        """All three strategies."""
        observed = {each.model_name for sent in self.observe_requests for each in sent.observations}
        asked = {model.model_name for model in request.workload.models}
        return predictor_pb2.PredictResponse(
            predictions=[_prediction(strategy, request) for strategy in LATENCIES_MS],
            predictor_version=self.version,
            suggested_profiles=[each for each in self.suggestions if each.model_name in asked - observed],
        )

    async def RecommendStrategy(
        self, request: predictor_pb2.RecommendStrategyRequest, context: Context
    ) -> predictor_pb2.RecommendStrategyResponse:
        """The strategy that the test chose."""
        self.recommend_requests.append(request)
        if self.recommend_error is not None:
            raise self.recommend_error
        return predictor_pb2.RecommendStrategyResponse(
            strategy=self.recommended,
            reason=self.reason,
            tied=[self.recommended],
            prediction=await self.Predict(request.prediction, context),
        )

    async def Observe(self, request: predictor_pb2.ObserveRequest, _context: Context) -> predictor_pb2.ObserveResponse:
        """Remembers the request."""
        if self.observe_error is not None:
            raise self.observe_error
        if self.learns is not None:
            await self.learns.wait()
        self.observe_requests.append(request)
        return predictor_pb2.ObserveResponse(
            learned_count=len(request.observations), predictor_version=VERSION, ignored_reasons=self.ignored_reasons
        )

    async def RefineModel(
        self, requests: AsyncIterator[predictor_pb2.RefineModelRequest], _context: Context
    ) -> predictor_pb2.RefineModelResponse:
        """Says `refinement`, once `refining` is set; from then on predictions name its version."""
        received = [request async for request in requests]
        self.refine_requests.append(received)
        self.refine_started.set()
        await self.refining.wait()
        if self.refine_error is not None:
            raise self.refine_error
        self.version = self.refinement.predictor_version
        return self.refinement

    async def ListModelVersions(
        self, _request: predictor_pb2.ListModelVersionsRequest, _context: Context
    ) -> predictor_pb2.ListModelVersionsResponse:
        """The unrefined one."""
        return predictor_pb2.ListModelVersionsResponse(versions=[predictor_pb2.ModelVersion(serving=True)])

    async def RollBackModel(
        self, _request: predictor_pb2.RollBackModelRequest, _context: Context
    ) -> predictor_pb2.RollBackModelResponse:
        """To the unrefined one."""
        return predictor_pb2.RollBackModelResponse(
            serving=predictor_pb2.ModelVersion(serving=True), predictor_version=VERSION
        )


def _prediction(
    strategy: core_pb2.Strategy.ValueType, request: predictor_pb2.PredictRequest
) -> predictor_pb2.StrategyPrediction:
    latency = LATENCIES_MS[strategy]
    return predictor_pb2.StrategyPrediction(
        strategy=strategy,
        plan=_plan(strategy, request.workload, request.environment.core_count),
        latency_ms=_estimate(latency),
        throughput_items_per_second=_estimate(1000 / latency),
        memory_mb=_estimate(10.0),
        terms=_terms(latency, request.workload),
    )


def _terms(latency: float, workload: core_pb2.Workload) -> predictor_pb2.PredictionTerms:
    """Every model takes 40 ms alone; whatever that leaves of the latency is called contention."""
    solo_times = [
        predictor_pb2.SoloTime(
            model_name=model.model_name,
            batch_size=model.batch_size,
            lane_width=1,
            time_ms=_estimate(40.0),
            basis=predictor_pb2.SOLO_BASIS_GRAPH,
        )
        for model in workload.models
    ]
    return predictor_pb2.PredictionTerms(
        solo_ms=40.0, contention_ms=latency - 41.0, dispatch_ms=1.0, weights_mb=6.0, lanes_mb=4.0, solo_times=solo_times
    )


def _estimate(value: float) -> core_pb2.Estimate:
    return core_pb2.Estimate(value=value, low=value * 0.9, high=value * 1.1)


def _plan(strategy: core_pb2.Strategy.ValueType, workload: core_pb2.Workload, core_count: int) -> core_pb2.Plan:
    count = len(workload.models)
    group = {core_pb2.STRATEGY_PARALLEL: count, core_pb2.STRATEGY_SEQUENTIAL: 1}.get(strategy, 2)
    stages = []
    for start in range(0, count, group):
        members = range(start, min(start + group, count))
        stages.append(core_pb2.Stage(runs=[_run(workload, index, lane) for lane, index in enumerate(members)]))
    lanes = min(group, count)
    return core_pb2.Plan(strategy=strategy, stages=stages, lane_widths=[max(1, core_count // lanes)] * lanes)


def _run(workload: core_pb2.Workload, index: int, lane: int) -> core_pb2.PlannedRun:
    model = workload.models[index]
    return core_pb2.PlannedRun(model_name=model.model_name, batch_size=model.batch_size, lane=lane, members=[index])
