"""A straight line with non-negative coefficients that disturbed points do not bend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from corun.predictor.core.robust import bisquare, lower_sigma

_ROUNDS = 6
_TINY = 1e-9
_MOST_PAIRED = 16  # pairs grow with the square; beyond this an evenly spread part of the points decides the start
_QUANTILE = 0.3
_FAR = 0.7  # logarithm of a ratio; points are not told apart beyond it
_TELLING = 2


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
    """The line through the undisturbed part of points with at least two different x.

    Starts from a regression on a low quantile (Koenker and Bassett 1978), to which disturbed points matter less, and
    goes on by iteratively reweighted least squares on relative errors with Tukey's bisquare weights (Beaton and Tukey
    1974) as long as these leave points to tell a slope by.
    """
    line = _low_quantile(points)
    for _ in range(_ROUNDS):
        residuals = [_residual(point, line) for point in points]
        sigma = lower_sigma(residuals)
        weights = [
            point.weight * bisquare(residual, sigma) / max(line.at(point.x), _TINY) ** 2
            for point, residual in zip(points, residuals, strict=True)
        ]
        if len({point.x for point, weight in zip(points, weights, strict=True) if weight > 0}) < _TELLING:
            break
        line = _least_squares(points, weights)
    return line


def _residual(point: Point, line: Line) -> float:
    return math.log(point.y / max(line.at(point.x), _TINY))


def _low_quantile(points: Sequence[Point]) -> Line:
    """The best line through two points, or through one and either flat or proportional, by the quantile's loss."""
    step = max(1, math.ceil(len(points) / _MOST_PAIRED))
    few = sorted(points, key=lambda point: point.x)[::step]
    candidates = [Line(point.y, 0.0) for point in few] + [Line(0.0, point.y / point.x) for point in few]
    for a, b in combinations(few, 2):
        slope = (b.y - a.y) / (b.x - a.x) if a.x != b.x else -1.0
        if slope >= 0 and a.y >= slope * a.x:
            candidates.append(Line(a.y - slope * a.x, slope))
    return min(candidates, key=lambda line: sum(point.weight * _loss(_residual(point, line)) for point in points))


def _loss(residual: float) -> float:
    size = min(abs(residual), _FAR)
    return size * (_QUANTILE if residual > 0 else 1 - _QUANTILE)


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
