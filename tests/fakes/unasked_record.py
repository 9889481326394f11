"""The validator's calls about its record, for fakes that are not asked them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class UnaskedRecord(ValidatorServiceServicer):
    """Fails a test that asks."""

    async def RecordExecutions(
        self, _request: pb.RecordExecutionsRequest, _context: Context
    ) -> pb.RecordExecutionsResponse:
        """Not asked."""
        raise AssertionError("this fake takes no batches")

    async def QueryMetrics(
        self, _request: pb.QueryMetricsRequest, _context: Context
    ) -> AsyncIterator[pb.QueryMetricsResponse]:
        """Not asked."""
        raise AssertionError("this fake answers no SQL")
        yield

    async def ExportMetrics(
        self, _request: pb.ExportMetricsRequest, _context: Context
    ) -> AsyncIterator[pb.ExportMetricsResponse]:
        """Not asked."""
        raise AssertionError("this fake exports nothing")
        yield

    async def GetStorageStatus(
        self, _request: pb.GetStorageStatusRequest, _context: Context
    ) -> pb.GetStorageStatusResponse:
        """An empty record in which nothing is missing."""
        return pb.GetStorageStatusResponse()
