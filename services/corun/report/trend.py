"""Whether errors grow or shrink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_FEWEST = 8
_SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class Trend:
    """Direction "improving", "worsening", "stable" or "unknown", and strength 0 to 1."""

    direction: str
    strength: float


def trend_of(errors: Sequence[float | None]) -> Trend:
    """The trend of errors in order of recording, by Kendall's rank correlation with it (Mann, 1945; Kendall, 1975).

    Fewer than eight say nothing; a correlation that chance would give in one of twenty cases is "stable".
    """
    from scipy.stats import kendalltau  # noqa: PLC0415  (half a second that other commands need not wait)

    known = [error for error in errors if error is not None]
    if len(known) < _FEWEST:
        return Trend("unknown", 0.0)
    found = kendalltau(range(len(known)), known)
    if not found.pvalue < _SIGNIFICANCE:  # also where all errors are the same
        return Trend("stable", 0.0)
    return Trend("worsening" if found.statistic > 0 else "improving", abs(float(found.statistic)))
