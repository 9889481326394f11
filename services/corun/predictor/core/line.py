"""A straight line with non-negative coefficients that a wild point does not bend."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from corun.predictor.core.interval import NOISE_FLOOR, robust_sigma

_ROUNDS = 6
_REACH = 4.685  # standard deviations, beyond which a point counts nothing: 95 % as efficient on clean data
_TINY = 1e-9
_MOST_PAIRED = 64  # pairs grow with the square; beyond this an evenly spread part of the points decides the start


@dataclass(frozen=True, slots=True)
class Point:
    """Something measured: `y` above 0 at `x` above 0, with a weight such as the count behind it."""

    x: float
    y: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """`intercept + slope * x`, neither negative, not both 0."""

    intercept: float
    slope: float

    def at(self, x: float) -> float:
        """The value at `x`."""
        return self.intercept + self.slope * x


def fit_line(points: Sequence[Point]) -> Line:
    """The line through points with at least two different x, resistant to less than a quarter of them being wild.

    Starts from the Theil-Sen estimate (Sen 1968) and goes on by iteratively reweighted least squares on relative
    errors with Tukey's bisquare weights (Beaton and Tukey 1974).
    """
    line = _theil_sen(points)
    for _ in range(_ROUNDS):
        residuals = [math.log(point.y / max(line.at(point.x), _TINY)) for point in points]
        scale = max(robust_sigma(residuals), NOISE_FLOOR)
        weights = [
            point.weight * _bisquare(residual / scale) / max(line.at(point.x), _TINY) ** 2
            for point, residual in zip(points, residuals, strict=True)
        ]
        line = _least_squares(points, weights)
    return line


def _bisquare(deviation: float) -> float:
    return max(0.0, 1 - (deviation / _REACH) ** 2) ** 2


def _theil_sen(points: Sequence[Point]) -> Line:
    step = max(1, math.ceil(len(points) / _MOST_PAIRED))
    few = sorted(points, key=lambda point: point.x)[::step]
    slopes = [(b.y - a.y) / (b.x - a.x) for a, b in combinations(few, 2) if a.x != b.x]
    slope = max(0.0, statistics.median(slopes)) if slopes else 0.0
    intercept = max(0.0, statistics.median(point.y - slope * point.x for point in points))
    if intercept == 0.0:
        slope = statistics.median(point.y / point.x for point in points)
    return Line(intercept, slope)


def _least_squares(points: Sequence[Point], weights: Sequence[float]) -> Line:
    """Non-negative least squares in two unknowns: where the free solution leaves the quadrant, an edge has it."""
    pairs = list(zip(points, weights, strict=True))
    total = sum(weight for _, weight in pairs)
    sum_x = sum(weight * point.x for point, weight in pairs)
    sum_xx = sum(weight * point.x**2 for point, weight in pairs)
    sum_y = sum(weight * point.y for point, weight in pairs)
    sum_xy = sum(weight * point.x * point.y for point, weight in pairs)
    determinant = total * sum_xx - sum_x**2
    if determinant > 1e-12 * total * sum_xx:
        slope = (total * sum_xy - sum_x * sum_y) / determinant
        intercept = (sum_y - slope * sum_x) / total
        if slope >= 0 and intercept >= 0:
            return Line(intercept, slope)
    flat, through_zero = Line(sum_y / total, 0.0), Line(0.0, sum_xy / sum_xx)
    return min(flat, through_zero, key=lambda line: sum(w * (p.y - line.at(p.x)) ** 2 for p, w in pairs))
