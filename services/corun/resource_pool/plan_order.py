"""What the pool is to carry out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corun.resource_pool.core.plan import Plan
from corun.resource_pool.models import Model
from corun.resource_pool.plan_inputs import Batch

# Where a run stands in the plan: stage, index in the stage.
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class MeasuringRules:
    """How measuring goes.

    Attributes:
        memory_interval_seconds: Shortest pause between two samples of memory.
        settle_seconds: How old lanes must be, and then their browsers idle; until then warm-up goes on. 0 for at once.
    """

    memory_interval_seconds: float = 0.1
    settle_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PlanOrder:
    """What is to be carried out.

    Attributes:
        plan: The schedule.
        models: Every model of the plan by name.
        platform: Of all its lanes.
        batches: The inferences of each run.
        preferences: Engine to prefer by model type.
        iterations: How often the plan is run and measured.
        warmup_iterations: Passes over the whole plan before the first measured one.
        return_outputs: Tell what the models gave back in the last iteration.
        rules: How it is measured.
        deadline: Of the caller, a monotonic time.
    """

    plan: Plan
    models: Mapping[str, Model]
    platform: str
    batches: Mapping[Place, tuple[Batch, ...]]
    preferences: Mapping[str, str] = field(default_factory=dict)
    iterations: int = 1
    warmup_iterations: int = 0
    return_outputs: bool = False
    rules: MeasuringRules = MeasuringRules()
    deadline: float = float("inf")

    def session_shapes(self, place: Place) -> set[str] | None:
        """The shapes that a run has sessions for, where a session is of one shape, by the slots of their samples. None
        where a caller brings inputs: a text of another length must not cost another browser."""
        stage, index = place
        model = self.models[self.plan.stages[stage][index].model_name]
        if not has_session_per_shape(model, self.platform):
            return set()
        batches = self.batches[place]
        return None if any(batch.tensors is not None for batch in batches) else {batch.slot for batch in batches}


def has_session_per_shape(model: Model, platform: str) -> bool:
    """Whether the page builds a session for each shape of the model's inputs, as sessions.ts says."""
    return platform == "webnn" and model.recipe is None
