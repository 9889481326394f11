from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.planning.planner import Plan, PlannedRun, Stage, Strategy
from corun.predictor.core.conditions import Conditions, Reading, Timeline, follow, shares
from corun.predictor.core.execution import ExecutedRun, Execution
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.learning import Report, examine, learn
from corun.predictor.core.observation import Lesson, Observation
from corun.predictor.core.sharing import Machine
from corun.predictor.core.solo import solo_time
from corun.predictor.core.workload import Place

CORES = 2
TAKEN = shares(CORES)
WIDE, PAIR, NARROW = [2], [1, 1], [1]
QUIET = Conditions()
BESIDE_A_PROGRAM = Conditions(taken=0.6)


def readings(*parts: tuple[Conditions, int], widths: Sequence[Sequence[int]] = (WIDE,), seed: int = 1) -> list[Reading]:
    """So many readings under each of the conditions, each of a moment of its own, with 5 % noise."""
    source = random.Random(seed)
    found: list[Reading] = []
    for conditions, count in parts:
        stretched = Machine(CORES, 0.0, taken=conditions.taken)
        for _ in range(count):
            busy = widths[len(found) % len(widths)]
            measured = conditions.pace + math.log(stretched.stretch(busy)) + source.gauss(0, 0.05)
            explained = [math.log(Machine(CORES, 0.0, taken=float(taken)).stretch(busy)) for taken in TAKEN]
            found.append(Reading(len(found) + 1, tuple(busy), measured - np.array(explained)))
    return found


def conditions_of(timeline: Timeline, moments: range) -> set[tuple[float, float]]:
    return {(round(each.pace, 1), round(each.taken, 1)) for each in map(timeline.at, moments)}


def test_a_program_that_comes_and_goes_is_told_by_what_it_slows_and_what_not() -> None:
    told = readings((QUIET, 20), (BESIDE_A_PROGRAM, 12), (QUIET, 9), widths=[WIDE, PAIR, NARROW])
    timeline = follow(told, TAKEN)
    assert timeline.now.taken == 0.0
    assert {each.taken for each in map(timeline.at, range(1, 19))} == {0.0}
    assert 0.5 <= timeline.at(26).taken <= 0.7


def test_a_machine_that_slows_everything_alike_has_another_pace() -> None:
    told = readings((QUIET, 20), (Conditions(pace=0.4), 12), widths=[WIDE, PAIR, NARROW])
    timeline = follow(told, TAKEN)
    assert conditions_of(timeline, range(1, 33)) == {(-0.4, 0.0), (0.0, 0.0)}


@pytest.mark.parametrize("count", [3, 6])
def test_a_few_executions_tell_that_a_program_came(count: int) -> None:
    assert 0.5 <= follow(readings((QUIET, 20), (BESIDE_A_PROGRAM, count)), TAKEN).now.taken <= 0.7


def seen(told: Sequence[Reading], cores: float | None) -> list[Reading]:
    return [replace(each, other_programs_cores=cores) for each in told]


def test_one_execution_beside_a_program_that_was_seen_tells_that_it_came() -> None:
    quiet, beside = readings((QUIET, 20)), readings((BESIDE_A_PROGRAM, 1), seed=2)
    beside = [replace(each, moment=21) for each in beside]
    assert 0.5 <= follow(seen(quiet, 0.0) + seen(beside, 0.9), TAKEN).now.taken <= 0.7
    assert follow([*quiet, *beside], TAKEN).now == QUIET


def test_one_execution_without_it_tells_that_a_program_has_gone() -> None:
    told = readings((BESIDE_A_PROGRAM, 20), (QUIET, 1))
    assert follow(seen(told[:20], 0.9) + seen(told[20:], 0.0), TAKEN).now.taken == 0.0


def test_what_slows_only_wide_lanes_is_no_program_where_none_was_seen() -> None:
    told = readings((QUIET, 20), (BESIDE_A_PROGRAM, 12))
    assert follow(seen(told, None), TAKEN).now.taken > 0.0
    timeline = follow(seen(told, 0.05), TAKEN)
    assert {each.taken for each in timeline.conditions} == {0.0}
    assert timeline.at(1).pace == pytest.approx(-math.log(Machine(CORES, 0.0, taken=0.6).stretch(WIDE)), abs=0.1)


def test_a_program_that_was_seen_and_slows_nothing_changes_nothing() -> None:
    told = readings((QUIET, 20), (QUIET, 1))
    assert follow(seen(told[:20], 0.0) + seen(told[20:], 0.9), TAKEN).now == QUIET


@given(st.integers(0, 30), st.floats(-3, 3))
def test_a_wild_reading_changes_nothing(place: int, wild: float) -> None:
    steady = readings((QUIET, 31))
    steady[place] = Reading(place + 1, steady[place].kind, wild + steady[place].excess)
    timeline = follow(steady, TAKEN)
    assert {each.taken for each in timeline.conditions} == {0.0}
    assert len(timeline.conditions) == 1


def test_what_all_runs_of_one_moment_show_is_not_believed_as_what_as_many_moments_show() -> None:
    steady = readings((QUIET, 20))
    slow = readings((Conditions(pace=0.3), 3), seed=2)
    together = [Reading(21, each.kind, each.excess) for each in slow]
    apart = [Reading(21 + index, each.kind, each.excess) for index, each in enumerate(slow)]
    assert len(follow([*steady, *together], TAKEN).conditions) == 1
    assert len(follow([*steady, *apart], TAKEN).conditions) == 2


def test_steady_noise_is_hardly_ever_taken_for_a_change() -> None:
    timelines = [follow(readings((QUIET, 40), widths=[WIDE, PAIR], seed=seed), TAKEN) for seed in range(100)]
    assert sum(len(each.conditions) > 1 for each in timelines) <= 3


def test_nothing_is_known_without_readings() -> None:
    assert follow([], TAKEN).now == QUIET


def test_after_a_change_of_the_machine_a_batch_size_not_seen_since_follows(place: Place) -> None:
    def lesson(batch: int, *times: float) -> Lesson:
        return Lesson(place, tuple(Observation("bert", batch, 2, time) for time in times))

    before = Knowledge().learned([lesson(1, *[100.0] * 20), lesson(8, *[800.0] * 5)])
    after = before.learned([lesson(1, *[150.0] * 4)] * 3)
    small = solo_time(after, place, model_name="bert", batch_size=1, lane_width=2)
    large = solo_time(after, place, model_name="bert", batch_size=8, lane_width=2)
    assert small.time_ms == pytest.approx(150, rel=0.01)
    assert large.time_ms == pytest.approx(1200, rel=0.01)


def test_a_change_that_one_model_shows_is_known_of_the_others(place: Place) -> None:
    def lessons(load: float, *names: str) -> list[Lesson]:
        times = {"bert": 400.0, "vit": 700.0, "new": 200.0}
        return [
            Lesson(place, tuple(Observation(name, 1, 2, load * times[name] * noise) for noise in (0.98, 1.0, 1.02)))
            for name in names
        ]

    quiet = Knowledge().learned(lessons(1.0, *["bert", "vit"] * 4))
    loaded = quiet.learned(lessons(1.8, *["bert"] * 3, "new"))
    assert solo_time(loaded, place, model_name="vit", batch_size=1, lane_width=2).time_ms == pytest.approx(
        1.8 * 700, rel=0.03
    )
    quiet_again = loaded.learned(lessons(1.0, *["bert"] * 3))
    # It was only ever run beside the load.
    assert solo_time(quiet_again, place, model_name="new", batch_size=1, lane_width=2).time_ms == pytest.approx(
        200, rel=0.03
    )


def test_what_runs_cost_each_other_is_not_taken_for_another_program(place: Place) -> None:
    def observed(*names: str) -> tuple[Observation, ...]:
        return tuple(Observation(name, 1, 1, 100.0 * noise) for name in names for noise in (0.98, 1.0, 1.02))

    plan = Plan(
        Strategy.PARALLEL, (Stage((PlannedRun("bert", 1, 0, (0,)), PlannedRun("vit", 1, 1, (1,)))),), lane_widths=(1, 1)
    )
    runs = tuple(ExecutedRun(name, 1, 1, 2, 0, time_ms) for name, time_ms in (("bert", 145.0), ("vit", 148.0)))
    knowledge = Knowledge().learned([Lesson(place, observed("bert", "vit"))] * 4)
    for _ in range(20):
        report = Report(place, executions=((place, Execution(plan, CORES, 150.0, runs=runs)),))
        knowledge = learn(knowledge, examine(knowledge, report).lessons)
    assert knowledge.timeline(place).now == QUIET
    assert knowledge.calibration(place).sharing.contention == pytest.approx(0.45, abs=0.06)
