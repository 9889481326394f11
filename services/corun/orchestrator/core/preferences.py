"""Which browser a model prefers, and for which browser a workload is predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

_OTHER_NAMES = {"text_embedding": "text"}


def preference_of(model_type: str, preferences: Mapping[str, str]) -> str:
    """The engine that is preferred for models of a type, by its full name or another one; "" where none is."""
    other = _OTHER_NAMES.get(model_type, model_type)
    return preferences.get(model_type) or preferences.get(other, "")


def main_engine(engines: Sequence[str]) -> str:
    """The engine that serves most of a workload's models; the first of equals. `engines` must not be empty."""
    counts = Counter(engines)
    return max(counts, key=lambda engine: counts[engine])
