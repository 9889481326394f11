from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.predictor.core.contention import contention_readings, measured_dispatch_ms, sharing_law
from corun.predictor.core.execution import ContentionReading, ExecutedRun, Execution, Experience, Surprise
from corun.predictor.core.planner import Plan, PlannedRun, Stage
from corun.predictor.core.rates import rates_of
from corun.predictor.core.sharing import Machine, SharedRun, finish_times
from corun.predictor.core.workload import Place, Platform, Strategy

RATES = rates_of(Place(Platform.WASM, "chromium"))


def executed(solos: list[float], machine: Machine, *, dispatch_ms: float = 2.0) -> Execution:
    """All at once in lanes of one thread."""
    times = finish_times([SharedRun(solo, 1) for solo in solos], machine)
    runs = tuple(ExecutedRun(f"m{index}", 1, 1, len(solos), 0, time) for index, time in enumerate(times))
    stage = Stage(tuple(PlannedRun(f"m{index}", 1, index, (index,)) for index in range(len(solos))))
    plan = Plan(Strategy.PARALLEL, (stage,), (1,) * len(solos))
    return Execution(plan, machine.core_count, max(times) + dispatch_ms * len(solos), runs=runs)


def alone(solos: list[float]) -> dict[tuple[int, str, int], float]:
    return {(0, f"m{index}", 1): solo for index, solo in enumerate(solos)}


def experience(*contentions: float, dispatch_ms: float | None = None) -> Experience:
    readings = tuple(ContentionReading(each, 1.0) for each in contentions)
    return Experience(Plan(Strategy.PARALLEL, (), ()), 2, 1.0, None, 0, Surprise(0, 1), None, readings, dispatch_ms)


@given(st.lists(st.floats(10, 400), min_size=2, max_size=8), st.integers(2, 8), st.floats(0, 2))
def test_the_contention_of_a_machine_is_read_off_every_run(solos: list[float], cores: int, contention: float) -> None:
    readings = contention_readings(executed(solos, Machine(cores, contention)), alone(solos), one_device=False)
    # A run that was done before the others slowed it says next to nothing and is left out.
    assert readings
    for reading in readings:
        assert reading.contention == pytest.approx(contention, abs=1e-6)


def test_a_stage_with_a_run_of_unknown_time_gives_no_reading() -> None:
    assert contention_readings(executed([10, 20], Machine(2, 0.1)), {(0, "m0", 1): 10.0}, one_device=False) == ()


def test_the_hand_over_is_what_the_latency_has_over_the_runs() -> None:
    assert measured_dispatch_ms(executed([10, 20], Machine(2, 0.1))) == pytest.approx(2)


def test_few_executions_move_the_assumed_contention_a_little_and_many_all_the_way() -> None:
    once = sharing_law(RATES, [experience(0.3)]).contention
    often = sharing_law(RATES, [experience(0.3)] * 60).contention
    assert RATES.contention < once < 0.2
    assert often == pytest.approx(0.3, abs=0.02)


def test_wild_readings_do_not_move_the_contention() -> None:
    told = [experience(0.3)] * 20
    assert sharing_law(RATES, [*told, *[experience(9.0)] * 5]).contention == pytest.approx(0.3, abs=0.05)


def test_runs_faster_beside_others_than_alone_make_it_zero_not_negative() -> None:
    assert sharing_law(RATES, [experience(-0.5)] * 60).contention == 0
    assert sharing_law(RATES, [experience(dispatch_ms=-9.0)] * 60).dispatch_ms == 0
