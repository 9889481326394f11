"""How errors of a group of validations move: trends, and drifts of their level."""

from __future__ import annotations

from dataclasses import dataclass

from corun.validator.core.drift import Drift, latest_drift
from corun.validator.core.history import FIGURES, History
from corun.validator.core.trend import Trend, error_trend

MOST_COUNT = 1000
"""Newest validations that count."""


@dataclass(frozen=True, slots=True)
class Movement:
    """The trend of one figure's errors, and the latest drift of their level, None where there is none."""

    trend: Trend
    drift: Drift | None


def movements(history: History) -> dict[str, Movement]:
    """By figure. Drift is looked for on one platform only: where several alternate, the level always changes."""
    newest = history.newest(MOST_COUNT)
    one_platform = len(set(newest.platforms.tolist())) == 1
    return {
        figure: Movement(
            error_trend(newest.errors(figure)),
            latest_drift(newest.signed_errors(figure)) if one_platform else None,
        )
        for figure in FIGURES
    }
