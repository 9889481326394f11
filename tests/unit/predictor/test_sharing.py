from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.predictor.core.sharing import MOST_TAKEN, Machine, SharedRun, finish_times, makespan

runs = st.lists(st.builds(SharedRun, st.floats(0.01, 1e5), st.integers(1, 64)), min_size=1, max_size=16)
machines = st.builds(Machine, st.integers(1, 64), st.floats(0, 0.2), st.booleans())
busy_machines = st.builds(Machine, st.integers(1, 64), st.floats(0, 0.2), st.booleans(), st.floats(0, MOST_TAKEN))


def test_runs_that_fit_the_cores_only_pay_contention() -> None:
    assert makespan([SharedRun(100, 1), SharedRun(100, 1)], Machine(2, 0.1)) == pytest.approx(110)


def test_runs_beyond_the_cores_stretch_each_other_and_finish_one_by_one() -> None:
    # Two lanes of one thread share one core until the short run is done after 2 x 10 ms.
    assert finish_times([SharedRun(30, 1), SharedRun(10, 1)], Machine(1, 0)) == pytest.approx([40, 20])


def test_runs_on_one_device_take_turns() -> None:
    assert makespan([SharedRun(30, 1), SharedRun(10, 1)], Machine(8, 0, one_device=True)) == pytest.approx(40)


def test_a_run_alone_takes_its_solo_time_even_in_a_lane_wider_than_the_machine() -> None:
    assert makespan([SharedRun(50, 8)], Machine(2, 0.1)) == pytest.approx(50)


@given(runs, machines)
def test_makespan_is_at_least_the_longest_run_and_at_most_the_sum_of_stretched_ones(
    runs: list[SharedRun], machine: Machine
) -> None:
    span = makespan(runs, machine)
    crowd = 1 + machine.contention * (len(runs) - 1)
    assert span >= max(run.solo_ms for run in runs) * (1 - 1e-9)
    assert span <= sum(run.solo_ms for run in runs) * crowd * (1 + 1e-9)


def test_a_program_that_takes_a_core_slows_a_lane_of_all_cores_most_and_a_lane_of_one_not_at_all() -> None:
    # What was measured on two cores beside a busy loop: 2.4 to 2.6 times, 1.4 to 1.5 times, and once.
    machine = Machine(2, 0.0, taken=0.6)
    assert makespan([SharedRun(100, 2)], machine) == pytest.approx(250)
    assert makespan([SharedRun(100, 1)] * 2, machine) == pytest.approx(200 / 1.4)
    assert makespan([SharedRun(100, 1)], machine) == pytest.approx(100)


@given(runs, st.integers(1, 64), st.floats(0, 0.2), st.floats(0, MOST_TAKEN), st.floats(0, 0.3))
def test_the_more_other_programs_take_the_slower_it_is(
    runs: list[SharedRun], core_count: int, contention: float, part: float, more: float
) -> None:
    spans = [
        makespan(runs, Machine(core_count, contention, taken=min(MOST_TAKEN, share) * core_count))
        for share in (part, part + more)
    ]
    assert spans[0] <= spans[1] * (1 + 1e-9)


@given(runs, machines, st.randoms())
def test_the_order_of_the_runs_does_not_matter(runs: list[SharedRun], machine: Machine, random: object) -> None:
    shuffled = sorted(runs, key=lambda run: (run.lane_width, run.solo_ms))
    assert makespan(shuffled, machine) == pytest.approx(makespan(runs, machine))


@given(runs, st.integers(1, 64), st.floats(0, 0.2))
def test_a_further_core_never_slows(runs: list[SharedRun], core_count: int, contention: float) -> None:
    before, after = makespan(runs, Machine(core_count, contention)), makespan(runs, Machine(core_count + 1, contention))
    assert after <= before * (1 + 1e-9)


@given(runs, busy_machines, st.floats(0.01, 1e5), st.integers(1, 64))
def test_a_further_run_never_makes_the_others_finish_earlier(
    runs: list[SharedRun], machine: Machine, solo_ms: float, width: int
) -> None:
    alone, crowded = finish_times(runs, machine), finish_times([*runs, SharedRun(solo_ms, width)], machine)
    assert all(after >= before * (1 - 1e-9) for before, after in zip(alone, crowded, strict=False))
