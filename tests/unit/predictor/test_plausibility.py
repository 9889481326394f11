from __future__ import annotations

from dataclasses import replace

import pytest

from corun.predictor.core.execution import Execution
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.learning import Examined, Report, examine, learn
from corun.predictor.core.observation import Observation
from corun.predictor.core.workload import Strategy
from tests.unit.predictor.simulated_machine import PLACE, SimulatedMachine


@pytest.fixture
def machine() -> SimulatedMachine:
    return SimulatedMachine(seed=3)


@pytest.fixture
def known(machine: SimulatedMachine) -> Knowledge:
    """Two models, each with 15 runs at both widths."""
    runs = [run for name in ("bert", "vit") for width in (1, 2) for run in machine.profile(name, width=width, count=15)]
    return learn(Knowledge(), examine(Knowledge(), Report(PLACE, tuple(runs))).lessons)


@pytest.fixture
def execution(machine: SimulatedMachine) -> Execution:
    return machine.execute(machine.plan(machine.workload("bert", "vit"), Strategy.PARALLEL))


def examined(known: Knowledge, execution: Execution) -> Examined:
    return examine(known, Report(PLACE, executions=((PLACE, execution),)))


def test_an_execution_as_expected_is_learnt_with_its_surprise(known: Knowledge, execution: Execution) -> None:
    found = examined(known, execution)
    assert not found.doubts
    (experience,) = found.lessons[0].experiences
    assert abs(experience.latency.log_ratio) < 0.4
    assert len(experience.contentions) == 2


@pytest.mark.parametrize("factor", [20.0, 0.05])
def test_a_time_that_many_observations_contradict_is_not_learnt(known: Knowledge, factor: float) -> None:
    found = examine(known, Report(PLACE, (Observation("bert", 1, 2, 250 * factor), Observation("bert", 1, 2, 250))))
    assert [run.run_time_ms for run in found.lessons[0].observations] == [250]
    assert "times what 15 observations of 'bert' say" in found.doubts[0]
    assert found.doubts[0].startswith("observations[0]: ")


def test_few_observations_are_not_believed_over_a_new_one() -> None:
    known = Knowledge().learned(examine(Knowledge(), Report(PLACE, (Observation("bert", 1, 2, 9000.0),))).lessons)
    assert not examine(known, Report(PLACE, (Observation("bert", 1, 2, 250.0),))).doubts


@pytest.mark.parametrize("factor", [20.0, 0.05])
def test_a_latency_that_many_observations_contradict_is_not_learnt(
    known: Knowledge, execution: Execution, factor: float
) -> None:
    wrong = replace(execution, latency_ms=execution.latency_ms * factor, runs=())
    found = examined(known, wrong)
    assert not found.lessons
    assert "times the prediction from many observations" in found.doubts[0]


def test_a_latency_below_the_longest_run_is_not_learnt(known: Knowledge, execution: Execution) -> None:
    wrong = replace(execution, latency_ms=0.9 * max(run.run_time_ms for run in execution.runs))
    assert "below its longest run" in examined(known, wrong).doubts[0]


def test_runs_that_the_plan_does_not_have_are_not_learnt(known: Knowledge, execution: Execution) -> None:
    wrong = replace(execution, runs=(replace(execution.runs[0], stage=5),))
    assert "the plan has no run of 'bert'" in examined(known, wrong).doubts[0]


def test_replicas_are_not_taken_for_the_plan_alone(known: Knowledge, execution: Execution) -> None:
    assert "2 replicas" in examined(known, replace(execution, replicas=2)).doubts[0]


def test_an_execution_of_a_model_never_observed_is_not_learnt(execution: Execution) -> None:
    assert "executions[0]: " in examined(Knowledge(), execution).doubts[0]
