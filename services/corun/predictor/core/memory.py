"""Peak memory of a plan: runtimes of its lanes, the weights of every session, the largest scratch space of each lane.

Counted as it is measured: proportional set size above the idle browser. Part of a runtime is there once for all
lanes of a browser (compiled code, helper processes). A lane's memory never shrinks and its sessions stay. What
loading a session takes besides its weights (a copy of the file) and what running it takes (activations) is scratch:
it is free again afterwards and the lane's other sessions use it, so only the largest counts. Measured on wasm with
BERT-base, ViT-base and Whisper-tiny (436, 346 and 152 MB of weights): alone 1,050, 815 and 390-480 MB, together in
one lane 1,480-1,680 MB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from corun.predictor.core.calibration import Calibration
from corun.predictor.core.interval import NOISE_FLOOR, sigma_of_factor
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.planner import Plan
from corun.predictor.core.workload import Place

# A session of which neither graph nor memory is known. The models this was built with take 20-600 MB.
_UNKNOWN_SESSION_MB, _UNKNOWN_FACTOR = 120.0, 5.0
_GRAPH_FACTOR = 1.8


@dataclass(frozen=True, slots=True)
class PlanMemory:
    """Parts of the peak, megabytes, with the standard deviation of the logarithm of their sum.

    `shared_mb` is what the lanes share of their runtimes; `lanes_mb` is without it. `measured` is true where every
    session's size rests on measurements of its model.
    """

    weights_mb: float
    scratch_mb: float
    lanes_mb: float
    shared_mb: float
    log_sigma: float
    measured: bool

    @property
    def total_mb(self) -> float:
        """The peak."""
        return self.weights_mb + self.scratch_mb + self.lanes_mb


@dataclass(frozen=True, slots=True)
class _Session:
    """A model in a lane: what stays, and what is free again after loading and after runs.

    `lanes` is 1 where it was measured together with a lane, which was taken off again.
    """

    weights_mb: float
    scratch_mb: float
    sigma_mb: float
    lanes: int


@dataclass(slots=True)
class _Lane:
    sessions: dict[str, _Session] = field(default_factory=dict)

    def add(self, model_name: str, session: _Session) -> None:
        held = self.sessions.get(model_name)
        if held is None or session.scratch_mb > held.scratch_mb:
            self.sessions[model_name] = session

    @property
    def scratch_mb(self) -> float:
        return max(session.scratch_mb for session in self.sessions.values())


def plan_memory(knowledge: Knowledge, place: Place, plan: Plan) -> PlanMemory:
    """What carrying out `plan` is expected to need at its peak."""
    calibration = knowledge.calibration(place)
    lanes = [_Lane() for _ in plan.lane_widths]
    for stage in plan.stages:
        for run in stage.runs:
            lanes[run.lane].add(run.model_name, _session(knowledge, place, calibration, run.model_name, run.batch_size))
    sessions = [session for lane in lanes for session in lane.sessions.values()]
    weights = sum(session.weights_mb for session in sessions)
    scratch = sum(lane.scratch_mb for lane in lanes)
    further = len(lanes) - 1
    shared = further * calibration.shared_mb
    runtimes = len(lanes) * calibration.lane_mb - shared
    runtimes += sum(calibration.rates.thread_mb * width for width in plan.lane_widths)
    # A wrong lane figure cancels out as often as it was taken off a measurement and put back.
    unmeasured = abs(len(lanes) - sum(session.lanes for session in sessions))
    lane_error = unmeasured * calibration.lane_mb * calibration.lane_sigma
    total = weights + scratch + runtimes
    shared_error = further * calibration.shared_error_mb
    spread = math.hypot(lane_error, shared_error, *(session.sigma_mb for session in sessions)) / total
    measured = all(session.lanes for session in sessions)
    return PlanMemory(weights, scratch, runtimes, shared, max(NOISE_FLOOR, spread), measured)


def shared_reading(calibration: Calibration, plan: Plan, memory: PlanMemory, measured_mb: float) -> float | None:
    """Megabytes shared by lanes that would explain a measured peak; None where nothing tells."""
    further = len(plan.lane_widths) - 1
    if not further or not memory.measured:
        return None
    return calibration.shared_mb + (memory.total_mb - measured_mb) / further


def _session(
    knowledge: Knowledge, place: Place, calibration: Calibration, model_name: str, batch_size: int
) -> _Session:
    history = knowledge.histories.get((place, model_name))
    graph = knowledge.features.get(model_name)
    if history is not None and history.memory is not None:
        curve = history.memory
        alone = curve.at(batch_size)
        session = max(0.0, alone - calibration.lane_mb)
        scratch = max(0.0, session - graph.weight_bytes / 1e6) if graph else min(curve.line.slope * batch_size, session)
        return _Session(session - scratch, scratch, alone * curve.log_sigma(batch_size), lanes=1)
    if graph is None:
        return _Session(_UNKNOWN_SESSION_MB, 0.0, _UNKNOWN_SESSION_MB * sigma_of_factor(_UNKNOWN_FACTOR), lanes=0)
    weights = graph.weight_bytes / 1e6
    activations = calibration.rates.live_share * graph.activation_bytes_per_item * batch_size / 1e6
    scratch = max((calibration.weight_factor - 1) * weights, activations)
    return _Session(weights, scratch, (weights + scratch) * sigma_of_factor(_GRAPH_FACTOR), lanes=0)
