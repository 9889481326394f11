"""A validator that keeps what it is told in lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from corun.errors import ExecutionConflict
from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from tests.fakes.unasked_record import UnaskedRecord

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class FakeValidator(UnaskedRecord):
    """Acknowledges everything, and takes an execution once.

    It raises `error` where one is set (on validations `validation_error`). A validation's errors are 0.2 of
    latency, 0.1 of throughput and 0.5 of memory.

    Attributes:
        held: Where there is one, executions are taken once it is set.
        unrefined: Platforms that it recommends to refine, with a method, until a refinement of them is recorded.
        recommendation_error: Raised where it is asked for a recommendation; `dataset_error` for records,
            `refinement_error` where a refinement is recorded.
        recommendation_requests: What it was asked.
        conflicts: Ids that it says it knows with other figures.
        batch_sizes: How many executions each batch had.
    """

    held: asyncio.Event | None = None
    error: Exception | None = None
    validation_error: Exception | None = None
    executions: list[validator_pb2.ExecutionRecord] = field(default_factory=list)
    validations: list[validator_pb2.ValidatePredictionRequest] = field(default_factory=list)
    impacts: list[validator_pb2.RecordOptimizationImpactRequest] = field(default_factory=list)
    conflicts: set[str] = field(default_factory=set)
    batch_sizes: list[int] = field(default_factory=list)
    queries: list[validator_pb2.GetValidationMetricsRequest] = field(default_factory=list)
    refinements: list[validator_pb2.ModelRefinement] = field(default_factory=list)
    unrefined: dict[core_pb2.Platform.ValueType, predictor_pb2.RefinementMethod.ValueType] = field(default_factory=dict)
    recommendation_error: Exception | None = None
    dataset_error: Exception | None = None
    refinement_error: Exception | None = None
    recommendation_requests: list[validator_pb2.GetRefinementRecommendationsRequest] = field(default_factory=list)

    async def RecordExecution(
        self, request: validator_pb2.RecordExecutionRequest, _context: Context
    ) -> validator_pb2.RecordExecutionResponse:
        """Keeps the execution."""
        await self._until_free()
        self._refuse_conflict(request.execution)
        new = self._record(request.execution)
        return validator_pb2.RecordExecutionResponse(newly_recorded=new, execution_count=len(self.executions))

    async def ValidatePrediction(
        self, request: validator_pb2.ValidatePredictionRequest, _context: Context
    ) -> validator_pb2.ValidatePredictionResponse:
        """Keeps the request."""
        await self._until_free()
        if self.validation_error is not None:
            raise self.validation_error
        self._refuse_conflict(request.execution)
        self._record(request.execution)
        self.validations.append(request)
        return validator_pb2.ValidatePredictionResponse(
            errors=validator_pb2.ErrorRates(latency=0.2, throughput=0.1, memory=0.5),
            validation_count=len(self.validations),
        )

    async def RecordExecutions(
        self, request: validator_pb2.RecordExecutionsRequest, context: Context
    ) -> validator_pb2.RecordExecutionsResponse:
        """Keeps them one after another, and refuses what it would refuse alone."""
        self.batch_sizes.append(len(request.executions))
        response = validator_pb2.RecordExecutionsResponse()
        for index, execution in enumerate(request.executions):
            try:
                if request.validate:
                    await self.ValidatePrediction(validator_pb2.ValidatePredictionRequest(execution=execution), context)
                else:
                    await self.RecordExecution(validator_pb2.RecordExecutionRequest(execution=execution), context)
            except ExecutionConflict as refusal:
                response.refused.add(
                    index=index, execution_id=execution.execution_id, reason=refusal.reason, message=refusal.message
                )
        response.execution_count = len(self.executions)
        return response

    async def RecordOptimizationImpact(
        self, request: validator_pb2.RecordOptimizationImpactRequest, _context: Context
    ) -> validator_pb2.RecordOptimizationImpactResponse:
        """Keeps the request."""
        self._fail_if_told()
        self.impacts.append(request)
        return validator_pb2.RecordOptimizationImpactResponse(comparison_count=len(self.impacts))

    async def GetValidationMetrics(
        self, request: validator_pb2.GetValidationMetricsRequest, _context: Context
    ) -> validator_pb2.GetValidationMetricsResponse:
        """How much it keeps."""
        self._fail_if_told()
        self.queries.append(request)
        platforms = [each.execution.platform for each in self.validations]
        return validator_pb2.GetValidationMetricsResponse(
            validation_count=sum(request.platform in {core_pb2.PLATFORM_UNSPECIFIED, each} for each in platforms),
            execution_count=len(self.executions),
        )

    async def GetRefinementRecommendations(
        self, request: validator_pb2.GetRefinementRecommendationsRequest, _context: Context
    ) -> validator_pb2.GetRefinementRecommendationsResponse:
        """Those in `unrefined`."""
        self._fail_if_told(self.recommendation_error)
        self.recommendation_requests.append(request)
        methods = list(self.unrefined.values())
        return validator_pb2.GetRefinementRecommendationsResponse(
            refinement_needed=bool(methods),
            recommended_method=methods[0] if methods else predictor_pb2.REFINEMENT_METHOD_INCREMENTAL,
            reason="as the test says",
            affected_platforms=list(self.unrefined),
            findings=[
                validator_pb2.PlatformFindings(platform=platform, method=method)
                for platform, method in self.unrefined.items()
            ],
        )

    async def GenerateValidationDataset(
        self, request: validator_pb2.GenerateValidationDatasetRequest, _context: Context
    ) -> AsyncIterator[validator_pb2.GenerateValidationDatasetResponse]:
        """Every execution of the platform that it keeps, or those that it validated."""
        self._fail_if_told(self.dataset_error)
        validated = [each.execution for each in self.validations]
        for execution in self.executions if request.with_unvalidated else validated:
            if request.platform in {core_pb2.PLATFORM_UNSPECIFIED, execution.platform}:
                record = validator_pb2.ValidationRecord(execution=execution, validated=execution in validated)
                yield validator_pb2.GenerateValidationDatasetResponse(record=record)

    async def RecordModelRefinement(
        self, request: validator_pb2.RecordModelRefinementRequest, _context: Context
    ) -> validator_pb2.RecordModelRefinementResponse:
        """Keeps the refinement."""
        self._fail_if_told(self.refinement_error)
        self.refinements.append(request.refinement)
        self.unrefined.pop(request.refinement.platform, None)
        return validator_pb2.RecordModelRefinementResponse(newly_recorded=True, refinement_count=len(self.refinements))

    async def VisualizeValidationMetrics(
        self, _request: validator_pb2.VisualizeValidationMetricsRequest, _context: Context
    ) -> validator_pb2.VisualizeValidationMetricsResponse:
        """An empty picture."""
        self._fail_if_told()
        return validator_pb2.VisualizeValidationMetricsResponse(media_type="image/png")

    def _record(self, execution: validator_pb2.ExecutionRecord) -> bool:
        new = execution.execution_id not in {each.execution_id for each in self.executions}
        if new:
            self.executions.append(execution)
        return new

    def _refuse_conflict(self, execution: validator_pb2.ExecutionRecord) -> None:
        if execution.execution_id in self.conflicts:
            raise ExecutionConflict(execution.execution_id)

    async def _until_free(self) -> None:
        if self.held is not None:
            await self.held.wait()
        self._fail_if_told()

    def _fail_if_told(self, error: Exception | None = None) -> None:
        told = self.error or error
        if told is not None:
            raise told
