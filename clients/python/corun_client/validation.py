"""The guide's `MultiModelEmpiricalValidator`: settings of the validator, and its metrics."""

from __future__ import annotations

from pathlib import Path

from corun_client.client import Client
from corun_client.conversion.numbers import error_threshold_of, whole_number
from corun_client.conversion.reports import MetricsReport
from corun_client.errors import NotInitialized


class MultiModelEmpiricalValidator:
    """Settings for the validator of an integration's embedded services, and its metrics while that runs.

    Args:
        db_path: DuckDB file; None is the validator's own default.
        validation_history_size: Accepted and without effect in this version: every record stays in the database.
        error_threshold: Largest acceptable error, 0.15 meaning 15 %; None is the validator's own default.
        refinement_interval: Accepted and without effect in this version.
        enable_trend_analysis: Accepted and without effect in this version.
        enable_visualization: Accepted and without effect in this version.
        verbose: Shows the services' logs.

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
        enable_visualization: bool = False,
        verbose: bool = False,
    ) -> None:
        self.db_path = db_path
        self.validation_history_size = whole_number(
            validation_history_size, parameter="validation_history_size", at_least=1
        )
        self.error_threshold = None if error_threshold is None else error_threshold_of(error_threshold)
        self.refinement_interval = whole_number(refinement_interval, parameter="refinement_interval", at_least=1)
        self.enable_trend_analysis = enable_trend_analysis
        self.enable_visualization = enable_visualization
        self.verbose = verbose
        self._client: Client | None = None

    def attach(self, client: Client | None) -> None:
        """Gives it the client of the integration it belongs to, which stays the integration's; None takes it away."""
        self._client = client

    def get_validation_metrics(self) -> MetricsReport:
        """How good the predictions were.

        Raises:
            NotInitialized: when no initialized integration uses this validator.
        """
        if self._client is None:
            raise NotInitialized("this validator has no running integration: pass it as validator= and initialize()")
        return self._client.metrics()

    def close(self) -> None:
        """Lets go of the integration. The integration itself closes what it started."""
        self._client = None
