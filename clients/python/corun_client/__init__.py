"""The Python client of corun.

`connect` and `connect_async` give clients of running services; `MultiModelResourcePoolIntegration` starts
services of its own when it is given no target.
"""

from __future__ import annotations

from corun_client.async_client import AsyncClient, connect_async
from corun_client.client import Client, connect
from corun_client.conversion.inference import Inference
from corun_client.dataset import ValidationDataset
from corun_client.embedded import EmbeddedThread
from corun_client.errors import (
    AlreadyExists,
    Cancelled,
    CorunError,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidArgument,
    NotFound,
    NotHosted,
    NotInitialized,
    ResourceExhausted,
    Unavailable,
)
from corun_client.integration import MultiModelResourcePoolIntegration
from corun_client.pooled_model import PooledModel
from corun_client.resource_pool import ResourcePool
from corun_client.validation import MultiModelEmpiricalValidator

__all__ = [
    "AlreadyExists",
    "AsyncClient",
    "Cancelled",
    "Client",
    "CorunError",
    "DeadlineExceeded",
    "EmbeddedThread",
    "FailedPrecondition",
    "FieldViolation",
    "Inference",
    "Internal",
    "InvalidArgument",
    "MultiModelEmpiricalValidator",
    "MultiModelResourcePoolIntegration",
    "NotFound",
    "NotHosted",
    "NotInitialized",
    "PooledModel",
    "ResourceExhausted",
    "ResourcePool",
    "Unavailable",
    "ValidationDataset",
    "connect",
    "connect_async",
]
