"""What the predictor expects of a workload, after new models were profiled."""

from __future__ import annotations

from collections.abc import Sequence

from corun.errors import CorunError
from corun.orchestrator.converters import (
    goal_message,
    observation_messages,
    profile_of,
    strategy_message,
    strategy_of,
    suggestions_of,
)
from corun.orchestrator.core.choice import Choice
from corun.orchestrator.core.observations import (
    Observation,
    ProfileOrder,
    Setting,
    observed_profiles,
    profile_orders,
)
from corun.orchestrator.core.terms import Goal, Strategy
from corun.orchestrator.peers import Peers
from corun.orchestrator.preparation import Preparation
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2


class Forecast:
    """The predictor's recommendation, which is there after `ask()` or `ask_informed()`."""

    def __init__(
        self,
        peers: Peers,
        preparation: Preparation,
        *,
        goal: Goal,
        batching_size: int,
        configuration: predictor_pb2.StrategyConfiguration | None = None,
    ) -> None:
        self._peers = peers
        self._preparation = preparation
        self.request = predictor_pb2.RecommendStrategyRequest(
            prediction=predictor_pb2.PredictRequest(
                workload=preparation.workload,
                environment=preparation.environment,
                features=preparation.features(),
                batching_size=batching_size,
            ),
            goal=goal_message(goal),
            configuration=configuration,
        )
        self.recommendation = predictor_pb2.RecommendStrategyResponse()

    @property
    def recommended(self) -> Strategy:
        """The strategy that the predictor would choose."""
        return strategy_of(self.recommendation.strategy)

    async def ask_informed(self) -> None:
        """Asks the predictor; profiles what it only knows from the graph, and asks it again.

        Models that prefer another engine than the prediction is made for are profiled in theirs.
        """
        await self.ask()
        orders = await self.profiles_needed()
        for order in orders:
            await self.profile(order)
        if orders:
            await self.ask()

    async def profiles_needed(self) -> list[ProfileOrder]:
        """What the predictor knows only from the graph, once it was asked."""
        return profile_orders(await self._suggestions())

    async def ask(self) -> None:
        """Asks the predictor by what it knows now; nothing is profiled."""
        self.recommendation = await self._peers.recommend(self.request)

    async def _suggestions(self) -> list[tuple[str, Setting]]:
        """What is to be profiled, each model where it will run."""
        engines = self._preparation.engines
        own = self._preparation.environment.engine
        suggested = {own: suggestions_of(self.recommendation.prediction)}
        for engine in engines.values():
            if engine not in suggested:
                request = predictor_pb2.RecommendStrategyRequest()
                request.CopyFrom(self.request)
                request.prediction.environment.engine = engine
                suggested[engine] = suggestions_of((await self._peers.recommend(request)).prediction)
        return [
            (name, setting)
            for engine, settings in suggested.items()
            for name, setting in settings
            if engines.get(name) == engine
        ]

    def prediction_of(self, strategy: Strategy) -> predictor_pb2.StrategyPrediction:
        """What is expected of one strategy.

        Raises:
            CorunError: when the predictor left it out.
        """
        for prediction in self.recommendation.prediction.predictions:
            if strategy_of(prediction.strategy) is strategy:
                return prediction
        raise CorunError(f"the predictor sent no prediction of the {strategy} strategy")

    def announced(self, choice: Choice) -> orchestrator_pb2.StrategyChosen:
        """A choice for clients, with everything that was predicted."""
        return orchestrator_pb2.StrategyChosen(
            strategy=strategy_message(choice.strategy),
            reason=choice.reason,
            automatic=choice.automatic,
            prediction=self.recommendation.prediction,
            recommended=self.recommendation.strategy,
        )

    async def profile(self, order: ProfileOrder) -> orchestrator_pb2.ModelProfiled:
        """Measures a model alone and teaches the predictor."""
        settings = [pool_pb2.ProfileSetting(batch_size=s.batch_size, lane_width=s.lane_width) for s in order.settings]
        platform = self._preparation.environment.platform
        request = pool_pb2.ProfileModelRequest(
            model_name=order.model_name,
            platform=platform,
            settings=settings,
            engine=self._preparation.preference(order.model_name),
        )
        response = await self._peers.profile(request)
        observations = observed_profiles(order.model_name, map(profile_of, response.profiles))
        await teach(self._peers, self._preparation, observations, engine=response.engine)
        return orchestrator_pb2.ModelProfiled(model_name=order.model_name, profiles=response.profiles)


async def teach(
    peers: Peers,
    preparation: Preparation,
    observations: Sequence[Observation],
    *,
    engine: str,
    executions: Sequence[predictor_pb2.ExecutedPlan] = (),
) -> list[str]:
    """Gives the predictor what was measured in `engine`, if anything; gives why parts of it were not learnt."""
    if not observations and not executions:
        return []
    response = await peers.observe(
        predictor_pb2.ObserveRequest(
            environment=preparation.environment_in(engine or preparation.environment.engine),
            observations=observation_messages(observations),
            features=preparation.features(),
            executions=executions,
        )
    )
    return list(response.ignored_reasons)
