"""ValidatorService: message to record to message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from corun.errors import InvalidField
from corun.plumbing.names import platform_name
from corun.v1 import validator_service_pb2 as pb
from corun.v1 import validator_service_pb2_grpc
from corun.validation.error_rates import signed_errors
from corun.validation.messages import judgement_message, signed_message
from corun.validator.config import Settings
from corun.validator.converters import (
    recorded_message,
    storage_message,
    to_comparison,
    to_execution,
    to_recordings,
)
from corun.validator.core.findings import Terms
from corun.validator.core.metrics import Selection
from corun.validator.core.recommendation import recommend, recommendation_history
from corun.validator.core.records import Execution
from corun.validator.core.refinement import improvement
from corun.validator.dataset_messages import record_message, to_query
from corun.validator.drawing import drawn
from corun.validator.export import exported
from corun.validator.metrics_messages import metrics_message
from corun.validator.names import strategy_name
from corun.validator.querying import Queries, QuerySummary
from corun.validator.refinement_messages import recommendation_message, to_refinement
from corun.validator.store import Store

_MAX_ROWS = 100_000
# An execution may have 100,000 runs: from here on they are read in a thread.
_MANY_RUNS = 500
_DEFAULT_TABLE = "multi_model_validation_metrics"


class ValidatorServicer(validator_service_pb2_grpc.ValidatorServiceServicer):
    """Answers from a store.

    Args:
        store: Stays the caller's to close.
        queries: Answers users' SQL.
        settings: What holds where a request does not say.
    """

    def __init__(self, store: Store, queries: Queries, settings: Settings) -> None:
        self._store = store
        self._queries = queries
        self._settings = settings

    async def RecordExecution(self, request: pb.RecordExecutionRequest, _context: object) -> pb.RecordExecutionResponse:
        """Puts an execution on record."""
        execution = await _execution(request.execution)
        recorded = await self._store.record_execution(execution)
        return pb.RecordExecutionResponse(
            newly_recorded=recorded.newly_recorded, execution_count=recorded.execution_count
        )

    async def ValidatePrediction(
        self, request: pb.ValidatePredictionRequest, _context: object
    ) -> pb.ValidatePredictionResponse:
        """Puts the errors of a prediction on record."""
        execution = await _execution(request.execution)
        if execution.predicted is None:
            raise InvalidField("execution.predicted", "is required: there is nothing to validate without a prediction")
        recorded = await self._store.record_validation(execution, execution.predicted)
        threshold = request.error_threshold if request.HasField("error_threshold") else self._settings.error_threshold
        bias = signed_errors(execution.predicted, execution.measured)
        return judgement_message(
            recorded.errors, bias, error_threshold=threshold, validation_count=recorded.validation_count
        )

    async def RecordOptimizationImpact(
        self, request: pb.RecordOptimizationImpactRequest, _context: object
    ) -> pb.RecordOptimizationImpactResponse:
        """Puts a comparison of strategies on record."""
        count = await self._store.record_comparison(to_comparison(request))
        return pb.RecordOptimizationImpactResponse(comparison_count=count)

    async def GetValidationMetrics(
        self, request: pb.GetValidationMetricsRequest, _context: object
    ) -> pb.GetValidationMetricsResponse:
        """Sums up what is on record."""
        return await self._metrics(request)

    async def GetRefinementRecommendations(
        self, request: pb.GetRefinementRecommendationsRequest, _context: object
    ) -> pb.GetRefinementRecommendationsResponse:
        """Looks at the newest validations of each platform."""
        given, settings = request.HasField, self._settings
        terms = Terms(
            error_threshold=request.error_threshold if given("error_threshold") else settings.error_threshold,
            refinement_interval=(
                request.refinement_interval if given("refinement_interval") else settings.refinement_interval
            ),
            with_drift=settings.enable_trend_analysis,
        )
        evidence = await self._store.evidence(
            platform_name(request.platform) if request.platform else None,
            history_size=request.history_size
            if given("history_size")
            else recommendation_history(settings.history_size),
        )
        return recommendation_message(await asyncio.to_thread(recommend, evidence, terms), terms)

    async def GenerateValidationDataset(
        self, request: pb.GenerateValidationDatasetRequest, _context: object
    ) -> AsyncGenerator[pb.GenerateValidationDatasetResponse, None]:
        """Streams what is on record of executions."""
        async with aclosing(self._store.dataset(to_query(request))) as records:
            async for record in records:
                yield pb.GenerateValidationDatasetResponse(record=record_message(record))

    async def RecordModelRefinement(
        self, request: pb.RecordModelRefinementRequest, _context: object
    ) -> pb.RecordModelRefinementResponse:
        """Puts an attempt to refine the predictor on record."""
        refinement = to_refinement(request.refinement)
        recorded = await self._store.record_refinement(refinement)
        return pb.RecordModelRefinementResponse(
            newly_recorded=recorded.newly_recorded,
            refinement_count=recorded.refinement_count,
            improvement=signed_message(improvement(refinement)),
        )

    async def VisualizeValidationMetrics(
        self, request: pb.VisualizeValidationMetricsRequest, _context: object
    ) -> pb.VisualizeValidationMetricsResponse:
        """Draws the metrics with their history."""
        query = pb.GetValidationMetricsRequest(platform=request.platform, strategy=request.strategy, with_history=True)
        if request.HasField("history_size"):
            query.history_size = request.history_size
        return await drawn(request.chart, request.format, await self._metrics(query))

    async def _metrics(self, request: pb.GetValidationMetricsRequest) -> pb.GetValidationMetricsResponse:
        given, settings = request.HasField, self._settings
        selection = Selection(
            platform=platform_name(request.platform) if request.platform else None,
            strategy=strategy_name(request.strategy) if request.strategy else None,
            recent_count=request.recent_count if given("recent_count") else settings.recent_count,
            history_size=request.history_size if given("history_size") else settings.history_size,
            with_trends=settings.enable_trend_analysis and not request.without_trends,
            with_history=request.with_history,
        )
        return metrics_message(
            await self._store.metrics(selection),
            error_threshold=settings.error_threshold,
            database_path=str(self._store.path),
        )

    async def RecordExecutions(
        self, request: pb.RecordExecutionsRequest, _context: object
    ) -> pb.RecordExecutionsResponse:
        """Puts many executions on record in one transaction."""
        recordings = await asyncio.to_thread(to_recordings, request)
        return recorded_message(recordings, *await self._store.record_many(recordings))

    async def QueryMetrics(
        self, request: pb.QueryMetricsRequest, _context: object
    ) -> AsyncIterator[pb.QueryMetricsResponse]:
        """Answers one SELECT."""
        max_rows = request.max_rows if request.HasField("max_rows") else _MAX_ROWS
        async with aclosing(self._queries.answer(request.sql, max_rows=max_rows)) as parts:
            async for part in parts:
                if isinstance(part, QuerySummary):
                    summary = pb.QuerySummary(
                        row_count=part.row_count, size_bytes=part.size_bytes, query_time_ms=part.query_time_ms
                    )
                    yield pb.QueryMetricsResponse(summary=summary)
                else:
                    yield pb.QueryMetricsResponse(arrow_ipc=part)

    async def ExportMetrics(
        self, request: pb.ExportMetricsRequest, _context: object
    ) -> AsyncIterator[pb.ExportMetricsResponse]:
        """Sends a table as a file."""
        file_format = "csv" if request.format == pb.EXPORT_FORMAT_CSV else "parquet"
        async with aclosing(exported(self._store, request.table or _DEFAULT_TABLE, file_format)) as chunks:
            async for chunk in chunks:
                yield pb.ExportMetricsResponse(chunk=chunk)

    async def GetStorageStatus(
        self, request: pb.GetStorageStatusRequest, _context: object
    ) -> pb.GetStorageStatusResponse:
        """Size and wholeness of the record."""
        return storage_message(await self._store.status(), path=str(self._store.path))


async def _execution(record: pb.ExecutionRecord) -> Execution:
    return await asyncio.to_thread(to_execution, record) if len(record.runs) > _MANY_RUNS else to_execution(record)
