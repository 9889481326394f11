"""The time of one run that has the machine to itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from corun.errors import ModelNeverObserved
from corun.predictor.core.calibration import Calibration, observed_fraction
from corun.predictor.core.history import History
from corun.predictor.core.interval import Estimate, estimate
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.observation import GraphFeatures
from corun.predictor.core.rates import graph_time_ms, speed_up
from corun.predictor.core.workload import Place

# What each doubling or halving of the lane's width adds to the logarithmic error: by the model's own speed-up,
# by that of other models, by the assumed one.
_OWN_SPEED_UP, _OTHERS_SPEED_UP, _ASSUMED_SPEED_UP = 0.05, 0.12, 0.2


class Basis(StrEnum):
    """How a solo time was found."""

    OBSERVED = "observed"
    GRAPH = "graph"


@dataclass(frozen=True, slots=True)
class SoloTime:
    """Time of one run alone, milliseconds, with the standard deviation of its logarithm.

    `observation_count` is how many observations it rests on; 0 on the basis of the graph.
    """

    model_name: str
    batch_size: int
    lane_width: int
    time_ms: float
    log_sigma: float
    basis: Basis
    observation_count: int = 0

    @property
    def estimate(self) -> Estimate:
        """The time with its 90 % interval."""
        return estimate(self.time_ms, self.log_sigma)


def solo_time(knowledge: Knowledge, place: Place, *, model_name: str, batch_size: int, lane_width: int) -> SoloTime:
    """The time of a run, from observations of the model in this place, else from its graph.

    Raises:
        ModelNeverObserved: when there are neither.
    """
    calibration = knowledge.calibration(place)
    history = knowledge.histories.get((place, model_name))
    if history is not None:
        time_ms, log_sigma, count = _from_history(history, calibration, batch_size, lane_width)
        return SoloTime(model_name, batch_size, lane_width, time_ms, log_sigma, Basis.OBSERVED, count)
    graph = knowledge.features.get(model_name)
    if graph is None:
        raise ModelNeverObserved(model_name)
    time_ms = _from_graph(graph, calibration, batch_size, lane_width)
    return SoloTime(model_name, batch_size, lane_width, time_ms, calibration.scale_sigma, Basis.GRAPH)


def _from_history(
    history: History, calibration: Calibration, batch_size: int, lane_width: int
) -> tuple[float, float, int]:
    curve = history.times.get(lane_width)
    if curve is not None:
        return curve.at(batch_size), curve.log_sigma(batch_size), curve.count
    nearest = min(history.times, key=lambda width: (abs(math.log(width / lane_width)), width))
    curve = history.times[nearest]
    fraction, step = _speed_up_law(history, calibration)
    time_ms = curve.at(batch_size) * speed_up(fraction, nearest) / speed_up(fraction, lane_width)
    transfer = step * abs(math.log2(nearest / lane_width))
    return time_ms, math.hypot(curve.log_sigma(batch_size), transfer), curve.count


def _speed_up_law(history: History, calibration: Calibration) -> tuple[float, float]:
    """The parallel fraction to go by, and the logarithmic error of each doubling of the width."""
    if calibration.rates.one_device:
        return calibration.rates.parallel_fraction, _OWN_SPEED_UP
    own = observed_fraction(history)
    if own is not None:
        return own, _OWN_SPEED_UP
    return calibration.parallel_fraction, _OTHERS_SPEED_UP if calibration.speed_up_models else _ASSUMED_SPEED_UP


def _from_graph(graph: GraphFeatures, calibration: Calibration, batch_size: int, lane_width: int) -> float:
    assumed = graph_time_ms(graph, calibration.rates, batch_size=batch_size, lane_width=lane_width)
    return assumed * calibration.scale_by_width.get(lane_width, calibration.scale)
