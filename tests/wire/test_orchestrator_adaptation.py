"""Adaptive updates of what bounds the choice: asked for, by themselves, and with the evidence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2

from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from tests.fakes.fake_validator import FakeValidator
from tests.fakes.orchestrator_stack import OrchestratorStack, dead_target, orchestrator_stack, workload
from tests.until import until

WASM, WEBGPU = core_pb2.PLATFORM_WASM, core_pb2.PLATFORM_WEBGPU
MANUAL, ADAPTIVE = orchestrator_pb2.CONFIGURATION_ORIGIN_MANUAL, orchestrator_pb2.CONFIGURATION_ORIGIN_ADAPTIVE

EXPECTED = {core_pb2.STRATEGY_PARALLEL: 8.0, core_pb2.STRATEGY_SEQUENTIAL: 10.0, core_pb2.STRATEGY_BATCHED: 9.5}


def record(number: int, strategy: core_pb2.Strategy.ValueType) -> validator_pb2.ExecutionRecord:
    """A round of the comparison of so many models (2 to 9): parallel is expected best, and with more than 4 is not."""
    count = 2 + number % 8
    took = EXPECTED[strategy] if strategy != core_pb2.STRATEGY_PARALLEL or count <= 4 else 15.0
    group = {core_pb2.STRATEGY_PARALLEL: count, core_pb2.STRATEGY_SEQUENTIAL: 1}.get(strategy, 2)
    runs = [core_pb2.PlannedRun(model_name="m", members=[index]) for index in range(group)]
    return validator_pb2.ExecutionRecord(
        execution_id=f"{number}-{strategy}",
        workload=workload(*(f"m{number}-{index}" for index in range(count))),
        platform=WASM,
        strategy=strategy,
        plan=core_pb2.Plan(stages=[core_pb2.Stage(runs=runs)]),
        predicted=_performance(EXPECTED[strategy] * count),
        measured=_performance(took * count),
    )


def _performance(latency_ms: float) -> validator_pb2.RecordedPerformance:
    return validator_pb2.RecordedPerformance(
        latency_ms=latency_ms, throughput_items_per_second=1000 / latency_ms, memory_mb=latency_ms
    )


def on_record(validator: FakeValidator, *, comparisons: int, validations: int) -> None:
    validator.executions += [record(number, strategy) for number in range(comparisons) for strategy in EXPECTED]
    validator.validations += [
        validator_pb2.ValidatePredictionRequest(execution=each) for each in validator.executions[:validations]
    ]


@asynccontextmanager
async def stack_with(
    *, comparisons: int = 40, validations: int = 8, **settings: Any
) -> AsyncIterator[OrchestratorStack]:
    async with orchestrator_stack(**settings) as stack:
        on_record(stack.validator, comparisons=comparisons, validations=validations)
        yield stack


async def get(
    stack: OrchestratorStack, platform: core_pb2.Platform.ValueType = WASM
) -> orchestrator_pb2.GetAdaptiveConfigurationResponse:
    request = orchestrator_pb2.GetAdaptiveConfigurationRequest(platform=platform)
    return await stack.client.GetAdaptiveConfiguration(request, timeout=20)


async def update(stack: OrchestratorStack, **values: float) -> orchestrator_pb2.UpdateStrategyConfigurationResponse:
    """With values by hand, without adaptively."""
    given = predictor_pb2.StrategyConfiguration(**values) if values else None  # type: ignore[arg-type]
    request = orchestrator_pb2.UpdateStrategyConfigurationRequest(platform=WASM, values=given)
    return await stack.client.UpdateStrategyConfiguration(request, timeout=20)


async def configured(stack: OrchestratorStack) -> orchestrator_pb2.GetStrategyConfigurationResponse:
    request = orchestrator_pb2.GetStrategyConfigurationRequest(platform=WASM)
    return await stack.client.GetStrategyConfiguration(request, timeout=20)


async def run(stack: OrchestratorStack, count: int) -> None:
    """So many executions, validated as the stack is set."""
    for _ in range(count):
        request = orchestrator_pb2.ExecuteWithStrategyRequest(workload=workload("fake-text"), platform=WASM)
        async for _ in stack.client.ExecuteWithStrategy(request, timeout=20):
            pass


async def test_a_suggestion_has_its_evidence_and_changes_nothing() -> None:
    async with stack_with() as stack:
        answer = await get(stack)
        found = await configured(stack)
    assert answer.sufficient
    assert answer.suggested == predictor_pb2.StrategyConfiguration(parallel_threshold=7, batching_size=2)
    evidence = answer.evidence
    assert (evidence.validation_count, evidence.record_count, evidence.workload_count) == (8, 120, 40)
    # With 5 to 9 models, 5 of 8 counts, parallel takes 15 where batched takes 9.5; now with 5 to 7 only, 3 of 8.
    assert evidence.default_regret == evidence.current_regret == pytest.approx(5 / 8 * (15 / 9.5 - 1))
    assert evidence.suggested_regret == pytest.approx(3 / 8 * (15 / 9.5 - 1))
    assert evidence.largest_memory_mb == pytest.approx(15 * 9)
    assert not found.changes
    assert answer.current == found.configuration


async def test_adaptive_updates_go_step_by_step_to_the_least_regret_and_are_kept() -> None:
    async with stack_with() as stack:
        thresholds = [(await update(stack)).configuration.values.parallel_threshold for _ in range(3)]
        last = await update(stack)
        found = await configured(stack)
    assert thresholds == [7, 5, 4]
    assert not last.changed
    assert last.reason.startswith("no other values had less regret")
    assert found.configuration.origins["parallel_threshold"] == ADAPTIVE
    assert [each.origin for each in found.changes] == [ADAPTIVE] * 3
    assert found.changes[0].evidence.suggested_regret == pytest.approx(0)


@pytest.mark.parametrize("validations", [0, 4])
async def test_too_few_validations_are_an_answer_that_says_how_many_there_are(validations: int) -> None:
    async with stack_with(validations=validations) as stack:
        answer, changed = await get(stack), await update(stack)
    assert not answer.sufficient
    assert answer.reason == changed.reason == f"{validations} validations on wasm, 5 are needed"
    assert (answer.evidence.validation_count, answer.evidence.needed_validation_count) == (validations, 5)
    assert answer.suggested == answer.current.values
    assert not changed.changed


async def test_too_few_comparisons_are_told_too_and_each_platform_counts_for_itself() -> None:
    async with stack_with(comparisons=3, validations=9) as stack:
        here, there = await get(stack), await get(stack, WEBGPU)
    assert not here.sufficient
    assert here.reason.startswith("3 workloads were measured under several strategies, 5 are needed")
    assert there.reason == "0 validations on webgpu, 5 are needed"


async def test_it_adapts_by_itself_after_validations_but_not_what_was_set_by_hand() -> None:
    async with stack_with(validation_interval=1, adaptation_interval=2) as stack:
        await update(stack, parallel_threshold=8)
        await run(stack, 2)
        await until(lambda: stack.validator.queries)
        await asyncio.sleep(0.1)
        assert (await configured(stack)).configuration.values.parallel_threshold == 8
        asked = await update(stack)  # asked for, it does
        await run(stack, 2)

        async def threshold() -> int:
            return (await configured(stack)).configuration.values.parallel_threshold

        async with asyncio.timeout(10):
            while await threshold() != 4:  # noqa: ASYNC110  (it tells nobody)
                await asyncio.sleep(0.02)
    assert asked.configuration.values.parallel_threshold == 6
    assert asked.configuration.origins["parallel_threshold"] == ADAPTIVE


async def test_without_the_switch_it_does_not_adapt_by_itself() -> None:
    async with stack_with(validation_interval=1, adaptation_interval=1, enable_adaptive_optimization=False) as stack:
        await run(stack, 2)
        await asyncio.sleep(0.1)
        assert not stack.validator.queries
        assert not (await configured(stack)).changes
        assert (await update(stack)).changed  # asked for, it does


async def test_a_validator_that_is_down_changes_nothing() -> None:
    async with orchestrator_stack(validator_target=dead_target()) as stack:
        for call in (get(stack), update(stack)):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call
            assert RemoteError.from_rpc(raised.value).reason == "PEER_UNAVAILABLE"
        assert not (await configured(stack)).changes


async def test_values_set_by_hand_are_handed_over_by_an_update_that_is_asked_for() -> None:
    async with stack_with() as stack:
        await update(stack, batching_size=2)
        before = (await configured(stack)).configuration.origins["batching_size"]
        after = (await update(stack)).configuration
        request = orchestrator_pb2.UpdateStrategyConfigurationRequest(platform=WASM, reset=empty_pb2.Empty())
        back = await stack.client.UpdateStrategyConfiguration(request, timeout=20)
    assert (before, after.origins["batching_size"]) == (MANUAL, ADAPTIVE)
    assert after.values.batching_size == 2
    assert back.configuration.values == predictor_pb2.StrategyConfiguration(batching_size=2)
