"""Servicers that answer what a test tells them to, on one real server, for tests of the client and the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from corun.errors import CorunError
from corun.plumbing.server import Server, Service
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun.v1.orchestrator_service_pb2_grpc import (
    OrchestratorServiceServicer,
    add_OrchestratorServiceServicer_to_server,
)
from corun.v1.resource_pool_service_pb2_grpc import (
    ResourcePoolServiceServicer,
    add_ResourcePoolServiceServicer_to_server,
)
from corun.v1.validator_service_pb2_grpc import ValidatorServiceServicer, add_ValidatorServiceServicer_to_server
from tests.fakes.scripted_pool import SEEDED_MODEL
from tests.fakes.unasked_record import UnaskedRecord

ExecutionEvent = orchestrator_pb2.ExecuteWithStrategyResponse
ComparisonEvent = orchestrator_pb2.CompareStrategiesResponse


def prediction(strategy: core_pb2.Strategy.ValueType = core_pb2.STRATEGY_PARALLEL) -> predictor_pb2.StrategyPrediction:
    """100 ms, 40 items/s, 500 MB, each with an interval of a tenth around it."""
    return predictor_pb2.StrategyPrediction(
        strategy=strategy,
        latency_ms=core_pb2.Estimate(value=100, low=90, high=110),
        throughput_items_per_second=core_pb2.Estimate(value=40, low=36, high=44),
        memory_mb=core_pb2.Estimate(value=500, low=450, high=550),
    )


def completed(**changes: Any) -> ExecutionEvent:
    """The terminal event of an execution that took 125 ms where 100 ms were predicted."""
    result = orchestrator_pb2.ExecutionResult(
        execution_id="e-1",
        chosen=orchestrator_pb2.StrategyChosen(
            strategy=core_pb2.STRATEGY_PARALLEL,
            recommended=core_pb2.STRATEGY_SEQUENTIAL,
            reason="100 ms against 140 ms",
            automatic=True,
            prediction=predictor_pb2.PredictResponse(predictor_version="v7"),
        ),
        predicted=prediction(),
        measured=pool_pb2.Measurement(
            performance=core_pb2.Performance(latency_ms=125, throughput_items_per_second=32, memory_mb=400),
            runs=[pool_pb2.RunMeasurement(model_name="bert-base-uncased", batch_size=4, lane_width=1, run_time_ms=120)],
            iteration_latencies_ms=[125],
            engine="chromium",
            adapter="SwiftShader",
            software_adapter=True,
        ),
        models=[SEEDED_MODEL],
        recorded=True,
        warnings=["memory was sampled once"],
    )
    result.MergeFrom(orchestrator_pb2.ExecutionResult(**changes))
    return ExecutionEvent(sequence=2, completed=result)


def in_two_browsers() -> pool_pb2.Measurement:
    """Text in chromium; vision in firefox, because edge, which was preferred, is not there."""
    places = (("bert-base-uncased", "chromium", "CPU"), ("vit-base-patch16-224", "firefox", "llvmpipe"))
    return pool_pb2.Measurement(
        lanes=[
            pool_pb2.LaneMeasurement(
                lane=number,
                connection_id=f"c-{number}",
                engine=engine,
                adapter=adapter,
                software_adapter=adapter == "llvmpipe",
                width=1,
                wasm_memory_mb=70,
                model_names=[name],
            )
            for number, (name, engine, adapter) in enumerate(places)
        ],
        fallbacks=[
            pool_pb2.EngineFallback(
                model_type="vision", preferred="edge", used="firefox", reason="msedge is not installed"
            )
        ],
        boundary_bytes=4096,
    )


def compared() -> ComparisonEvent:
    """The terminal event of a comparison: parallel best, sequential tied and recommended, batched failed."""
    failed = orchestrator_pb2.ComparedStrategy(strategy=core_pb2.STRATEGY_BATCHED, predicted=prediction())
    failed.error.code, failed.error.message = 14, "the browser was lost"
    measured = [
        orchestrator_pb2.ComparedStrategy(
            strategy=strategy,
            measured=core_pb2.Performance(latency_ms=latency, throughput_items_per_second=8, memory_mb=300),
            rounds=[core_pb2.Performance(latency_ms=latency, throughput_items_per_second=8, memory_mb=300)],
            noise=0.05,
            predicted=prediction(strategy),
            engine="chromium",
        )
        for strategy, latency in ((core_pb2.STRATEGY_PARALLEL, 120.0), (core_pb2.STRATEGY_SEQUENTIAL, 121.0))
    ]
    return ComparisonEvent(
        sequence=2,
        completed=orchestrator_pb2.ComparisonResult(
            comparison_id="c-1",
            best=core_pb2.STRATEGY_PARALLEL,
            recommended=core_pb2.STRATEGY_SEQUENTIAL,
            tied=[core_pb2.STRATEGY_PARALLEL, core_pb2.STRATEGY_SEQUENTIAL],
            recommendation_correct=True,
            improvement_percent=12.5,
            strategies=[*measured, failed],
            models=[SEEDED_MODEL],
            recorded=True,
        ),
    )


def summary(execution_id: str) -> orchestrator_pb2.ExecutionSummary:
    """An execution of one model on wasm that was cancelled."""
    return orchestrator_pb2.ExecutionSummary(
        execution_id=execution_id,
        kind=orchestrator_pb2.EXECUTION_KIND_EXECUTION,
        state=orchestrator_pb2.EXECUTION_STATE_CANCELLED,
        client_id="ada",
        workload=core_pb2.Workload(models=[core_pb2.ModelConfig(model_name="bert-base-uncased", batch_size=4)]),
        platform=core_pb2.PLATFORM_WASM,
        last_sequence=7,
    )


def configured(platform: core_pb2.Platform.ValueType) -> orchestrator_pb2.PlatformConfiguration:
    """A parallel threshold that was set by hand, and no memory threshold."""
    return orchestrator_pb2.PlatformConfiguration(
        platform=platform,
        values=predictor_pb2.StrategyConfiguration(parallel_threshold=4, batching_size=2),
        origins={
            "parallel_threshold": orchestrator_pb2.CONFIGURATION_ORIGIN_MANUAL,
            "batching_size": orchestrator_pb2.CONFIGURATION_ORIGIN_DEFAULT,
        },
    )


@dataclass
class ScriptedOrchestrator(OrchestratorServiceServicer):
    """Streams `events`, then raises `failure`, waits for ever with `hold`, or ends."""

    events: Sequence[Any] = ()
    failure: CorunError | None = None
    hold: bool = False
    requests: list[Any] = field(default_factory=list)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def ExecuteWithStrategy(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        async for event in self._script(request):
            yield event

    async def CompareStrategies(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        async for event in self._script(request):
            yield event

    async def WatchExecution(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        self.requests.append(request)
        for event in self.events[request.after_sequence :]:
            yield orchestrator_pb2.WatchExecutionResponse(execution=event)

    async def CancelExecution(self, request: Any, _context: Any) -> Any:
        self.requests.append(request)
        return orchestrator_pb2.CancelExecutionResponse(execution=summary(request.execution_id))

    async def ListExecutions(self, request: Any, _context: Any) -> Any:
        self.requests.append(request)
        return orchestrator_pb2.ListExecutionsResponse(executions=[summary("e-2"), summary("e-1")])

    async def GetValidationMetrics(self, _request: Any, _context: Any) -> Any:
        metrics = validator_pb2.GetValidationMetricsResponse(validation_count=3, database_path="/through/orchestrator")
        return orchestrator_pb2.OrchestratorServiceGetValidationMetricsResponse(metrics=metrics)

    async def GetRefinementStatus(self, request: Any, _context: Any) -> Any:
        self.requests.append(request)
        return orchestrator_pb2.GetRefinementStatusResponse(enabled=True)

    async def GetAdaptiveConfiguration(self, request: Any, _context: Any) -> Any:
        self.requests.append(request)
        return orchestrator_pb2.GetAdaptiveConfigurationResponse(
            current=configured(request.platform),
            defaults=predictor_pb2.StrategyConfiguration(batching_size=2),
            suggested=predictor_pb2.StrategyConfiguration(parallel_threshold=6, batching_size=2),
            sufficient=True,
            reason="less regret",
            evidence=orchestrator_pb2.AdaptationEvidence(
                validation_count=9,
                needed_validation_count=5,
                record_count=40,
                workload_count=8,
                needed_workload_count=5,
                default_regret=0.2,
                current_regret=0.1,
                suggested_regret=0.05,
                largest_memory_mb=512.0,
            ),
        )

    async def GetStrategyConfiguration(self, request: Any, _context: Any) -> Any:
        self.requests.append(request)
        return orchestrator_pb2.GetStrategyConfigurationResponse(configuration=configured(request.platform))

    async def UpdateStrategyConfiguration(self, request: Any, _context: Any) -> Any:
        self.requests.append(request)
        return orchestrator_pb2.UpdateStrategyConfigurationResponse(
            configuration=configured(request.platform), changed=True, reason="told to"
        )

    async def _script(self, request: Any) -> AsyncIterator[Any]:
        self.requests.append(request)
        for event in self.events:
            yield event
        if self.failure is not None:
            raise self.failure
        if self.hold:
            self.held.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()


class ScriptedValidator(UnaskedRecord):
    """Knows one error rate."""

    async def GetValidationMetrics(self, _request: Any, _context: Any) -> Any:
        overall = validator_pb2.ErrorSummary(validation_count=1, average=validator_pb2.ErrorRates(latency=0.25))
        return validator_pb2.GetValidationMetricsResponse(
            validation_count=1, overall=overall, database_path="/from/validator"
        )

    async def RecordExecution(self, request: Any, _context: Any) -> Any:
        raise NotImplementedError

    async def ValidatePrediction(self, request: Any, _context: Any) -> Any:
        raise NotImplementedError

    async def RecordOptimizationImpact(self, request: Any, _context: Any) -> Any:
        raise NotImplementedError

    async def GetRefinementRecommendations(self, request: Any, _context: Any) -> Any:
        raise NotImplementedError

    def GenerateValidationDataset(self, request: Any, _context: Any) -> Any:
        raise NotImplementedError

    async def RecordModelRefinement(self, request: Any, _context: Any) -> Any:
        raise NotImplementedError

    async def VisualizeValidationMetrics(self, request: Any, _context: Any) -> Any:
        raise NotImplementedError


@asynccontextmanager
async def serving(*servicers: Any) -> AsyncIterator[str]:
    """The address of a real server that hosts exactly these."""
    adders: dict[type, tuple[str, Callable[[Any, Any], None]]] = {
        OrchestratorServiceServicer: ("corun.v1.OrchestratorService", add_OrchestratorServiceServicer_to_server),
        ResourcePoolServiceServicer: ("corun.v1.ResourcePoolService", add_ResourcePoolServiceServicer_to_server),
        ValidatorServiceServicer: ("corun.v1.ValidatorService", add_ValidatorServiceServicer_to_server),
    }
    services = [
        Service(name, servicer, add)
        for servicer in servicers
        for kind, (name, add) in adders.items()
        if isinstance(servicer, kind)
    ]
    server = Server(host="127.0.0.1", port=0, grace_seconds=0)
    async with server.serving(services):
        yield server.address
