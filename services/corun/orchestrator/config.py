"""Settings of the orchestrator, from the environment (CORUN_ORCHESTRATOR_…)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from corun.plumbing import settings
from corun.plumbing.settings import Port, ServiceSettings

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
ModelCount = Annotated[int, Field(ge=0, le=64)]


def _state_folder() -> Path:
    return settings.state_folder() / "orchestrator"


class Settings(ServiceSettings):
    """Where the other services are, how long each may take, how strategies are chosen, and what is kept.

    Attributes:
        state_folder: Where executions, their events, and records for the validator are kept.
        prepare_timeout_seconds: For listing models by name and for capabilities: the first call may fetch
            or make model files and start browsers to try them.
        preparation_reuse_seconds: How long what the pool said of models and engines is taken for so; 0: it is asked for
            every execution.
        peer_timeout_seconds: For every other short call.
        profile_timeout_seconds: For measuring one model alone: minutes where it is large and the GPU made of software.
        execute_timeout_seconds: For carrying out one plan with all its iterations.
        full_pool_timeout_seconds: How long a pool that is full is come back to, at the start of a plan or a profile.
        pool_return_timeout_seconds: How long a comparison waits for a pool that stopped answering.
        peer_check_interval_seconds: Between two looks at the health of each service.
        heartbeat_seconds: A stream in which nothing happens for so long says that it is alive.
        validation_interval: Every how many executions on a platform are validated.
        error_threshold: Largest acceptable error (1 = 100 %); absent, the validator's setting holds, and executions
            that are validated wait for its judgement.
        prediction_refinement: Whether the predictor is refined when the validator recommends it.
        refinement_timeout_seconds: For one refinement, from the records to the judgement.
        refinement_pause_seconds: Shortest time between two looks at whether a platform needs one.
        enable_adaptive_optimization: Whether what bounds the choice is adapted by itself to what was measured, but for
            values that were set by hand.
        adaptation_interval: Validations on a platform between two looks at that.
        adaptation_timeout_seconds: For one look, from the records to the values.
        exploration_rate: Share of automatic choices, 0 to 1, that try an alternative which may be as good as the best.
        exploration_seed: Of those draws; absent, another one every time.
        batching_size: Most models in a group of the batched strategy.
        parallel_threshold: Most models that may run in parallel; absent, any number.
        sequential_threshold: Models above which only sequential is eligible; absent, none are.
        memory_threshold_mb: Most memory that a strategy may be predicted to need; absent, any.
        max_executions_per_client: Most executions and comparisons of a client that have not ended.
        max_executions: The same of all clients together.
        log_max_age_days: How long executions that ended are kept.
        log_max_mb: Most megabytes of their events; the oldest go first.
        outbox_max_mb: Most megabytes of records that wait for a validator that does not take them.
    """

    model_config = SettingsConfigDict(env_prefix="CORUN_ORCHESTRATOR_")

    port: Port = 50051
    state_folder: Path = Field(default_factory=_state_folder)
    predictor_target: str = "127.0.0.1:50052"
    resource_pool_target: str = "127.0.0.1:50053"
    validator_target: str = "127.0.0.1:50054"
    peer_timeout_seconds: Seconds = 10.0
    prepare_timeout_seconds: Seconds = 600.0
    preparation_reuse_seconds: Annotated[float, Field(ge=0, le=3600)] = 5.0
    profile_timeout_seconds: Seconds = 3600.0
    execute_timeout_seconds: Seconds = 3600.0
    full_pool_timeout_seconds: Seconds = 300.0
    pool_return_timeout_seconds: Seconds = 15.0
    peer_check_interval_seconds: Seconds = 3.0
    heartbeat_seconds: Seconds = 4.0
    validation_interval: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    error_threshold: Annotated[float, Field(gt=0, le=100)] | None = None
    prediction_refinement: bool = True
    refinement_timeout_seconds: Seconds = 120.0
    refinement_pause_seconds: Seconds = 2.0
    enable_adaptive_optimization: bool = True
    adaptation_interval: Count = 5
    adaptation_timeout_seconds: Seconds = 60.0
    exploration_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    exploration_seed: int | None = None
    batching_size: Annotated[int, Field(ge=1, le=64)] = 2
    parallel_threshold: ModelCount | None = None
    sequential_threshold: ModelCount | None = None
    memory_threshold_mb: Annotated[float, Field(gt=0, le=1e9)] | None = None
    max_executions_per_client: Count = 64
    max_executions: Count = 512
    log_max_age_days: Annotated[float, Field(gt=0, le=3650)] = 7.0
    log_max_mb: Annotated[float, Field(gt=0, le=1e6)] = 256.0
    outbox_max_mb: Annotated[float, Field(gt=0, le=1e6)] = 64.0
