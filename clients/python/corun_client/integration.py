"""The guide's `MultiModelResourcePoolIntegration`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, Unpack

import structlog

from corun.plumbing.logs import configure_logs
from corun_client import calls
from corun_client.client import Client, connect
from corun_client.conversion.configuration import AdaptiveConfigurationReport, UpdateReport
from corun_client.conversion.names import goal_of, platform_of, strategy_of
from corun_client.conversion.numbers import error_threshold_of, whole_number
from corun_client.conversion.options import CompareOptions, ExecuteOptions
from corun_client.conversion.preferences import browser_preferences_of
from corun_client.conversion.reports import ComparisonReport, ExecutionReport, MetricsReport
from corun_client.conversion.requests import ModelConfig
from corun_client.embedded import EmbeddedThread
from corun_client.errors import InvalidArgument, NotInitialized
from corun_client.resource_pool import ResourcePool
from corun_client.target import checked_target
from corun_client.validation import MultiModelEmpiricalValidator

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")


class MultiModelResourcePoolIntegration:
    """Predicts, runs, measures and validates sets of models, on services of its own or at `target`.

    Without `target`, `initialize` starts the four services in this process and `close` ends them.

    Args:
        predictor: Must be None: a predictor is a service; name a deployment that has it with `target`.
        resource_pool: Must be None, for the same reason.
        validator: Settings of the validator; it stays the caller's, and can be asked before, meanwhile and afterwards.
        max_connections: Most browsers at once; None is the pool's own default.
        browser_preferences: Browser to prefer for each model type: text_embedding (or text), text_generation, vision,
            audio, multimodal, to chromium, chromium-shell, firefox, chrome, msedge or edge. Where it cannot serve
            another does, and results say so.
        enable_empirical_validation: False never validates.
        validation_interval: Validate every n-th execution on a platform; None is the service's setting (10).
        prediction_refinement: False never refines the predictor. True refines it beside executions, whenever the
            validator recommends it.
        db_path: DuckDB file of the embedded validator; None is its own default.
        error_threshold: Largest acceptable error; None is the service's setting (0.15, meaning 15 %).
        enable_adaptive_optimization: False adapts what bounds the choice only when asked. True does it after
            validations too, but for values that were set by hand.
        exploration_rate: Share of automatic choices, 0 to 1, that try an alternative which may be as good as the best,
            so that it can be learnt of; None is the service's setting (none).
        enable_trend_analysis: False leaves trends and drift out of the metrics.
        verbose: Shows the embedded services' logs on standard error.
        target: HOST:PORT of running services. Their own settings count then, of connections, database, refinement,
            adaptation and exploration.

    Raises:
        InvalidArgument: for a value that breaks its rule.
    """

    def __init__(
        self,
        *,
        predictor: None = None,
        resource_pool: None = None,
        validator: MultiModelEmpiricalValidator | None = None,
        max_connections: int | None = None,
        browser_preferences: Mapping[str, str] | None = None,
        enable_empirical_validation: bool = True,
        validation_interval: int | None = None,
        prediction_refinement: bool = True,
        db_path: str | Path | None = None,
        error_threshold: float | None = None,
        enable_adaptive_optimization: bool = True,
        exploration_rate: float | None = None,
        enable_trend_analysis: bool = True,
        verbose: bool = False,
        target: str | None = None,
    ) -> None:
        _refuse_instance("predictor", predictor)
        _refuse_instance("resource_pool", resource_pool)
        if validator is not None and not isinstance(validator, MultiModelEmpiricalValidator):
            raise InvalidArgument.of("validator", f"expected a MultiModelEmpiricalValidator; received {validator!r}")
        self._owns_validator = validator is None
        self.validator = validator or MultiModelEmpiricalValidator(
            db_path=db_path, error_threshold=error_threshold, enable_trend_analysis=enable_trend_analysis
        )
        self.max_connections = _positive(max_connections, "max_connections")
        self.browser_preferences = browser_preferences_of(browser_preferences)
        self.enable_empirical_validation = enable_empirical_validation
        self.validation_interval = _positive(validation_interval, "validation_interval")
        self.prediction_refinement = prediction_refinement
        self.db_path = _one_of("db_path", _path(db_path), _path(self.validator.db_path))
        threshold = None if error_threshold is None else error_threshold_of(error_threshold)
        self.error_threshold = _one_of("error_threshold", threshold, self.validator.error_threshold)
        self.enable_adaptive_optimization = enable_adaptive_optimization
        self.exploration_rate = exploration_rate
        self.enable_trend_analysis = enable_trend_analysis
        self.verbose = verbose or self.validator.verbose
        self.target = None if target is None else checked_target(target)
        self._client: Client | None = None
        self._resource_pool: ResourcePool | None = None
        self._stack = ExitStack()

    def initialize(self) -> None:
        """Starts the services, or connects to `target`. Initializing twice is fine.

        Raises:
            CorunError: what kept a service from starting, for example another process that holds the database.
        """
        if self._client is not None:
            return
        self.validator.attach(None)  # what it started itself would hold the database
        with ExitStack() as stack:
            address = self.target or stack.enter_context(self._embedded())
            client = stack.enter_context(connect(address))
            resource_pool = ResourcePool(client, browser_preferences=self.browser_preferences)
            stack.callback(resource_pool.close)
            self._stack = stack.pop_all()
        self.validator.attach(client)
        self._client, self._resource_pool = client, resource_pool
        if self.target is not None:
            self._say_what_the_target_decides()

    @property
    def resource_pool(self) -> ResourcePool:
        """Models to call, and the tensors that they share.

        Raises:
            NotInitialized: before `initialize()` and after `close()`.
        """
        if self._resource_pool is None:
            raise NotInitialized("this integration is not running: call initialize() first")
        return self._resource_pool

    def execute_with_strategy(
        self,
        model_configs: Sequence[ModelConfig],
        hardware_platform: str = "webgpu",
        execution_strategy: str | None = None,
        optimization_goal: str = "latency",
        *,
        iterations: int = 1,
        on_event: Callable[[calls.ExecutionEvent], None] | None = None,
        timeout_seconds: float | None = None,
        **options: Unpack[ExecuteOptions],
    ) -> ExecutionReport:
        """Runs the models together; see `Client.execute`. Strategy None takes the best by prediction."""
        platform_of(hardware_platform, parameter="hardware_platform")
        strategy_of(execution_strategy, parameter="execution_strategy")
        goal_of(optimization_goal, parameter="optimization_goal")
        return self._connected().execute(
            models=model_configs,
            platform=hardware_platform,
            strategy=execution_strategy,
            goal=optimization_goal,
            iterations=iterations,
            validation_interval=self.validation_interval,
            error_threshold=self.error_threshold,
            validate=self.enable_empirical_validation,
            browser_preferences=self.browser_preferences,
            on_event=on_event,
            timeout_seconds=timeout_seconds,
            **options,
        )

    def compare_strategies(
        self,
        model_configs: Sequence[ModelConfig],
        hardware_platform: str = "webgpu",
        optimization_goal: str = "latency",
        *,
        strategies: Sequence[str] = (),
        rounds: int | None = None,
        iterations: int = 1,
        on_event: Callable[[calls.ComparisonEvent], None] | None = None,
        timeout_seconds: float | None = None,
        **options: Unpack[CompareOptions],
    ) -> ComparisonReport:
        """Runs the models under every strategy, in interleaved rounds, and says which was best."""
        platform_of(hardware_platform, parameter="hardware_platform")
        goal_of(optimization_goal, parameter="optimization_goal")
        return self._connected().compare(
            models=model_configs,
            platform=hardware_platform,
            goal=optimization_goal,
            strategies=strategies,
            rounds=rounds,
            iterations=iterations,
            browser_preferences=self.browser_preferences,
            on_event=on_event,
            timeout_seconds=timeout_seconds,
            **options,
        )

    def get_validation_metrics(self) -> MetricsReport:
        """How good the predictions were, and what choosing strategies was worth."""
        return self._connected().metrics(
            history_size=self.validator.validation_history_size,
            trends=self.enable_trend_analysis and self.validator.enable_trend_analysis,
        )

    def get_adaptive_configuration(self, hardware_platform: str = "webgpu") -> AdaptiveConfigurationReport:
        """The values that an adaptive update would set, with the evidence; see `Client.adaptive_configuration`."""
        return self._connected().adaptive_configuration(hardware_platform)

    def update_strategy_configuration(
        self, hardware_platform: str = "webgpu", config: Mapping[str, object] | None = None
    ) -> UpdateReport:
        """Sets what bounds the choice, or without `config` adapts it; see `Client.update_strategy_configuration`."""
        return self._connected().update_strategy_configuration(hardware_platform, config)

    def close(self) -> None:
        """Disconnects, and ends the services that `initialize` started. Closing twice is fine."""
        self._client = self._resource_pool = None
        self._let_go_of_validator()
        self._stack.close()

    def __enter__(self) -> Self:
        self.initialize()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connected(self) -> Client:
        if self._client is None:
            raise NotInitialized("this integration is not running: call initialize() first")
        return self._client

    def _let_go_of_validator(self) -> None:
        if self._owns_validator:
            self.validator.close()
        else:
            self.validator.attach(None)

    def _embedded(self) -> EmbeddedThread:
        if self.verbose or not structlog.is_configured():  # structlog would print everything to standard output
            configure_logs(verbose=self.verbose)
        return EmbeddedThread(
            max_connections=self.max_connections,
            db_path=self.db_path,
            validation_interval=self.validation_interval,
            error_threshold=self.error_threshold,
            history_size=self.validator.validation_history_size,
            refinement_interval=self.validator.refinement_interval,
            prediction_refinement=self.prediction_refinement,
            enable_adaptive_optimization=self.enable_adaptive_optimization,
            exploration_rate=self.exploration_rate,
            enable_trend_analysis=self.enable_trend_analysis and self.validator.enable_trend_analysis,
        )

    def _say_what_the_target_decides(self) -> None:
        told = {
            "max_connections": self.max_connections,
            "db_path": self.db_path,
            "exploration_rate": self.exploration_rate,
            # What is on by default is told of only where it was switched off.
            "prediction_refinement": None if self.prediction_refinement else False,
            "enable_adaptive_optimization": None if self.enable_adaptive_optimization else False,
        }
        for name, value in told.items():
            if value is not None:
                _log.warning("%s=%r has no effect: the services at %s have their own", name, value, self.target)


def _refuse_instance(parameter: str, value: object) -> None:
    if value is not None:
        raise InvalidArgument.of(
            parameter, f"cannot take an instance ({type(value).__name__}); run it as a service and give its target"
        )


def _positive(value: int | None, parameter: str) -> int | None:
    return None if value is None else whole_number(value, parameter=parameter, at_least=1)


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


def _one_of(parameter: str, own: _Value | None, of_validator: _Value | None) -> _Value | None:
    if own is not None and of_validator is not None and own != of_validator:
        raise InvalidArgument.of(parameter, f"{own!r} contradicts the validator's {of_validator!r}; give it once")
    return of_validator if own is None else own
