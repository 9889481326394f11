"""Answers about series of errors, kept: at most groups nothing is new when they are asked about again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
Series: TypeAlias = Sequence[float] | NDArray[np.floating[Any]]
Answer = TypeVar("Answer")

# Three figures of the seven groups of a dozen selections: 2 MB where histories have 1,000 validations.
_KEPT_COUNT = 256


def answered_once(question: Callable[[Values], Answer]) -> Callable[[Series], Answer]:
    """A question about a series of at most a few thousand values, whose answer is kept for when the same comes back."""

    @lru_cache(maxsize=_KEPT_COUNT)
    def answer(content: bytes) -> Answer:
        return question(np.frombuffer(content, dtype=np.float64))

    @wraps(question)
    def ask(series: Series) -> Answer:
        return answer(np.asarray(series, dtype=np.float64).tobytes())

    return ask
