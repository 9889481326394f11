"""What executions say of the memory of lanes and sessions."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import pytest

from corun.planning.planner import Plan, PlannedRun, Stage
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.memory import plan_memory
from corun.predictor.core.memory_law import (
    MEMORY_NOISE,
    NO_LAW,
    SHARED,
    STACKED,
    Factor,
    MemoryLaw,
    PlanMemory,
    Weighed,
    fit_memory_law,
    model_factor,
)
from corun.predictor.core.observation import GraphFeatures, Lesson, Observation
from corun.predictor.core.workload import Place, Platform, Strategy

WEBNN = Place(Platform.WEBNN, "chromium")


def composed(*, lanes: int = 1, model_mb: float = 100.0, other_mb: float = 0.0, stacked_mb: float = 0.0) -> PlanMemory:
    """A peak of so many lanes, of 50 MB each of which 20 are shared, and sessions of two models."""
    factors = {
        SHARED: Factor(-(lanes - 1), 10.0),
        STACKED: Factor(stacked_mb, 0.5),
        model_factor("model"): Factor(model_mb, 0.2),
        model_factor("other"): Factor(other_mb, 0.2),
    }
    shared = 20.0 * (lanes - 1)
    return PlanMemory(model_mb + other_mb, 0.0, 50.0 * lanes - shared, shared, factors)


def peak(law: MemoryLaw, memory: PlanMemory) -> float:
    return law.applied(memory)[0]


def test_without_executions_a_peak_is_what_was_composed() -> None:
    memory = composed(lanes=3)
    log_sigma = math.hypot(MEMORY_NOISE, math.hypot(20, 20) / memory.total_mb)
    assert peak(NO_LAW, memory) == memory.total_mb
    assert NO_LAW.applied(memory)[1] == pytest.approx(log_sigma)
    assert fit_memory_law([]) == NO_LAW


def test_executions_with_several_lanes_tell_what_lanes_share() -> None:
    plans = [composed(lanes=lanes) for lanes in (2, 3, 4, 3, 2, 4) * 3]
    law = fit_memory_law([Weighed(each, each.total_mb + each.factors[SHARED].mb * 12) for each in plans])
    for lanes in (2, 5):
        assert peak(law, composed(lanes=lanes)) == pytest.approx(
            composed(lanes=lanes).total_mb - 12 * (lanes - 1), rel=0.05
        )
    alone = composed()
    assert peak(law, alone) == pytest.approx(alone.total_mb, rel=0.05)


def test_a_model_that_was_weighed_wrongly_is_corrected_and_the_other_is_not() -> None:
    plans = [composed(lanes=2, model_mb=a, other_mb=b) for a, b in ((100, 0), (100, 200), (0, 200), (100, 200)) * 5]
    law = fit_memory_law(
        [Weighed(each, each.total_mb - 0.3 * each.factors[model_factor("model")].mb) for each in plans]
    )
    assert peak(law, composed(model_mb=100)) == pytest.approx(50 + 70, rel=0.08)
    assert peak(law, composed(model_mb=0, other_mb=200)) == pytest.approx(250, rel=0.05)


@pytest.mark.parametrize("times", [0.001, 0.1, 10, 1000])
def test_one_wild_peak_moves_nothing(times: float) -> None:
    plans = [composed(lanes=lanes) for lanes in (1, 2, 3, 2, 1, 3, 2, 1)]
    measured = [Weighed(each, each.total_mb) for each in plans]
    measured[3] = Weighed(plans[3], times * plans[3].total_mb)
    law = fit_memory_law(measured)
    for each in plans:
        assert peak(law, each) == pytest.approx(each.total_mb, rel=0.05)


def test_what_was_weighed_often_is_less_uncertain_and_what_never_was_stays_so() -> None:
    plans = [composed(lanes=2)] * 10
    law = fit_memory_law([Weighed(each, each.total_mb) for each in plans])
    assert law.applied(plans[0])[1] < 0.8 * NO_LAW.applied(plans[0])[1]
    assert law.applied(plans[0])[1] > MEMORY_NOISE
    unknown = PlanMemory(100, 0, 50, 0, {model_factor("new"): Factor(100, 0.5)})
    assert law.applied(unknown) == NO_LAW.applied(unknown)
    assert law.applied(unknown)[0] == unknown.total_mb


def test_no_execution_makes_a_peak_absurd() -> None:
    plans = [composed(lanes=2, stacked_mb=50)] * 5
    for measured_mb in (0.001, 1e9):
        law = fit_memory_law([Weighed(each, measured_mb) for each in plans])
        for each in (composed(), composed(lanes=50), composed(stacked_mb=1e6)):
            assert each.total_mb / 4 <= peak(law, each) <= 4 * each.total_mb
            assert math.isfinite(law.applied(each)[1])


@pytest.mark.parametrize(("platform", "share"), [(Platform.WASM, 0.0), (Platform.WEBNN, 0.5)])
def test_sessions_of_one_lane_use_again_what_others_left_where_the_platform_lets_them(
    platform: Platform, share: float
) -> None:
    place = Place(platform, "chromium")
    knowledge = weighed_models(place)
    one, two = plan_memory(knowledge, place, plan([("a", 1)])), plan_memory(knowledge, place, plan([("b", 1)]))
    both = plan_memory(knowledge, place, plan([("a", 1), ("b", 1)]))
    assert both.factors[STACKED].mb == pytest.approx(min(one.scratch_mb, two.scratch_mb))
    assert both.scratch_mb == pytest.approx(max(one.scratch_mb, two.scratch_mb) + share * both.factors[STACKED].mb)


def test_a_model_that_takes_less_than_a_lane_is_taken_to_takes_is_learnt_all_the_same() -> None:
    place = Place(Platform.WASM, "chromium")
    knowledge = Knowledge().learned([Lesson(place, (Observation("tiny", 1, 2, 10.0, 45.0),))])
    memory = plan_memory(knowledge, place, plan([("tiny", 1)]))
    assert memory.total_mb > 80
    law = fit_memory_law([Weighed(memory, 45.0)] * 10)
    assert peak(law, memory) < 0.8 * memory.total_mb


def test_hundreds_of_models_are_learnt_in_no_time() -> None:
    factors = [{model_factor(f"{index}-{n}"): Factor(50.0, 0.2) for n in range(60)} for index in range(64)]
    weighed = [Weighed(PlanMemory(3000, 0, 0, 0, each), 3300.0) for each in factors]
    begin = time.perf_counter()
    law = fit_memory_law(weighed)
    for each in weighed:
        assert 3000 < peak(law, each.composed) <= 3300
    assert time.perf_counter() - begin < 2


def test_two_batch_sizes_are_two_sessions_where_a_session_has_one_shape() -> None:
    knowledge = weighed_models(WEBNN)
    once, twice = (plan_memory(knowledge, WEBNN, plan(runs)) for runs in ([("a", 4)], [("a", 4), ("a", 2)]))
    assert once.factors[STACKED].mb == 0
    wasm = Place(Platform.WASM, "chromium")
    assert plan_memory(weighed_models(wasm), wasm, plan([("a", 4), ("a", 2)])).factors[STACKED].mb == 0
    assert twice.factors[STACKED].mb > 50
    assert twice.total_mb > once.total_mb + 20


def weighed_models(place: Place) -> Knowledge:
    """Two models, of 40 and 80 MB of weights, that take 200 and 300 MB alone."""
    features = {
        name: GraphFeatures(1e9, megabytes * 10**6, 0, 10, dynamic_batch=True)
        for name, megabytes in (("a", 40), ("b", 80))
    }
    observations = (Observation("a", 1, 2, 10.0, 200.0), Observation("b", 1, 2, 10.0, 300.0))
    return Knowledge().learned([Lesson(place, observations, features)])


def plan(runs: Sequence[tuple[str, int]]) -> Plan:
    """One after another in one lane."""
    stages = tuple(Stage((PlannedRun(name, batch, 0, (index,)),)) for index, (name, batch) in enumerate(runs))
    return Plan(Strategy.SEQUENTIAL, stages, (2,))
