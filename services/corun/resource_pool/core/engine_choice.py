"""Which engine serves a platform: what was asked for, or the next best with the reason why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Other names, and the relatives that stand in first.
_ALIASES = {"edge": "msedge"}
_RELATIVES: dict[str, tuple[str, ...]] = {
    "chrome": ("chromium", "chromium-shell"),
    "msedge": ("chromium", "chromium-shell"),
}
_RELATIVES |= {"chromium": ("chromium-shell",), "chromium-shell": ("chromium",)}
_TYPE_ALIASES = {"text": "text_embedding"}


@dataclass(frozen=True, slots=True)
class Offer:
    """An engine that was asked whether it has the platform. `problem` says why not; empty: it does."""

    engine: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Fallback:
    """A preferred engine could not serve and another one did."""

    model_type: str
    preferred: str
    used: str
    reason: str


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine, and what it was preferred to be if that is another one."""

    engine: str
    fallback: Fallback | None = None


def engine_of(name: str) -> str:
    """The engine that is meant by a name of a preference."""
    return _ALIASES.get(name, name)


def candidates(preferred: str, engines: Sequence[str]) -> tuple[str, ...]:
    """Engines in the order in which they are to be asked: the preferred one, its relatives, the others."""
    first = engine_of(preferred)
    ordered = (first, *_RELATIVES.get(first, ()), *engines) if first else tuple(engines)
    return tuple(dict.fromkeys(each for each in ordered if each in engines))


def choose_engine(preferred: str, offers: Sequence[Offer], *, model_type: str = "") -> EngineChoice | None:
    """The first engine that can serve; None when none can.

    Args:
        preferred: Name of a preference, or empty.
        offers: In the order of `candidates`; those after the first without a problem may be missing.
        model_type: Whose preference it is.
    """
    found = next((offer for offer in offers if not offer.problem), None)
    if found is None:
        return None
    wanted = engine_of(preferred)
    if not wanted or found.engine == wanted:
        return EngineChoice(found.engine)
    reason = next((offer.problem for offer in offers if offer.engine == wanted), "this pool has no such engine")
    return EngineChoice(found.engine, Fallback(model_type, preferred, found.engine, reason))


def preferences_by_type(preferences: Mapping[str, str]) -> dict[str, str]:
    """The preferences with the full names of model types."""
    return {_TYPE_ALIASES.get(model_type, model_type): engine for model_type, engine in preferences.items()}
