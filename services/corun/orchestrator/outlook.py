"""What is expected of each strategy, and the plan that carries it out; plans also where the predictor is silent."""

from __future__ import annotations

from corun.orchestrator.converters import (
    configuration_message,
    predicted_figures,
    predicted_interval,
    strategy_message,
)
from corun.orchestrator.core.choice import Choice
from corun.orchestrator.core.configuration import Configuration, objections
from corun.orchestrator.core.exploration import Interval
from corun.orchestrator.core.terms import Figures, Goal, Strategy
from corun.orchestrator.forecast import Forecast
from corun.orchestrator.preparation import Preparation
from corun.planning.messages import plan_message
from corun.planning.planner import make_plan
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2


class Outlook:
    """The predictor's forecast, or plans without one.

    Args:
        preparation: What is to run.
        configuration: What bounds the choice.
        forecast: Of a predictor that answered; None where it did not.
    """

    def __init__(
        self, preparation: Preparation, configuration: Configuration, forecast: Forecast | None = None
    ) -> None:
        self.preparation = preparation
        self.configuration = configuration
        self._forecast = forecast

    @property
    def is_predicted(self) -> bool:
        """False where the predictor did not answer."""
        return self._forecast is not None

    @property
    def recommended(self) -> Strategy | None:
        """What the predictor would choose."""
        return self._forecast.recommended if self._forecast else None

    @property
    def reason(self) -> str:
        """Why, in words."""
        return self._forecast.recommendation.reason if self._forecast else ""

    @property
    def predictor_version(self) -> str:
        """Of the predictor; "" where it did not answer."""
        return self._forecast.recommendation.prediction.predictor_version if self._forecast else ""

    def plan_of(self, strategy: Strategy) -> core_pb2.Plan:
        """The schedule of a strategy."""
        if self._forecast is not None:
            return self._forecast.prediction_of(strategy).plan
        plan = make_plan(
            self.preparation.workload,
            strategy,
            core_count=self.preparation.environment.core_count,
            batching_size=self.configuration.batching_size,
            fixed_batch={model.name for model in self.preparation.models if not model.features.dynamic_batch},
        )
        return plan_message(plan)

    def prediction_of(self, strategy: Strategy) -> predictor_pb2.StrategyPrediction | None:
        """What is expected of a strategy."""
        return self._forecast.prediction_of(strategy) if self._forecast else None

    def figures_of(self, strategy: Strategy) -> Figures | None:
        """The most likely figures of a strategy."""
        prediction = self.prediction_of(strategy)
        return None if prediction is None else predicted_figures(prediction)

    def objections(self, strategy: Strategy) -> list[str]:
        """Why a strategy is outside the configuration."""
        figures = self.figures_of(strategy)
        return objections(
            strategy,
            self.configuration,
            model_count=len(self.preparation.models),
            memory_mb=None if figures is None else figures.memory_mb,
        )

    def eligible(self, goal: Goal) -> dict[Strategy, Interval]:
        """Where the goal's figure is expected, of every strategy inside the configuration."""
        predictions = {each: self.prediction_of(each) for each in Strategy if not self.objections(each)}
        return {
            strategy: predicted_interval(prediction, goal)
            for strategy, prediction in predictions.items()
            if prediction is not None
        }

    def announced(self, choice: Choice) -> orchestrator_pb2.StrategyChosen:
        """A choice for clients, with everything that was predicted."""
        if self._forecast is not None:
            chosen = self._forecast.announced(choice)
        else:
            chosen = orchestrator_pb2.StrategyChosen(
                strategy=strategy_message(choice.strategy), reason=choice.reason, automatic=choice.automatic
            )
        chosen.explored = choice.explored
        chosen.configuration.CopyFrom(configuration_message(self.configuration))
        return chosen
