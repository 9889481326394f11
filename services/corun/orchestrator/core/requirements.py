"""What must hold before a workload is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corun.errors import InvalidField, PlatformUnavailable


@dataclass(frozen=True, slots=True)
class Engine:
    """What a browser engine was found to do: `problems` says why a platform does not work in it."""

    name: str
    available: bool
    detail: str
    supported: frozenset[str]
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A model as the caller named it; an empty `model_type` leaves the type open."""

    model_name: str
    model_type: str


def engine_for(platform: str, engines: Sequence[Engine]) -> str:
    """The first available engine that supports `platform`.

    Raises:
        PlatformUnavailable: when none does; it names the platforms that some engine does support.
    """
    available = [engine for engine in engines if engine.available]
    for engine in available:
        if platform in engine.supported:
            return engine.name
    offered = sorted({each for engine in available for each in engine.supported})
    causes = [f"{engine.name}: {_problem(engine, platform)}" for engine in engines]
    raise PlatformUnavailable(platform, offered, "; ".join(causes) or "no browser engine is known")


def _problem(engine: Engine, platform: str) -> str:
    if not engine.available:
        return engine.detail or "not available"
    return engine.problems.get(platform) or "not supported"


def check_model_types(asked: Sequence[AskedModel], actual_types: Sequence[str]) -> None:
    """Refuses a workload that calls a model something else than it is.

    Args:
        asked: The workload's models.
        actual_types: Their types, in the same order.

    Raises:
        InvalidField: for the first mismatch, with both types.
    """
    for index, (model, actual) in enumerate(zip(asked, actual_types, strict=True)):
        if model.model_type and model.model_type != actual:
            raise InvalidField(
                f"workload.models[{index}].model_type",
                f"{model.model_name!r} is of type {actual!r}; received {model.model_type!r}",
            )


def first_index_of(model_name: str, asked: Sequence[AskedModel]) -> int:
    """Where the workload first names the model; 0 when it does not."""
    return next((index for index, model in enumerate(asked) if model.model_name == model_name), 0)
