"""The blocking client's calls of the validator."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from corun.v1 import validator_service_pb2 as validator_pb2
from corun_client import validator_calls
from corun_client.conversion.dataset_records import DatasetRecord
from corun_client.conversion.metrics import metrics_report
from corun_client.conversion.reports import MetricsReport
from corun_client.conversion.requests import ModelConfig
from corun_client.conversion.validation_reports import RecommendationReport, RecordedRefinement, ValidationReport
from corun_client.errors import NotHosted
from corun_client.pool_client import PoolClient

_Report = TypeVar("_Report")


class ValidatorClient(PoolClient):
    """Calls of the validator.

    Filters: `platform` webgpu, webnn or wasm (cpu is another name of wasm), `strategy` parallel, sequential or batched;
    None is all. Settings that are None are the service's. Metrics also come through an orchestrator; the other calls
    need a target that hosts the validator.
    """

    def metrics(
        self,
        *,
        platform: str | None = None,
        strategy: str | None = None,
        recent_count: int | None = None,
        history_size: int | None = None,
        trends: bool = True,
        history: bool = False,
        timeout_seconds: float | None = None,
    ) -> MetricsReport:
        """How good the predictions were.

        Args:
            platform: Only this one.
            strategy: Only this one.
            recent_count: How many of the newest validations count as recent.
            history_size: How many of each platform's newest validations trends and history are made of.
            trends: False leaves trends and drift out.
            history: True adds those validations, and refinements.
            timeout_seconds: Deadline; half a minute by default.
        """
        query = validator_calls.metrics_query(
            platform=platform,
            strategy=strategy,
            recent_count=recent_count,
            history_size=history_size,
            trends=trends,
            history=history,
        )
        return self.read_metrics(query, lambda answer: metrics_report(answer, with_history=history), timeout_seconds)

    def read_metrics(
        self,
        query: validator_pb2.GetValidationMetricsRequest,
        read: Callable[[validator_pb2.GetValidationMetricsResponse], _Report],
        timeout_seconds: float | None = None,
    ) -> _Report:
        """What `read` makes of the metrics: from the orchestrator, or the validator where only that is hosted."""
        try:
            return self.answer(validator_calls.metrics(query, read, timeout_seconds))
        except NotHosted:
            return self.answer(validator_calls.validator_metrics(query, read, timeout_seconds))

    def validate_prediction(
        self,
        *,
        prediction: Mapping[str, object],
        actual_measurement: Mapping[str, object],
        model_configs: Sequence[ModelConfig],
        hardware_platform: str,
        execution_strategy: str,
        optimization_goal: str = "latency",
        error_threshold: float | None = None,
        execution_id: str | None = None,
        engine: str = "",
        predictor_version: str = "",
        timeout_seconds: float | None = None,
    ) -> ValidationReport:
        """Holds a prediction against a measurement and puts both on record.

        Args:
            prediction: `latency` (ms), `throughput` (items/s) and `memory` (MB), or these with `predicted_` before.
            actual_measurement: The same as measured, or with `actual_` before; a report of `execute` is both.
            model_configs: Models that ran together.
            hardware_platform: Where.
            execution_strategy: How.
            optimization_goal: What the choice of the strategy was for.
            error_threshold: Largest acceptable error.
            execution_id: Unique; repeating it changes nothing. None makes one.
            engine: Browser.
            predictor_version: That made the prediction.
            timeout_seconds: Deadline; half a minute by default.
        """
        call = validator_calls.validate_prediction(
            timeout_seconds,
            prediction=prediction,
            actual_measurement=actual_measurement,
            model_configs=model_configs,
            hardware_platform=hardware_platform,
            execution_strategy=execution_strategy,
            optimization_goal=optimization_goal,
            error_threshold=error_threshold,
            execution_id=execution_id,
            engine=engine,
            predictor_version=predictor_version,
        )
        return self.answer(call)

    def refinement_recommendations(
        self,
        *,
        platform: str | None = None,
        history_size: int | None = None,
        error_threshold: float | None = None,
        refinement_interval: int | None = None,
        timeout_seconds: float | None = None,
    ) -> RecommendationReport:
        """Whether the predictor should be refined, by which method, and why."""
        call = validator_calls.recommendations(
            platform=platform,
            history_size=history_size,
            error_threshold=error_threshold,
            refinement_interval=refinement_interval,
            timeout_seconds=timeout_seconds,
        )
        return self.answer(call)

    def record_model_refinement(
        self,
        *,
        errors_before: Mapping[str, float],
        errors_after: Mapping[str, float],
        method: str,
        platform: str | None = None,
        accepted: bool = True,
        record_count: int = 0,
        held_out_count: int = 0,
        predictor_version_before: str = "",
        predictor_version_after: str = "",
        reason: str = "",
        refinement_id: str | None = None,
        timeout_seconds: float | None = None,
    ) -> RecordedRefinement:
        """Puts an attempt to refine the predictor on record: what validations after it say is of the refined one."""
        call = validator_calls.record_refinement(
            timeout_seconds,
            errors_before=errors_before,
            errors_after=errors_after,
            method=method,
            platform=platform,
            accepted=accepted,
            record_count=record_count,
            held_out_count=held_out_count,
            predictor_version_before=predictor_version_before,
            predictor_version_after=predictor_version_after,
            reason=reason,
            refinement_id=refinement_id,
        )
        return self.answer(call)

    def validation_dataset(
        self,
        *,
        platform: str | None = None,
        strategy: str | None = None,
        engine: str | None = None,
        after_time: datetime | None = None,
        max_records: int | None = None,
        include_unvalidated: bool = False,
        timeout_seconds: float | None = None,
    ) -> Generator[DatasetRecord, None, None]:
        """Streams records of executions, the newest `max_records` (20,000), in the order they were recorded.

        `corun_client.ValidationDataset` makes an Arrow table or a pandas frame of them.
        """
        call = validator_calls.dataset(
            platform=platform,
            strategy=strategy,
            engine=engine,
            after_time=after_time,
            max_records=max_records,
            include_unvalidated=include_unvalidated,
            timeout_seconds=timeout_seconds,
        )
        return self.responses(call)
