"""Every call that a client makes: the request, the deadline and how the answer is read. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun_client import deadlines
from corun_client.conversion import inference, pool, requests
from corun_client.conversion.execution import comparison_report, execution_report
from corun_client.conversion.metrics import metrics_report
from corun_client.conversion.names import platform_of
from corun_client.conversion.reports import ComparisonReport, ExecutionReport, MetricsReport
from corun_client.failures import from_event

ExecutionEvent = orchestrator_pb2.ExecuteWithStrategyResponse
ComparisonEvent = orchestrator_pb2.CompareStrategiesResponse

_Event = TypeVar("_Event")
_Report = TypeVar("_Report")

ORCHESTRATOR = "orchestrator"
POOL = "resource pool"
VALIDATOR = "validator"


@dataclass(frozen=True, slots=True)
class Call(Generic[_Report]):
    """A call with one answer.

    Attributes:
        service: The service in words.
        method: Name of the RPC.
        request: Its request.
        seconds: Its deadline.
        read: Makes the report of the response.
    """

    service: str
    method: str
    request: Any
    seconds: float
    read: Callable[[Any], _Report]


@dataclass(frozen=True, slots=True)
class StreamedCall(Generic[_Event, _Report]):
    """A call of the orchestrator whose answer is a stream of events.

    Attributes:
        method: Name of the RPC.
        request: Its request.
        seconds: Its deadline.
        outcome: Makes the report of the terminal event, raises for a failed one, gives None for others.
    """

    method: str
    request: Any
    seconds: float
    outcome: Callable[[_Event], _Report | None]


def execute(
    *,
    models: Sequence[requests.ModelConfig],
    platform: str,
    strategy: str | None,
    goal: str,
    iterations: int,
    validation: orchestrator_pb2.ValidationPolicy | None,
    timeout_seconds: float | None,
) -> StreamedCall[ExecutionEvent, ExecutionReport]:
    """Runs models together."""
    request = requests.execute_request(
        workload=requests.workload_of(models, iterations=iterations),
        platform=platform,
        strategy=strategy,
        goal=goal,
        validation=validation,
    )

    def outcome(event: ExecutionEvent) -> ExecutionReport | None:
        if event.HasField("failed"):
            raise from_event(event.failed)
        return execution_report(request, event.completed) if event.HasField("completed") else None

    seconds = deadlines.deadline(timeout_seconds, deadlines.EXECUTE)
    return StreamedCall("ExecuteWithStrategy", request, seconds, outcome)


def compare(
    *,
    models: Sequence[requests.ModelConfig],
    platform: str,
    goal: str,
    strategies: Sequence[str],
    iterations: int,
    rounds: int | None,
    timeout_seconds: float | None,
) -> StreamedCall[ComparisonEvent, ComparisonReport]:
    """Runs models under several strategies."""
    request = requests.compare_request(
        workload=requests.workload_of(models, iterations=iterations),
        platform=platform,
        goal=goal,
        strategies=strategies,
        rounds=rounds,
    )

    def outcome(event: ComparisonEvent) -> ComparisonReport | None:
        if event.HasField("failed"):
            raise from_event(event.failed)
        return comparison_report(request, event.completed) if event.HasField("completed") else None

    seconds = deadlines.deadline(timeout_seconds, deadlines.COMPARE)
    return StreamedCall("CompareStrategies", request, seconds, outcome)


def metrics(timeout_seconds: float | None) -> Call[MetricsReport]:
    """The validator's metrics through the orchestrator."""
    request = orchestrator_pb2.OrchestratorServiceGetValidationMetricsRequest()
    request.query.SetInParent()
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(ORCHESTRATOR, "GetValidationMetrics", request, seconds, lambda answer: metrics_report(answer.metrics))


def validator_metrics(timeout_seconds: float | None) -> Call[MetricsReport]:
    """The validator's metrics from the validator itself."""
    request = validator_pb2.GetValidationMetricsRequest()
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(VALIDATOR, "GetValidationMetrics", request, seconds, metrics_report)


def list_models(names: Sequence[str], timeout_seconds: float | None) -> Call[list[pool.ModelReport]]:
    """All models, or those named."""
    request = pool_pb2.ListModelsRequest(names=names)
    seconds = deadlines.deadline(timeout_seconds, deadlines.PREPARE if names else deadlines.QUICK)
    return Call(
        POOL, "ListModels", request, seconds, lambda answer: [pool.model_report(each) for each in answer.models]
    )


def capabilities(timeout_seconds: float | None) -> Call[pool.CapabilityReport]:
    """What the pool can do."""
    seconds = deadlines.deadline(timeout_seconds, deadlines.PROBE)
    return Call(POOL, "GetCapabilities", pool_pb2.GetCapabilitiesRequest(), seconds, pool.capability_report)


def infer(
    model_name: str,
    *,
    platform: str,
    texts: Sequence[str] | None,
    images: Sequence[bytes] | None,
    audio: Sequence[bytes] | None,
    tensors: Mapping[str, object] | None,
    timeout_seconds: float | None,
) -> Call[inference.Inference]:
    """Runs one model on the caller's input."""
    request = inference.infer_request(
        model_name, platform=platform, texts=texts, images=images, audio=audio, tensors=tensors
    )
    seconds = deadlines.deadline(timeout_seconds, deadlines.PREPARE)
    return Call(POOL, "Infer", request, seconds, inference.inference)


def load(model_name: str, *, platform: str, timeout_seconds: float | None) -> Call[float]:
    """Loads a model; the report is the time it took in milliseconds."""
    request = pool_pb2.LoadModelRequest(model_name=model_name, platform=platform_of(platform))
    seconds = deadlines.deadline(timeout_seconds, deadlines.PREPARE)
    return Call(POOL, "LoadModel", request, seconds, lambda answer: float(answer.load_time_ms))


def unload(model_name: str, *, platform: str | None, timeout_seconds: float | None) -> Call[int]:
    """Unloads a model; the report is the number of sessions released."""
    request = pool_pb2.UnloadModelRequest(model_name=model_name)
    if platform is not None:
        request.platform = platform_of(platform)
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(POOL, "UnloadModel", request, seconds, lambda answer: int(answer.session_count))


def pool_status(timeout_seconds: float | None) -> Call[pool.PoolReport]:
    """What is alive in the pool."""
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(POOL, "GetPoolStatus", pool_pb2.GetPoolStatusRequest(), seconds, pool.pool_report)
