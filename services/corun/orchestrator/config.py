"""Settings of the orchestrator, from the environment (CORUN_ORCHESTRATOR_…)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from corun.plumbing.settings import Port, ServiceSettings

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Settings(ServiceSettings):
    """Where the other services are, how long each may take, and how strictly predictions are checked.

    Attributes:
        prepare_timeout_seconds: For listing models by name and for capabilities: the first call may fetch
            or make model files and start browsers to try them.
        peer_timeout_seconds: For every other short call.
        profile_timeout_seconds: For measuring one model alone.
        execute_timeout_seconds: For carrying out one plan with all its iterations.
        full_pool_timeout_seconds: How long a pool that is full is come back to, at the start of a plan or a profile.
        validation_interval: Every how many executions on a platform are validated.
        error_threshold: Largest acceptable error (1 = 100 %); absent, the validator's setting holds.
        batching_size: Most models in a group of the batched strategy.
    """

    model_config = SettingsConfigDict(env_prefix="CORUN_ORCHESTRATOR_")

    port: Port = 50051
    predictor_target: str = "127.0.0.1:50052"
    resource_pool_target: str = "127.0.0.1:50053"
    validator_target: str = "127.0.0.1:50054"
    peer_timeout_seconds: Seconds = 10.0
    prepare_timeout_seconds: Seconds = 600.0
    profile_timeout_seconds: Seconds = 600.0
    execute_timeout_seconds: Seconds = 3600.0
    full_pool_timeout_seconds: Seconds = 300.0
    validation_interval: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    error_threshold: Annotated[float, Field(gt=0, le=100)] | None = None
    batching_size: Annotated[int, Field(ge=1, le=64)] = 2
