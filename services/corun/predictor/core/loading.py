"""What it takes to load a plan's models where no lane holds them yet."""

from __future__ import annotations

from corun.planning.planner import Plan
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.workload import Place


def loading_ms(knowledge: Knowledge, place: Place, plan: Plan) -> float:
    """One model after another, each in all its lanes at once; a browser that is up is taken for granted.

    A model of which nothing is known counts nothing.
    """
    names = {run.model_name for stage in plan.stages for run in stage.runs}
    return sum(_model_ms(knowledge, place, name) for name in names)


def _model_ms(knowledge: Knowledge, place: Place, name: str) -> float:
    history = knowledge.histories.get((place, name))
    if history is not None and history.load_ms is not None:
        return history.load_ms
    graph = knowledge.features.get(name)
    return graph.weight_bytes / 1e6 * knowledge.calibration(place).load_ms_per_mb if graph is not None else 0.0
