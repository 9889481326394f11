"""A validator that keeps what it is told in lists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from corun.v1 import validator_service_pb2 as validator_pb2
from tests.fakes.unasked_record import UnaskedRecord

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class FakeValidator(UnaskedRecord):
    """Acknowledges everything, and takes an execution once.

    It raises `error` where one is set (on validations `validation_error`). A validation's errors are 0.2 of
    latency, 0.1 of throughput and 0.5 of memory.
    """

    error: Exception | None = None
    validation_error: Exception | None = None
    executions: list[validator_pb2.ExecutionRecord] = field(default_factory=list)
    validations: list[validator_pb2.ValidatePredictionRequest] = field(default_factory=list)
    impacts: list[validator_pb2.RecordOptimizationImpactRequest] = field(default_factory=list)
    queries: list[validator_pb2.GetValidationMetricsRequest] = field(default_factory=list)
    refinements: list[validator_pb2.ModelRefinement] = field(default_factory=list)

    async def RecordExecution(
        self, request: validator_pb2.RecordExecutionRequest, _context: Context
    ) -> validator_pb2.RecordExecutionResponse:
        """Keeps the execution."""
        self._fail_if_told()
        new = self._record(request.execution)
        return validator_pb2.RecordExecutionResponse(newly_recorded=new, execution_count=len(self.executions))

    async def ValidatePrediction(
        self, request: validator_pb2.ValidatePredictionRequest, _context: Context
    ) -> validator_pb2.ValidatePredictionResponse:
        """Keeps the request."""
        self._fail_if_told()
        if self.validation_error is not None:
            raise self.validation_error
        self._record(request.execution)
        self.validations.append(request)
        return validator_pb2.ValidatePredictionResponse(
            errors=validator_pb2.ErrorRates(latency=0.2, throughput=0.1, memory=0.5),
            validation_count=len(self.validations),
        )

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
        return validator_pb2.GetValidationMetricsResponse(
            validation_count=len(self.validations), execution_count=len(self.executions)
        )

    async def GetRefinementRecommendations(
        self, _request: validator_pb2.GetRefinementRecommendationsRequest, _context: Context
    ) -> validator_pb2.GetRefinementRecommendationsResponse:
        """Recommends nothing."""
        self._fail_if_told()
        return validator_pb2.GetRefinementRecommendationsResponse(reason="a fake recommends nothing")

    async def GenerateValidationDataset(
        self, _request: validator_pb2.GenerateValidationDatasetRequest, _context: Context
    ) -> AsyncIterator[validator_pb2.GenerateValidationDatasetResponse]:
        """Every execution that it was told to validate."""
        self._fail_if_told()
        for request in self.validations:
            record = validator_pb2.ValidationRecord(execution=request.execution, validated=True)
            yield validator_pb2.GenerateValidationDatasetResponse(record=record)

    async def RecordModelRefinement(
        self, request: validator_pb2.RecordModelRefinementRequest, _context: Context
    ) -> validator_pb2.RecordModelRefinementResponse:
        """Keeps the refinement."""
        self._fail_if_told()
        self.refinements.append(request.refinement)
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

    def _fail_if_told(self) -> None:
        if self.error is not None:
            raise self.error
