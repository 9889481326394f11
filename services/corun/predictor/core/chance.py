"""Whether something is better than what it would replace, or only by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def is_beyond_chance(gains: Sequence[float], *, standard_errors: float, weights: Sequence[float] | None = None) -> bool:
    """Whether the mean of paired gains is over so many of its standard errors (one-sided paired test).

    Args:
        gains: What was gained on each of the same records, at least two.
        standard_errors: How many; 1.28 and 1.645 are passed by chance one time in ten and in twenty.
        weights: What each counts; all alike if this is None.
    """
    found = np.asarray(gains, dtype=float)
    share = np.ones(len(found)) if weights is None else np.asarray(weights, dtype=float)
    share = share / share.sum()
    mean = float(share @ found)
    count = 1 / float(share @ share)  # of equally weighted ones that would tell as much (Kish 1965)
    return mean > standard_errors * math.sqrt(float(share @ (found - mean) ** 2) / (count - 1))
