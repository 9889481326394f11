"""PredictorService over a Predictor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from corun.predictor import converters, executions, refinements
from corun.predictor.core.prediction import Prediction
from corun.predictor.core.recommendation import recommend
from corun.predictor.predictor import Predictor
from corun.predictor.refining import Refiner
from corun.v1 import predictor_service_pb2 as messages
from corun.v1 import predictor_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

_DEFAULT_BATCHING_SIZE = 2
_MOST_REASONS = 20


class PredictorServicer(predictor_service_pb2_grpc.PredictorServiceServicer):
    """Answers from memory; only what is new to the predictor touches the disk. Requests keep their rules."""

    def __init__(self, predictor: Predictor, refiner: Refiner) -> None:
        self._predictor = predictor
        self._refiner = refiner

    async def Predict(self, request: messages.PredictRequest, _context: Context) -> messages.PredictResponse:
        """Predicts every strategy for a workload."""
        return converters.predict_response(*await self._predict(request))

    async def RecommendStrategy(
        self, request: messages.RecommendStrategyRequest, _context: Context
    ) -> messages.RecommendStrategyResponse:
        """Predicts every strategy and names the best for a goal."""
        if request.configuration.HasField("batching_size"):
            request.prediction.batching_size = request.configuration.batching_size
        prediction, version = await self._predict(request.prediction)
        configuration = converters.configuration_of(request.configuration)
        best = recommend(prediction, converters.goal_of(request.goal), configuration)
        return messages.RecommendStrategyResponse(
            strategy=converters.strategy_message(best.strategy),
            reason=best.reason,
            tied=[converters.strategy_message(each) for each in best.tied],
            prediction=converters.predict_response(prediction, version),
        )

    async def Observe(self, request: messages.ObserveRequest, _context: Context) -> messages.ObserveResponse:
        """Learns measured runs and executed plans, on disk before it answers."""
        learned = await self._predictor.observe(executions.report_of(request))
        return messages.ObserveResponse(
            learned_count=learned.observation_count,
            learned_execution_count=learned.execution_count,
            predictor_version=learned.version,
            ignored_count=len(learned.doubts),
            ignored_reasons=learned.doubts[:_MOST_REASONS],
        )

    async def RefineModel(
        self, requests: AsyncIterator[messages.RefineModelRequest], _context: Context
    ) -> messages.RefineModelResponse:
        """Refines by the records that are streamed, off the event loop."""
        order = await refinements.order_of(requests)
        environment = converters.environment_of(order.options.environment)
        features = converters.features_of(order.options.features)
        await self._predictor.remember(environment.place, features)
        refined = await self._refiner.refine(
            order.records,
            method=refinements.method_of(order.options.method),
            platform=environment.place.platform,
            request_id=order.options.request_id,
        )
        return refinements.refine_response(refined)

    async def ListModelVersions(
        self, request: messages.ListModelVersionsRequest, _context: Context
    ) -> messages.ListModelVersionsResponse:
        """Every version, the newest first."""
        serving = self._predictor.serving.number
        versions = [refinements.version_message(each, serving=serving) for each in self._predictor.versions()]
        return messages.ListModelVersionsResponse(versions=versions)

    async def RollBackModel(
        self, request: messages.RollBackModelRequest, _context: Context
    ) -> messages.RollBackModelResponse:
        """Lets a version serve again."""
        version, predictor_version = await self._refiner.roll_back(request.version_number)
        return messages.RollBackModelResponse(
            serving=refinements.version_message(version, serving=version.number), predictor_version=predictor_version
        )

    async def _predict(self, request: messages.PredictRequest) -> tuple[Prediction, str]:
        return await self._predictor.predict(
            converters.workload_of(request.workload),
            converters.environment_of(request.environment),
            batching_size=request.batching_size if request.HasField("batching_size") else _DEFAULT_BATCHING_SIZE,
            features=converters.features_of(request.features),
        )
