"""From an execution through the validator's dataset to a record that refines the predictor: nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from corun.orchestrator.executed import executed_plan_of
from corun.plumbing.rules import broken_rules
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from tests.fakes.fake_resource_pool import ENGINE, figures
from tests.fakes.orchestrator_stack import orchestrator_stack, workload
from tests.fakes.validations import serving_validator
from tests.until import until
from tests.wire.test_validator_dataset import complete

STRATEGIES = (core_pb2.STRATEGY_PARALLEL, core_pb2.STRATEGY_SEQUENTIAL, core_pb2.STRATEGY_BATCHED)


async def executed(
    strategy: core_pb2.Strategy.ValueType, *, memory_mb: float
) -> tuple[validator_pb2.ExecutionRecord, predictor_pb2.ObserveRequest]:
    """What the validator and the predictor are told of one execution."""
    async with orchestrator_stack() as stack:
        stack.pool.outcomes[strategy].append(figures(91.25, 44.0, memory_mb))
        request = orchestrator_pb2.ExecuteWithStrategyRequest(
            workload=workload("fake-text", "fake-vision", "fake-text", iterations=4),
            platform=core_pb2.PLATFORM_WASM,
            strategy=strategy,
        )
        async for _ in stack.client.ExecuteWithStrategy(request, timeout=20):
            pass
        await until(lambda: stack.predictor.observe_requests)
        (taught,) = stack.predictor.observe_requests
    return stack.validator.executions[0], taught


async def read_back(record: validator_pb2.ExecutionRecord, folder: Path) -> validator_pb2.ExecutionRecord:
    """The record as a real validator gives it back."""
    async with serving_validator(folder / "v.duckdb") as validator:
        await validator.ValidatePrediction(validator_pb2.ValidatePredictionRequest(execution=record))
        call = validator.GenerateValidationDataset(validator_pb2.GenerateValidationDatasetRequest())
        (response,) = [response async for response in call]
    return response.record.execution


@pytest.mark.parametrize("memory_mb", [512.5, -3.0])
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_dataset_teaches_what_the_execution_itself_taught(
    strategy: core_pb2.Strategy.ValueType, memory_mb: float, tmp_path: Path
) -> None:
    recorded, taught = await executed(strategy, memory_mb=memory_mb)
    from_dataset = executed_plan_of(await read_back(recorded, tmp_path))
    assert from_dataset is not None
    assert from_dataset.environment == taught.environment
    assert from_dataset.end_time == recorded.end_time
    assert len(from_dataset.runs) >= 2
    expected = predictor_pb2.ExecutedPlan()
    expected.CopyFrom(taught.executions[0])
    expected.end_time.CopyFrom(recorded.end_time)
    expected.environment.CopyFrom(taught.environment)
    assert from_dataset == expected
    assert broken_rules(predictor_pb2.RefineModelRequest(record=from_dataset)) == []


def test_each_run_of_the_plan_counts_by_its_median_over_iterations_and_replicas() -> None:
    record = complete()
    for run in record.runs:
        run.engine = ""
    plan = executed_plan_of(record)
    assert plan is not None
    assert [(run.model_name, run.stage, run.run_time_ms) for run in plan.runs] == [("bert", 0, 11.5), ("vit", 0, 11.5)]
    assert plan.plan.replicas == 2
    assert (plan.environment.engine, plan.environment.core_count) == ("chromium", 4)
    assert not plan.HasField("memory_mb")  # was measured as 0


def test_runs_in_several_engines_teach_nothing_about_one() -> None:
    assert executed_plan_of(complete()) is None


def test_an_execution_without_a_plan_teaches_nothing() -> None:
    record = complete()
    record.ClearField("plan")
    assert executed_plan_of(record) is None


def test_runs_that_do_not_tell_their_place_leave_the_latency() -> None:
    record = complete()
    for run in record.runs:
        run.engine = ENGINE
        run.ClearField("stage")
    plan = executed_plan_of(record)
    assert plan is not None
    assert (plan.latency_ms, len(plan.runs)) == (20.25, 0)
    assert plan.environment.engine == ENGINE


def test_a_record_that_does_not_tell_its_cores_leaves_the_environment_to_the_request() -> None:
    record = complete()
    del record.runs[:]
    record.ClearField("core_count")
    plan = executed_plan_of(record)
    assert plan is not None
    assert not plan.HasField("environment")
