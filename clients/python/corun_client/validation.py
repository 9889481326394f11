"""The guide's `MultiModelEmpiricalValidator`."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from corun.plumbing.logs import configure_logs
from corun_client.client import Client, connect
from corun_client.conversion.numbers import error_threshold_of, whole_number
from corun_client.conversion.reports import MetricsReport
from corun_client.conversion.requests import ModelConfig
from corun_client.conversion.validation_reports import RecommendationReport, RecordedRefinement, ValidationReport
from corun_client.dataset import ValidationDataset
from corun_client.embedded import EmbeddedValidator
from corun_client.errors import InvalidArgument, NotInitialized
from corun_client.target import checked_target
from corun_client.visualization import Visualization, visualized

_MOST_HISTORY = 10_000
# A recommendation says nothing of fewer validations, and does not look at more.
_RECOMMENDATION_HISTORY = (5, 1000)


class MultiModelEmpiricalValidator:
    """How good predictions were, and what to do about it.

    While an integration uses it, it asks the integration's validator. Otherwise it asks the one at `target`, or starts
    one of its own on first use, which holds the database until `close`.

    Args:
        db_path: DuckDB file; None is the validator's own default.
        validation_history_size: Newest validations of each platform that trends and recommendations are made of, 1 to
            10000. Every record stays in the database.
        error_threshold: Largest acceptable error, 0.15 meaning 15 %; None is the validator's own default (0.15).
        refinement_interval: Validations on a platform between two refinements.
        enable_trend_analysis: False leaves trends and drift out of the metrics.
        enable_visualization: False draws nothing.
        verbose: Shows the services' logs.
        target: HOST:PORT of a running validator, where no integration brings one. Its own db_path counts then.

    Raises:
        InvalidArgument: for a value that breaks its rule.
    """

    def __init__(
        self,
        *,
        db_path: str | Path | None = None,
        validation_history_size: int = 100,
        error_threshold: float | None = None,
        refinement_interval: int = 10,
        enable_trend_analysis: bool = True,
        enable_visualization: bool = True,
        verbose: bool = False,
        target: str | None = None,
    ) -> None:
        self.db_path = db_path
        self.validation_history_size = whole_number(
            validation_history_size, parameter="validation_history_size", at_least=1
        )
        if validation_history_size > _MOST_HISTORY:
            raise InvalidArgument.of(
                "validation_history_size", f"expected at most {_MOST_HISTORY}; received {validation_history_size}"
            )
        self.error_threshold = None if error_threshold is None else error_threshold_of(error_threshold)
        self.refinement_interval = whole_number(refinement_interval, parameter="refinement_interval", at_least=1)
        self.enable_trend_analysis = enable_trend_analysis
        self.enable_visualization = enable_visualization
        self.verbose = verbose
        self.target = None if target is None else checked_target(target)
        self._client: Client | None = None
        self._own = ExitStack()
        self._changing = threading.Lock()
        self._closed = False

    def attach(self, client: Client | None) -> None:
        """Gives it the client of the integration that uses it, which stays the integration's; None takes it away.

        What it started itself ends: two services cannot hold one database.
        """
        with self._changing:
            self._own.close()
            self._client, self._closed = client, self._closed and client is None

    def validate_prediction(
        self,
        prediction: Mapping[str, object],
        actual_measurement: Mapping[str, object],
        model_configs: Sequence[ModelConfig],
        hardware_platform: str,
        execution_strategy: str,
        *,
        optimization_goal: str = "latency",
        execution_id: str | None = None,
        engine: str = "",
        predictor_version: str = "",
    ) -> ValidationReport:
        """Holds a prediction against a measurement and puts both on record; see `Client.validate_prediction`.

        A report of `execute_with_strategy` is both a prediction and a measurement.
        """
        return self._asked().validate_prediction(
            prediction=prediction,
            actual_measurement=actual_measurement,
            model_configs=model_configs,
            hardware_platform=hardware_platform,
            execution_strategy=execution_strategy,
            optimization_goal=optimization_goal,
            error_threshold=self.error_threshold,
            execution_id=execution_id,
            engine=engine,
            predictor_version=predictor_version,
        )

    def get_validation_metrics(self, *, include_history: bool = False) -> MetricsReport:
        """How good the predictions were: errors, bias, trends, platforms, strategies; on request each validation."""
        return self._asked().metrics(
            history_size=self.validation_history_size, trends=self.enable_trend_analysis, history=include_history
        )

    def get_refinement_recommendations(self, hardware_platform: str | None = None) -> RecommendationReport:
        """Whether the predictor should be refined, by which method, and why; None looks at every platform."""
        least, most = _RECOMMENDATION_HISTORY
        return self._asked().refinement_recommendations(
            platform=hardware_platform,
            history_size=min(most, max(least, self.validation_history_size)),
            error_threshold=self.error_threshold,
            refinement_interval=self.refinement_interval,
        )

    def generate_validation_dataset(
        self,
        hardware_platform: str | None = None,
        execution_strategy: str | None = None,
        *,
        engine: str | None = None,
        after_time: datetime | None = None,
        max_records: int | None = None,
        include_unvalidated: bool = False,
    ) -> ValidationDataset:
        """Complete records of executions, the newest 20,000 unless `max_records` says otherwise, oldest first.

        Args:
            hardware_platform: Only this one.
            execution_strategy: Only this one.
            engine: Only this browser.
            after_time: Only executions that ended later; with a time zone.
            max_records: How many, 1 to 1000000.
            include_unvalidated: Executions that were recorded without a validation too.
        """
        return ValidationDataset(
            self._asked().validation_dataset(
                platform=hardware_platform,
                strategy=execution_strategy,
                engine=engine,
                after_time=after_time,
                max_records=max_records,
                include_unvalidated=include_unvalidated,
            )
        )

    def record_model_refinement(
        self,
        pre_refinement_errors: Mapping[str, float],
        post_refinement_errors: Mapping[str, float],
        refinement_method: str,
        *,
        hardware_platform: str | None = None,
        accepted: bool = True,
        record_count: int = 0,
        held_out_count: int = 0,
        predictor_version_before: str = "",
        predictor_version_after: str = "",
        reason: str = "",
        refinement_id: str | None = None,
    ) -> RecordedRefinement:
        """Puts an attempt to refine the predictor on record, with errors by figure (latency, throughput, memory).

        After an accepted one, recommendations rest on later validations only.
        """
        return self._asked().record_model_refinement(
            errors_before=pre_refinement_errors,
            errors_after=post_refinement_errors,
            method=refinement_method,
            platform=hardware_platform,
            accepted=accepted,
            record_count=record_count,
            held_out_count=held_out_count,
            predictor_version_before=predictor_version_before,
            predictor_version_after=predictor_version_after,
            reason=reason,
            refinement_id=refinement_id,
        )

    def visualize_validation_metrics(
        self, metric_type: str = "error_rates", *, hardware_platform: str | None = None
    ) -> Visualization:
        """A matplotlib figure of `error_rates`, `trends`, `hardware` or `strategy`, which a notebook shows by itself.

        `success` is False where there is nothing to draw or drawing is disabled, and `reason` says which.

        Raises:
            ImportError: without matplotlib.
        """
        return visualized(
            metric_type,
            self._asked,
            enabled=self.enable_visualization,
            platform=hardware_platform,
            history_size=self.validation_history_size,
            trends=self.enable_trend_analysis,
        )

    def close(self) -> None:
        """Ends what it started itself, and lets go of the integration. Closing twice is fine."""
        self.attach(None)
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _asked(self) -> Client:
        with self._changing:
            if self._closed:
                raise NotInitialized("this validator is closed: make another, or initialize() its integration")
            if self._client is None:
                self._client = self._started()
            return self._client

    def _started(self) -> Client:
        with ExitStack() as stack:
            address = self.target or stack.enter_context(self._embedded())
            client = stack.enter_context(connect(address))
            stack.callback(self._forget)
            self._own = stack.pop_all()
        return client

    def _forget(self) -> None:
        self._client = None

    def _embedded(self) -> EmbeddedValidator:
        if self.verbose or not structlog.is_configured():  # structlog would print everything to standard output
            configure_logs(verbose=self.verbose)
        return EmbeddedValidator(
            db_path=self.db_path,
            error_threshold=self.error_threshold,
            history_size=self.validation_history_size,
            refinement_interval=self.refinement_interval,
            enable_trend_analysis=self.enable_trend_analysis,
        )
