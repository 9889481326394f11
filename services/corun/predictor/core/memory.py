"""Peak memory of a plan: runtimes of its lanes, the weights of every session, the largest scratch space of each lane.

Counted as it is measured: proportional set size above the idle browser. Part of a runtime is there once for all
lanes of a browser (compiled code, helper processes). A lane's memory never shrinks and its sessions stay. What
loading a session takes besides its weights (a copy of the file) and what running it takes (activations) is scratch:
it is free again afterwards and the lane's other sessions use it, so only the largest counts. Measured on wasm with
BERT-base, ViT-base and Whisper-tiny (436, 346 and 152 MB of weights): alone 1,050, 815 and 390-480 MB, together in
one lane 1,480-1,680 MB. On WebNN sessions lie outside of the lane's memory, one for each shape of the inputs, and
share less or nothing.

How much lanes and sessions share differs between platforms, browsers and machines, and one measurement of a model is
off by some 10 %. So the peak is told together with what it hangs on, and executions tell how far off that is
(`memory_law`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from corun.planning.planner import Plan
from corun.predictor.core.calibration import Calibration
from corun.predictor.core.interval import sigma_of_factor
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.memory_law import OVERLAP, RUNTIME, SHARED, STACKED, Factor, PlanMemory, model_factor
from corun.predictor.core.workload import Place

# A session of which neither graph nor memory is known. The models this was built with take 20-600 MB.
_UNKNOWN_SESSION_MB, _UNKNOWN_FACTOR = 120.0, 5.0
_GRAPH_FACTOR = 1.8


@dataclass(frozen=True, slots=True)
class _Session:
    """A model in a lane: what stays, and what is free again after loading and after runs.

    `sigma` is the standard deviation of the logarithm of its size. `measured` where that was measured together with a
    lane, which was taken off again.
    """

    weights_mb: float
    scratch_mb: float
    sigma: float
    measured: bool

    @property
    def size_mb(self) -> float:
        return self.weights_mb + self.scratch_mb


@dataclass(slots=True)
class _Lane:
    """Sessions by model and batch size."""

    sessions: dict[tuple[str, int], _Session] = field(default_factory=dict)

    @property
    def by_model(self) -> dict[str, _Session]:
        """Of each model the one with the largest scratch."""
        found: dict[str, _Session] = {}
        for (name, _), session in self.sessions.items():
            if name not in found or session.scratch_mb > found[name].scratch_mb:
                found[name] = session
        return found

    @property
    def scratch_mb(self) -> float:
        return max(session.scratch_mb for session in self.sessions.values())

    def stacked_mb(self, *, session_per_shape: bool) -> float:
        """What would come on top if no session used again what another one has left."""
        used = sum(session.weights_mb for session in self.by_model.values()) + self.scratch_mb
        sessions = self.sessions if session_per_shape else self.by_model
        return sum(session.size_mb for session in sessions.values()) - used


def plan_memory(knowledge: Knowledge, place: Place, plan: Plan) -> PlanMemory:
    """What carrying out `plan` is expected to need at its peak."""
    calibration = knowledge.calibration(place)
    rates = calibration.rates
    lanes = [_Lane() for _ in plan.lane_widths]
    for stage in plan.stages:
        for run in stage.runs:
            session = _session(knowledge, place, calibration, run.model_name, run.batch_size)
            lanes[run.lane].sessions[run.model_name, run.batch_size] = session
    by_lane = [lane.by_model for lane in lanes]
    stacked = sum(lane.stacked_mb(session_per_shape=rates.session_per_shape) for lane in lanes)
    scratches = [lane.scratch_mb for lane in lanes]
    overlap = sum(scratches) - max(scratches)
    further = len(lanes) - 1
    shared = further * min(rates.shared_mb, calibration.lane_mb)
    runtimes = len(lanes) * calibration.lane_mb - shared
    runtimes += sum(rates.thread_mb * width for width in plan.lane_widths)
    # A wrong runtime cancels out as often as it was taken off a measurement and put back.
    unmeasured = len(lanes) - sum(session.measured for lane in by_lane for session in lane.values())
    factors = {
        SHARED: Factor(-further, rates.shared_sigma_mb),
        STACKED: Factor(stacked, rates.stacked_sigma),
        OVERLAP: Factor(-overlap, rates.overlap_sigma),
        RUNTIME: Factor(unmeasured, calibration.lane_mb * calibration.lane_sigma),
    }
    for lane, sessions in zip(lanes, by_lane, strict=True):
        for name, session in sessions.items():
            size = session.weights_mb + (session.scratch_mb if session.scratch_mb == lane.scratch_mb else 0.0)
            held = factors.get(model_factor(name))
            factors[model_factor(name)] = Factor(size + (held.mb if held else 0.0), session.sigma)
    return PlanMemory(
        weights_mb=sum(session.weights_mb for lane in by_lane for session in lane.values()),
        scratch_mb=sum(scratches) - rates.overlap_share * overlap + rates.stacked_share * stacked,
        lanes_mb=runtimes,
        shared_mb=shared,
        factors=factors,
    )


def _session(
    knowledge: Knowledge, place: Place, calibration: Calibration, model_name: str, batch_size: int
) -> _Session:
    history = knowledge.histories.get((place, model_name))
    graph = knowledge.features.get(model_name)
    if history is not None and history.memory is not None:
        curve = history.memory
        alone = curve.at(batch_size)
        session = max(1.0, alone - calibration.lane_mb)
        scratch = max(0.0, session - graph.weight_bytes / 1e6) if graph else min(curve.line.slope * batch_size, session)
        sigma = alone * curve.log_sigma(batch_size) / session
        return _Session(session - scratch, scratch, sigma, measured=True)
    if graph is None:
        return _Session(_UNKNOWN_SESSION_MB, 0.0, sigma_of_factor(_UNKNOWN_FACTOR), measured=False)
    weights = graph.weight_bytes / 1e6
    activations = calibration.rates.live_share * graph.activation_bytes_per_item * batch_size / 1e6
    scratch = max((calibration.weight_factor - 1) * weights, activations)
    return _Session(weights, scratch, sigma_of_factor(_GRAPH_FACTOR), measured=False)
