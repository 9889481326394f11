"""Where a series changes its level, if it does so once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def best_split(values: NDArray[np.float64]) -> int:
    """Values before the change that leaves least squares around two means, 1 or more. At least two values."""
    count = len(values)
    before = np.arange(1, count)
    sums = np.cumsum(values)[:-1]
    distance = sums / before - (values.sum() - sums) / (count - before)
    return int(np.argmax(before * (count - before) * distance**2)) + 1
