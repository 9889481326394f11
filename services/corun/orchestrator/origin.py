"""Where a request comes from: whose it is, whether it was made before, and how long it may take."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import grpc

from corun.v1.orchestrator_service_pb2 import CompareStrategiesRequest, ExecuteWithStrategyRequest

Request = ExecuteWithStrategyRequest | CompareStrategiesRequest
Context = grpc.aio.ServicerContext[Any, Any]


def client_of(request: Request, context: Context) -> str:
    """The client as it calls itself, else its connection."""
    return request.client_id or context.peer()


def digest_of(request: Request) -> bytes:
    """SHA-256 of what is asked for, whoever asks."""
    asked = type(request).FromString(request.SerializeToString())
    asked.ClearField("client_id")
    asked.ClearField("reattach_window")
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).digest()


def window_of(request: Request) -> float:
    """Seconds that the work goes on while nobody watches it."""
    return request.reattach_window.ToTimedelta().total_seconds()


def deadline_of(context: Context) -> float | None:
    """The deadline of the call by the loop's clock; None where it has none."""
    remaining = context.time_remaining()
    return None if remaining is None else asyncio.get_running_loop().time() + remaining
