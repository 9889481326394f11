"""A figure of one model as a function of its batch size, fitted to what was observed."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from corun.predictor.core.interval import NOISE_FLOOR, robust_sigma, shrunk_sigma
from corun.predictor.core.line import Line, Point, fit_line
from corun.predictor.core.robust import typical

# Occasions at one batch size that are believed over the line through all of them. Fewer may be an outlier.
_BELIEVED_COUNT = 3
# Spread of repeated runs before there are enough to tell: the middle of what was measured (4-10 %).
_PRIOR_SPREAD = 0.07
_PRIOR_COUNT = 4.0
# Observations that contradict each other more than this teach nothing further: a factor of 27 either way.
_LARGEST_SPREAD = 2.0
# What each doubling beyond the observed batch sizes adds to the logarithmic error: less where a slope was seen.
_DOUBLING_WITH_SLOPE = 0.05
_DOUBLING_WITHOUT_SLOPE = 0.15


@dataclass(frozen=True, slots=True)
class Curve:
    """`line.at(batch)`, corrected to the medians of well-observed batch sizes. Never falls as the batch grows.

    Attributes:
        line: Robust fit over all observed batch sizes.
        knots: Well-observed batch sizes and their medians, ascending in both.
        spread: Standard deviation of the logarithm of single observations around the curve.
        count: Observations.
        smallest: Smallest observed batch size.
        largest: Largest observed batch size.
    """

    line: Line
    knots: tuple[tuple[int, float], ...]
    spread: float
    count: int
    smallest: int
    largest: int

    def at(self, batch_size: int) -> float:
        """The most likely figure at `batch_size`, above 0."""
        if not self.knots:
            return self.line.at(batch_size)
        first_batch, first = self.knots[0]
        last_batch, last = self.knots[-1]
        if batch_size <= first_batch:
            return first * self.line.at(batch_size) / self.line.at(first_batch)
        if batch_size >= last_batch:
            return last + self.line.slope * (batch_size - last_batch)
        right = bisect_left(self.knots, (batch_size, -math.inf))
        (left_batch, left), (right_batch, value) = self.knots[right - 1], self.knots[right]
        return left + (value - left) * (batch_size - left_batch) / (right_batch - left_batch)

    def log_sigma(self, batch_size: int) -> float:
        """Standard deviation of the logarithm of one new observation at `batch_size`."""
        outside = max(batch_size / self.largest, self.smallest / batch_size, 1.0)
        step = _DOUBLING_WITH_SLOPE if self.largest > self.smallest else _DOUBLING_WITHOUT_SLOPE
        return math.hypot(self.spread * math.sqrt(1 + 1 / self.count), step * math.log2(outside))


def fit_curve(
    samples: Sequence[tuple[int, float]], *, fixed_share: float, occasions: Sequence[int] | None = None
) -> Curve:
    """Fits batch sizes and figures above 0, at least one.

    Args:
        samples: Batch size and figure of each.
        fixed_share: The part of the figure at batch size 1 that does not grow with the batch. It is only used where
            a single batch size was observed, which cannot tell.
        occasions: What each sample was observed together with: whatever disturbed one run of an occasion may have
            disturbed all of them. Each is an occasion of its own if this is None.
    """
    points = _points(samples, occasions if occasions is not None else range(len(samples)))
    line = fit_line(points) if len(points) > 1 else _line_through(points[0], fixed_share)
    believed = [point for point in points if point.weight >= _BELIEVED_COUNT or len(points) == 1]
    knots = tuple((int(point.x), figure) for point, figure in zip(believed, _rising(believed), strict=True))
    curve = Curve(line, knots, _PRIOR_SPREAD, len(samples), int(points[0].x), int(points[-1].x))
    measured = robust_sigma(math.log(figure / curve.at(batch_size)) for batch_size, figure in samples)
    spread = shrunk_sigma(measured, len(samples), prior=_PRIOR_SPREAD, prior_count=_PRIOR_COUNT)
    return replace(curve, spread=min(_LARGEST_SPREAD, max(NOISE_FLOOR, spread)))


def _points(samples: Sequence[tuple[int, float]], occasions: Sequence[int]) -> list[Point]:
    """Each batch size with what is typical of its occasions, and their number."""
    found: dict[int, dict[int, list[float]]] = {}
    for (batch_size, figure), occasion in zip(samples, occasions, strict=True):
        found.setdefault(batch_size, {}).setdefault(occasion, []).append(math.log(figure))
    return [
        Point(batch_size, math.exp(typical([typical(logs) for logs in together.values()])), len(together))
        for batch_size, together in sorted(found.items())
    ]


def _line_through(point: Point, fixed_share: float) -> Line:
    at_one = point.y / (fixed_share + (1 - fixed_share) * point.x)
    return Line(fixed_share * at_one, (1 - fixed_share) * at_one)


def _rising(points: Sequence[Point]) -> list[float]:
    """The nearest non-decreasing figures: pool adjacent violators (Ayer et al. 1955)."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for point in points:
        mean, weight, length = point.y, point.weight, 1
        while blocks and blocks[-1][0] > mean:
            other_mean, other_weight, other_length = blocks.pop()
            mean = (mean * weight + other_mean * other_weight) / (weight + other_weight)
            weight, length = weight + other_weight, length + other_length
        blocks.append((mean, weight, length))
    return [mean for mean, _, length in blocks for _ in range(length)]
