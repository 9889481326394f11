"""Whether errors lean to one side, and whether platforms differ in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_COUNT = 5
"""Validations of a platform below which nothing is said of it."""

_BIAS_SIGNIFICANCE = 0.05
# At least half of the error is bias: what is left after taking it away is the smaller part.
_LEAST_SHARE = 0.5
_DIFFERENCE_SIGNIFICANCE = 0.01


def is_consistent_bias(signed_errors: Sequence[float] | NDArray[np.float64]) -> bool:
    """Whether errors are mostly of one sign, and mostly made of it.

    The sign test (Conover 1999) decides on the first; the mean against the mean size of errors on the second. Six
    validations of the same sign are the fewest that pass.
    """
    given = [error for error in np.asarray(signed_errors).tolist() if error != 0]
    if len(given) < LEAST_COUNT:
        return False
    from scipy import special  # noqa: PLC0415  # takes half a second, and not every validator is asked

    above = sum(error > 0 for error in given)
    # The sign test in one step: both sides are alike. The one in scipy.stats takes a hundred times as long.
    p_value = 2 * float(special.bdtr(min(above, len(given) - above), len(given), 0.5))
    share = abs(sum(given)) / sum(map(abs, given))
    return p_value < _BIAS_SIGNIFICANCE and share >= _LEAST_SHARE


def differ(signed_errors: Mapping[str, Sequence[float] | NDArray[np.float64]], *, least_spread: float) -> bool:
    """Whether groups (two or more, at least five values each, others are left out) have different signed errors.

    Kruskal and Wallis' test (1952) decides whether they do; medians that lie less than `least_spread` apart do not
    matter.
    """
    groups = [np.asarray(values) for values in signed_errors.values() if len(values) >= LEAST_COUNT]
    if len(groups) < 2:
        return False
    medians = [float(np.median(group)) for group in groups]
    if max(medians) - min(medians) < least_spread:
        return False
    from scipy import stats  # noqa: PLC0415  # see is_consistent_bias

    return float(stats.kruskal(*groups).pvalue) < _DIFFERENCE_SIGNIFICANCE
