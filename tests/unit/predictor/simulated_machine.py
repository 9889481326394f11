"""A machine that exists in these tests only, with laws of its own, to test the method of learning; nothing here was
measured. Its contention differs from pair to pair, which the predictor's own model of sharing does not know."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from corun.predictor.core.execution import ExecutedRun, Execution
from corun.predictor.core.observation import GraphFeatures, Observation
from corun.predictor.core.planner import Plan, make_plan
from corun.predictor.core.workload import ModelConfig, Place, Platform, Strategy, Workload

NOISE = 0.05
PLACE = Place(Platform.WASM, "chromium")


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """Milliseconds for a run and for an item on one thread, Amdahl's fraction, hunger for bandwidth, megabytes."""

    fixed_ms: float
    item_ms: float
    parallel_fraction: float
    hunger: float
    weights_mb: float

    def solo_ms(self, batch_size: int, lane_width: int) -> float:
        """Time alone without noise."""
        part = 1 - self.parallel_fraction + self.parallel_fraction / lane_width
        return (self.fixed_ms + self.item_ms * batch_size) * part


MODELS = {
    "bert": SimulatedModel(20, 480, 0.92, 0.25, 435),
    "vit": SimulatedModel(30, 390, 0.88, 0.35, 346),
    "whisper": SimulatedModel(15, 160, 0.75, 0.65, 152),
    "minilm": SimulatedModel(6, 45, 0.7, 0.3, 90),
    "mobile": SimulatedModel(8, 28, 0.6, 0.5, 14),
    "clip": SimulatedModel(25, 230, 0.9, 0.45, 600),
}


@dataclass(slots=True)
class SimulatedMachine:
    """Two cores. `load` is how many times slower everything is, for example beside a competing program."""

    seed: int
    core_count: int = 2
    load: float = 1.0
    noise: float = NOISE
    models: dict[str, SimulatedModel] = field(default_factory=lambda: dict(MODELS))
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def features(self) -> dict[str, GraphFeatures]:
        """Graphs in which the weights are right; arithmetic is not to be relied on."""
        return {
            name: GraphFeatures(each.item_ms * 4e7, int(each.weights_mb * 1e6), 2e7, 300, dynamic_batch=True)
            for name, each in self.models.items()
        }

    def profile(self, name: str, *, batch: int = 1, width: int = 2, count: int = 3) -> list[Observation]:
        """Runs alone; memory with the first."""
        model = self.models[name]
        memory = self._noisy(70 + 6 * width + 2.1 * model.weights_mb, 0.03)
        times = [self._noisy(self.load * model.solo_ms(batch, width)) for _ in range(count)]
        return [Observation(name, batch, width, t, None if index else memory) for index, t in enumerate(times)]

    def workload(self, *names: str, most_items: int = 4) -> Workload:
        """The models with batch sizes drawn from 1 to `most_items`."""
        return Workload(tuple(ModelConfig(name, self.random.randint(1, most_items)) for name in names))

    def plan(self, workload: Workload, strategy: Strategy) -> Plan:
        """As the predictor plans."""
        return make_plan(workload, strategy, core_count=self.core_count, batching_size=2)

    def execute(self, plan: Plan, *, end_time: float = 0.0) -> Execution:
        """Carries out a plan: noise is common to its runs for the most part."""
        mood = self._noisy(1.0)
        runs, latency = [], 0.0
        for index, stage in enumerate(plan.stages):
            solos = [
                self.load * self.models[run.model_name].solo_ms(run.batch_size, plan.lane_widths[run.lane])
                for run in stage.runs
            ]
            hungers = [self.models[run.model_name].hunger for run in stage.runs]
            finished = self._finish_times(solos, hungers, [plan.lane_widths[run.lane] for run in stage.runs])
            for run, time_ms in zip(stage.runs, finished, strict=True):
                width = plan.lane_widths[run.lane]
                measured = mood * self._noisy(time_ms, 0.01)
                runs.append(ExecutedRun(run.model_name, run.batch_size, width, len(stage.runs), index, measured))
            latency += max(run.run_time_ms for run in runs if run.stage == index) + 2.5 + 1.5 * len(stage.runs)
        return Execution(plan, self.core_count, latency, self._memory(plan), tuple(runs), end_time)

    def _finish_times(self, solos: list[float], hungers: list[float], widths: list[int]) -> list[float]:
        left, finished, now = list(solos), [0.0] * len(solos), 0.0
        active = list(range(len(solos)))
        while active:
            demand = max(1.0, sum(widths[each] for each in active) / self.core_count)
            total = sum(hungers[each] for each in active)
            # As many as there are cores run at once and feel each other; the rest waits.
            beside = min(1.0, (self.core_count - 1) / max(1, len(active) - 1))
            slow = {each: demand * (1 + 0.9 * hungers[each] * beside * (total - hungers[each])) for each in active}
            step = min(left[each] * slow[each] for each in active)
            now += step
            for each in list(active):
                left[each] -= step / slow[each]
                if left[each] <= 1e-9 * solos[each]:
                    finished[each] = now
                    active.remove(each)
        return finished

    def _memory(self, plan: Plan) -> float:
        total = 0.0
        for lane, width in enumerate(plan.lane_widths):
            names = {run.model_name for stage in plan.stages for run in stage.runs if run.lane == lane}
            weights = [self.models[name].weights_mb for name in names]
            total += 70 + 6 * width + sum(weights) + 1.1 * max(weights)
        return self._noisy(total, 0.04)

    def _noisy(self, value: float, sigma: float | None = None) -> float:
        return value * math.exp(self.random.gauss(0, self.noise if sigma is None else sigma))
