"""One strategy of a comparison: what was expected, what was measured, what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.rpc import status_pb2

from corun.orchestrator.converters import difference_message, figures_of, performance_message, strategy_message
from corun.orchestrator.core.comparison import median_figures, noise
from corun.orchestrator.core.significance import PairedDifference
from corun.orchestrator.core.terms import Figures, Goal, Strategy
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2


@dataclass(slots=True)
class Contender:
    """Collects the rounds of a strategy. Once `error` is set it takes part in no further round.

    `measurements` has an entry a round that went well, `records` those of them that are kept for the validator;
    `prediction` is None where the predictor did not answer.
    """

    strategy: Strategy
    plan: core_pb2.Plan
    prediction: predictor_pb2.StrategyPrediction | None
    measurements: list[pool_pb2.Measurement] = field(default_factory=list)
    records: dict[int, validator_pb2.ExecutionRecord] = field(default_factory=dict)
    error: status_pb2.Status | None = None

    def rounds(self) -> list[Figures]:
        """Figures of each round that went well."""
        return [figures_of(measurement.performance) for measurement in self.measurements]

    def outcome(self, goal: Goal, behind: PairedDifference | None) -> orchestrator_pb2.ComparedStrategy:
        """The strategy for clients; `behind` is how far it is behind the best."""
        rounds = self.rounds()
        message = orchestrator_pb2.ComparedStrategy(
            strategy=strategy_message(self.strategy),
            rounds=map(performance_message, rounds),
            predicted=self.prediction,
            error=self.error,
            behind=None if behind is None else difference_message(behind),
        )
        if self.measurements:
            last = self.measurements[-1]
            message.engine, message.adapter = last.engine, last.adapter
            message.lanes.extend(last.lanes)
            message.fallbacks.extend(last.fallbacks)
        if self.error is None:
            message.measured.CopyFrom(performance_message(median_figures(rounds)))
            message.noise = noise(rounds, goal)
        return message
