"""What the observed models of a place say about all models there: noise, speed-up, rates, memory of a lane."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from corun.predictor.core.contention import SharingLaw, sharing_law
from corun.predictor.core.curve import Curve
from corun.predictor.core.execution import Experience
from corun.predictor.core.history import History
from corun.predictor.core.interval import NOISE_FLOOR, robust_sigma, shrunk_sigma, sigma_of_factor
from corun.predictor.core.line import Line, Point, fit_line
from corun.predictor.core.observation import GraphFeatures
from corun.predictor.core.rates import Rates, graph_time_ms

# Models that it takes to tell a lane's memory from the copies of the weights, and how much they must differ in size.
_MEMORY_MODELS = 3
_MEMORY_RANGE = 2.0
# How far apart observed models are from the same rates before there are enough to tell: a factor of 2.3.
_PRIOR_RATE_SPREAD = 0.5
_LEAST_RATE_SPREAD = 0.2


@dataclass(frozen=True, slots=True)
class Calibration:
    """Figures of one place. Without observations they are the assumed rates.

    Attributes:
        rates: As first assumed.
        noise: Standard deviation of the logarithm of repeated runs.
        parallel_fraction: Part of a run that more threads make faster, 0 to 1.
        speed_up_models: Models that it was seen on.
        scale_by_width: Observed over assumed time of models with a graph, by lane width.
        scale: The same over all widths.
        scale_sigma: Standard deviation of the logarithm of a time from a graph.
        sharing: What runs beside each other cost.
        lane_mb: Runtime of a browser's first lane without threads, megabytes.
        lane_sigma: Its standard deviation, as a share.
        weight_factor: Copies of the weights that a session takes at its peak, while it is loaded.
        load_ms_per_mb: Loading, milliseconds for each megabyte of weights.
    """

    rates: Rates
    noise: float
    parallel_fraction: float
    scale_sigma: float
    sharing: SharingLaw
    lane_mb: float
    weight_factor: float
    load_ms_per_mb: float
    lane_sigma: float = 0.35
    speed_up_models: int = 0
    scale: float = 1.0
    scale_by_width: Mapping[int, float] = field(default_factory=dict)


def calibrate(
    rates: Rates,
    observed: Mapping[str, History] | None = None,
    features: Mapping[str, GraphFeatures] | None = None,
    experiences: Sequence[Experience] = (),
) -> Calibration:
    """Calibrates a place on the models observed there (by name), their features, and executions there."""
    observed, features = observed or {}, features or {}
    fractions = [each for each in map(observed_fraction, observed.values()) if each is not None]
    ratios = _graph_ratios(rates, observed, features)
    logs = [math.log(ratio) for by_width in ratios.values() for ratio in by_width]
    lane = _lane_line(rates, observed, features)
    lane_mb = lane.intercept if lane else rates.lane_mb
    return Calibration(
        rates=rates,
        noise=_noise(observed),
        parallel_fraction=statistics.median(fractions) if fractions else rates.parallel_fraction,
        speed_up_models=len(fractions),
        scale=math.exp(statistics.median(logs)) if logs else 1.0,
        scale_by_width={width: statistics.median(by_width) for width, by_width in ratios.items()},
        scale_sigma=_scale_sigma(logs, rates),
        sharing=sharing_law(rates, experiences),
        lane_mb=lane_mb,
        lane_sigma=0.15 if lane else 0.35,
        weight_factor=lane.slope if lane else rates.weight_factor,
        load_ms_per_mb=_load_ms_per_mb(rates, observed, features),
    )


def observed_fraction(history: History) -> float | None:
    """The parallel fraction of a model observed at two widths or more (the farthest apart), else None."""
    widths = sorted(history.times)
    if len(widths) < 2:
        return None
    narrow, wide = history.times[widths[0]], history.times[widths[-1]]
    batch_size = _common_batch(narrow, wide)
    ratio = wide.at(batch_size) / narrow.at(batch_size)
    gone_narrow, gone_wide = 1 - 1 / widths[0], 1 - 1 / widths[-1]
    fraction = (1 - ratio) / max(gone_wide - ratio * gone_narrow, 1e-9)
    return min(1.0, max(0.0, fraction))


def _common_batch(one: Curve, other: Curve) -> int:
    return min(max(one.smallest, other.smallest), one.largest, other.largest)


def _noise(observed: Mapping[str, History]) -> float:
    residuals: list[float] = []
    for history in observed.values():
        for observations in history.samples.values():
            by_batch: dict[int, list[float]] = {}
            for each in observations:
                by_batch.setdefault(each.batch_size, []).append(math.log(each.run_time_ms))
            for logs in by_batch.values():
                middle = statistics.median(logs)
                residuals += [each - middle for each in logs if len(logs) > 2]
    return max(NOISE_FLOOR, robust_sigma(residuals))


def _graph_ratios(
    rates: Rates, observed: Mapping[str, History], features: Mapping[str, GraphFeatures]
) -> dict[int, list[float]]:
    ratios: dict[int, list[float]] = {}
    for name in observed.keys() & features.keys():
        for width, curve in observed[name].times.items():
            assumed = graph_time_ms(features[name], rates, batch_size=curve.smallest, lane_width=width)
            ratios.setdefault(width, []).append(curve.at(curve.smallest) / assumed)
    return ratios


def _scale_sigma(logs: list[float], rates: Rates) -> float:
    if not logs:
        return sigma_of_factor(rates.uncertainty)
    middle = statistics.median(logs)
    measured = robust_sigma(each - middle for each in logs)
    return max(_LEAST_RATE_SPREAD, shrunk_sigma(measured, len(logs), prior=_PRIOR_RATE_SPREAD, prior_count=2))


def _load_ms_per_mb(rates: Rates, observed: Mapping[str, History], features: Mapping[str, GraphFeatures]) -> float:
    weights_mb = {name: graph.weight_bytes / 1e6 for name, graph in features.items() if graph.weight_bytes}
    measured = [
        load_ms / weights_mb[name]
        for name in sorted(observed.keys() & weights_mb.keys())
        if (load_ms := observed[name].load_ms) is not None
    ]
    return statistics.median(measured) if measured else rates.load_ms_per_mb


def _lane_line(rates: Rates, observed: Mapping[str, History], features: Mapping[str, GraphFeatures]) -> Line | None:
    """Memory alone = lane + factor x weights, over models of different sizes; None where there are too few."""
    points = []
    for name in sorted(observed.keys() & features.keys()):
        curve, graph = observed[name].memory, features[name]
        if curve is None or graph.weight_bytes == 0:
            continue
        batch_size = curve.smallest
        weights = graph.weight_bytes / 1e6
        activations = rates.live_share * graph.activation_bytes_per_item * batch_size / 1e6
        # Activations find room where the file's copy was; only what is more than that adds to the peak.
        points.append(Point(weights, max(1.0, curve.at(batch_size) - max(0.0, activations - weights))))
    sizes = [point.x for point in points]
    if len(points) < _MEMORY_MODELS or max(sizes) < _MEMORY_RANGE * min(sizes):
        return None
    line = fit_line(points)
    return Line(min(150.0, max(5.0, line.intercept)), min(4.0, max(1.0, line.slope)))
