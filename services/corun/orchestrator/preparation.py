"""Makes sure, before a workload is accepted, that it can start."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from corun.errors import CorunError, ModelRefused, ModelUnreachable, UnknownModel
from corun.orchestrator.converters import asked_models, engine_of
from corun.orchestrator.core.preferences import main_engine, preference_of
from corun.orchestrator.core.requirements import check_model_types, engine_for, first_index_of
from corun.orchestrator.peers import Peers
from corun.plumbing.names import platform_name
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2

# What is asked of the pool: models as they are asked for, the platform, engines by model type.
_Key: TypeAlias = tuple[tuple[tuple[str, str], ...], core_pb2.Platform.ValueType, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Preparation:
    """A workload whose models exist and whose platform works.

    Attributes:
        workload: As asked for.
        models: In the workload's order.
        environment: What the prediction is made for: the engine is the one that serves most of the models.
        preferences: Engines by model type, as asked for.
        engines: The engine that is to serve each model, by name.
        connection_count: Most browsers that the pool has at once.
    """

    workload: core_pb2.Workload
    models: tuple[pool_pb2.ModelInfo, ...]
    environment: predictor_pb2.ExecutionEnvironment
    preferences: Mapping[str, str]
    engines: Mapping[str, str]
    connection_count: int = 1

    @property
    def iterations(self) -> int:
        """How often the workload is run."""
        return self.workload.iterations if self.workload.HasField("iterations") else 1

    def preference(self, model_name: str) -> str:
        """The engine that was asked for, for models of this one's type; "" where none was."""
        model_type = next(model.model_type for model in self.models if model.name == model_name)
        return preference_of(model_type, self.preferences)

    def changed(self, measurement: pool_pb2.Measurement) -> list[str]:
        """Models that ran from other files than were prepared, where the pool says from which."""
        ran = measurement.model_sha256s
        return sorted({model.name for model in self.models if ran.get(model.name, model.sha256) != model.sha256})

    def environment_in(self, engine: str) -> predictor_pb2.ExecutionEnvironment:
        """The environment with another engine."""
        environment = predictor_pb2.ExecutionEnvironment()
        environment.CopyFrom(self.environment)
        environment.engine = engine
        return environment

    def features(self) -> list[predictor_pb2.ModelFeatures]:
        """What is known of each model's graph, once a model."""
        known = {model.name: model for model in self.models if model.HasField("features")}
        return [predictor_pb2.ModelFeatures(model_name=name, graph=known[name].features) for name in known]


class Preparations:
    """Prepares workloads; what the pool has just said of the same models is not asked again.

    Args:
        peers: The pool is among them.
        reuse_seconds: How long it holds. A model that is changed meanwhile is noticed when it has run, one that is
            gone when it is to run.
    """

    def __init__(self, peers: Peers, *, reuse_seconds: float) -> None:
        self._peers = peers
        self._reuse_seconds = reuse_seconds
        self._known: dict[_Key, tuple[float, Preparation]] = {}

    async def of(
        self, workload: core_pb2.Workload, platform: core_pb2.Platform.ValueType, preferences: Mapping[str, str]
    ) -> Preparation:
        """A workload, prepared. Raises as `prepare`."""
        models = tuple((model.model_name, model.model_type) for model in workload.models)
        key = (models, platform, frozenset(preferences.items()))
        now = time.monotonic()
        self._known = {each: known for each, known in self._known.items() if known[0] > now}
        if key in self._known and self._peers.pool_is_connected:
            return replace(self._known[key][1], workload=workload)
        preparation = await prepare(self._peers, workload=workload, platform=platform, preferences=preferences)
        self._known[key] = (time.monotonic() + self._reuse_seconds, preparation)
        return preparation

    def forget(self) -> None:
        """The pool may have other models or browsers than it said."""
        self._known.clear()


async def prepare(
    peers: Peers,
    *,
    workload: core_pb2.Workload,
    platform: core_pb2.Platform.ValueType,
    preferences: Mapping[str, str],
) -> Preparation:
    """Asks the pool for the models, and for engines that support the platform.

    Raises:
        UnknownModel: a name that the pool does not have; the field is the workload's.
        ModelRefused: a model whose files the pool refuses; the field is the workload's.
        ModelUnreachable: a model that the pool cannot have now; the field is the workload's.
        InvalidField: a model type that is not the model's.
        PlatformUnavailable: no engine supports the platform.
        PeerUnavailable: the pool does not answer.
        RemoteError: any other refusal of the pool's.
    """
    models = await _models(peers, workload)
    check_model_types(asked_models(workload), [model.model_type for model in models])
    wanted = {model.name: preference_of(model.model_type, preferences) for model in models}
    served = {}
    for engine in dict.fromkeys(wanted.values()):
        capabilities = await peers.capabilities(platform, preferred=engine)
        served[engine] = engine_for(platform_name(platform), [engine_of(each) for each in capabilities.engines])
    environment = predictor_pb2.ExecutionEnvironment(
        platform=platform,
        engine=main_engine([served[wanted[model.name]] for model in models]),
        core_count=capabilities.core_count,
    )
    engines = {name: served[engine] for name, engine in wanted.items()}
    count = max(1, capabilities.max_connections)
    return Preparation(workload, tuple(models), environment, dict(preferences), engines, count)


async def _models(peers: Peers, workload: core_pb2.Workload) -> list[pool_pb2.ModelInfo]:
    names = list(dict.fromkeys(model.model_name for model in workload.models))
    try:
        listed = await peers.list_models(names)
    except RemoteError as error:
        told = _in_callers_words(error, workload)
        if told is None:
            raise
        raise told from error
    by_name = dict(zip(names, listed, strict=True))
    return [by_name[model.model_name] for model in workload.models]


def _in_callers_words(error: RemoteError, workload: core_pb2.Workload) -> CorunError | None:
    # The pool's field is one of its own request; the caller needs to find it in the workload.
    name = error.metadata.get("model_name", "")
    field = f"workload.models[{first_index_of(name, asked_models(workload))}].model_name"
    if error.reason == "UNKNOWN_MODEL":
        available = [each for each in error.metadata.get("available", "").split(", ") if each]
        return UnknownModel(name, available, field=field)
    if error.reason == "MODEL_REFUSED":
        return ModelRefused(name, error.metadata.get("problem", ""), field=field)
    if error.reason == "MODEL_UNREACHABLE":
        return ModelUnreachable(name, error.metadata.get("problem", ""), field=field)
    return None
