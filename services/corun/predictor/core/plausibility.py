"""Records that cannot be what they claim: a suspended machine, a mislabelled time, seconds for milliseconds."""

from __future__ import annotations

import math

from corun.predictor.core.execution import Execution
from corun.predictor.core.interval import NINE_IN_TEN
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.observation import Observation
from corun.predictor.core.prediction import StrategyPrediction
from corun.predictor.core.solo import Basis, solo_time
from corun.predictor.core.workload import Place

# Observations from which on a record is doubted rather than them.
MANY = 12
# Competing load was seen to make runs three times slower; nothing that is to be learnt makes them eight times.
LARGEST_RATIO = 8.0
# Clocks of page and pool differ by less than this share.
_CLOCK_ERROR = 0.02


def doubt_about_observation(knowledge: Knowledge, place: Place, observation: Observation) -> str | None:
    """Why a run is not to be learnt; None where it is."""
    if (place, observation.model_name) not in knowledge.histories:
        return None
    solo = solo_time(
        knowledge,
        place,
        model_name=observation.model_name,
        batch_size=observation.batch_size,
        lane_width=observation.lane_width,
    )
    if solo.observation_count < MANY:
        return None
    said = f"what {solo.observation_count} observations of {observation.model_name!r} say"
    return _far_off(observation.run_time_ms, solo.time_ms, solo.log_sigma, said)


def doubt_about_execution(execution: Execution, predicted: StrategyPrediction) -> str | None:
    """Why an execution is not to be learnt; None where it is."""
    if execution.replicas > 1:
        return f"{execution.replicas} replicas shared the machine: its latency is not that of the plan alone"
    doubt = _doubt_about_runs(execution)
    if doubt is not None:
        return doubt
    solo_times = predicted.composition.solo_times
    if any(each.basis is not Basis.OBSERVED or each.observation_count < MANY for each in solo_times):
        return None
    sigma = predicted.composition.log_sigma
    return _far_off(execution.latency_ms, predicted.latency_ms.value, sigma, "the prediction from many observations")


def _doubt_about_runs(execution: Execution) -> str | None:
    stages = execution.plan.stages
    for run in execution.runs:
        planned = stages[run.stage].runs if run.stage < len(stages) else ()
        if not any(each.model_name == run.model_name and each.batch_size == run.batch_size for each in planned):
            return f"the plan has no run of {run.model_name!r} with {run.batch_size} items in stage {run.stage}"
    longest = max((run.run_time_ms for run in execution.runs), default=0.0)
    if execution.latency_ms < longest * (1 - _CLOCK_ERROR):
        return f"a latency of {execution.latency_ms:.3g} ms is below its longest run of {longest:.3g} ms"
    return None


def _far_off(measured: float, expected: float, log_sigma: float, said: str) -> str | None:
    ratio = math.log(measured / expected)
    if abs(ratio) <= math.log(LARGEST_RATIO) + NINE_IN_TEN * log_sigma:
        return None
    return f"{measured:.3g} ms is {math.exp(ratio):.2g} times {said}"
