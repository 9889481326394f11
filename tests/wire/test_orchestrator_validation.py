"""When an execution is validated, and what happens when the validator fails."""

from __future__ import annotations

import asyncio

import pytest

from corun.errors import DatabaseFailed
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from tests.fakes.orchestrator_stack import OrchestratorStack, dead_target, orchestrator_stack, workload
from tests.until import until

NOT_YET = "not recorded yet, kept for when the validator takes it: "


async def run(
    stack: OrchestratorStack,
    *,
    platform: core_pb2.Platform.ValueType = core_pb2.PLATFORM_WASM,
    policy: orchestrator_pb2.ValidationPolicy | None = None,
) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
    request = orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=workload("fake-text", "fake-vision"), platform=platform, validation=policy
    )
    return [event async for event in stack.client.ExecuteWithStrategy(request, timeout=20)]


async def was_validated(
    stack: OrchestratorStack,
    platform: core_pb2.Platform.ValueType = core_pb2.PLATFORM_WASM,
    policy: orchestrator_pb2.ValidationPolicy | None = None,
) -> bool:
    events = await run(stack, platform=platform, policy=policy)
    return "validated" in [event.WhichOneof("event") for event in events]


async def test_the_tenth_execution_is_validated_and_every_one_is_recorded() -> None:
    async with orchestrator_stack() as stack:
        validated = [await was_validated(stack) for _ in range(11)]
    assert len(stack.validator.executions) == 11
    assert len(stack.validator.validations) == 1
    assert validated == [False] * 9 + [True, False]


async def test_each_platform_counts_for_itself() -> None:
    async with orchestrator_stack(validation_interval=2) as stack:
        platforms = [core_pb2.PLATFORM_WASM, core_pb2.PLATFORM_WEBGPU, core_pb2.PLATFORM_WASM]
        validated = [await was_validated(stack, each) for each in platforms]
    assert validated == [False, False, True]


async def test_an_interval_of_one_in_the_request_validates_at_once() -> None:
    async with orchestrator_stack() as stack:
        assert await was_validated(stack, policy=orchestrator_pb2.ValidationPolicy(interval=1))


async def test_a_disabled_policy_never_validates() -> None:
    async with orchestrator_stack(validation_interval=1) as stack:
        policy = orchestrator_pb2.ValidationPolicy(interval=1, disabled=True)
        assert not await was_validated(stack, policy=policy)
    assert len(stack.validator.executions) == 1


async def test_the_result_holds_the_errors_of_its_validation() -> None:
    async with orchestrator_stack(validation_interval=1) as stack:
        events = await run(stack)
        assert stack.validator.validations[0].execution == stack.validator.executions[0]
    assert [event.WhichOneof("event") for event in events[-2:]] == ["validated", "completed"]
    errors = events[-1].completed.errors
    assert (errors.latency, errors.throughput, errors.memory) == (0.2, 0.1, 0.5)  # what the fake says


@pytest.mark.parametrize(
    ("setting", "policy", "sent"),
    [(None, None, None), (0.15, None, 0.15), (0.15, 0.3, 0.3), (None, 0.3, 0.3)],
)
async def test_the_requests_threshold_comes_before_the_settings(
    setting: float | None, policy: float | None, sent: float | None
) -> None:
    async with orchestrator_stack(validation_interval=1, error_threshold=setting) as stack:
        await run(stack, policy=orchestrator_pb2.ValidationPolicy(error_threshold=policy))
        await until(lambda: stack.validator.validations)
        request = stack.validator.validations[0]
    assert (request.error_threshold if request.HasField("error_threshold") else None) == sent


@pytest.mark.parametrize(("threshold", "within"), [(0.01, False), (100.0, True)])
async def test_an_execution_whose_threshold_is_known_is_judged_before_the_validator_has_it(
    threshold: float, *, within: bool
) -> None:
    async with orchestrator_stack(validation_interval=1, error_threshold=threshold) as stack:
        await run(stack)
        await until(lambda: stack.validator.validations)
        stack.validator.held = asyncio.Event()
        *_, validated, completed = await run(stack)
        assert len(stack.validator.validations) == 1
        stack.validator.held.set()
    result = completed.completed
    assert (result.recorded, result.record_queued, list(result.degraded)) == (False, True, [])
    predicted, measured = result.predicted.latency_ms.value, result.measured.performance.latency_ms
    assert result.errors.latency == abs(predicted - measured) / measured > 0
    assert validated.validated.errors == result.errors
    assert validated.validated.bias.latency == (predicted - measured) / measured
    assert validated.validated.within_threshold is within
    assert stack.validator.validations[-1].execution.execution_id == result.execution_id


async def test_an_execution_completes_without_a_validator_and_says_that_it_is_not_recorded() -> None:
    async with orchestrator_stack(validator_target=dead_target(), validation_interval=1) as stack:
        events = await run(stack)
    result = events[-1].completed
    assert events[-1].WhichOneof("event") == "completed"
    assert (result.recorded, result.record_queued, list(result.degraded)) == (False, True, ["validator"])
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith(f"{NOT_YET}the validator at 127.0.0.1:")


async def test_an_execution_that_is_not_validated_ends_before_the_validator_has_it() -> None:
    async with orchestrator_stack() as stack:
        await run(stack)
        await until(lambda: stack.validator.executions)
        stack.validator.held = asyncio.Event()
        result = (await run(stack))[-1].completed
        assert len(stack.validator.executions) == 1
        stack.validator.held.set()
    assert (result.recorded, result.record_queued, list(result.degraded)) == (False, True, [])
    # Whoever closes the orchestrator leaves nothing undelivered.
    assert stack.validator.executions[-1].execution_id == result.execution_id


async def test_a_validator_that_cannot_write_is_a_warning_with_its_own_words() -> None:
    async with orchestrator_stack(validation_interval=1) as stack:
        stack.validator.error = DatabaseFailed("/fake.duckdb", "disk full")
        events = await run(stack)
    result = events[-1].completed
    assert not result.recorded
    assert list(result.warnings) == [f"{NOT_YET}the database /fake.duckdb failed: disk full"]


async def test_a_validation_that_fails_now_is_made_later() -> None:
    async with orchestrator_stack(validation_interval=1) as stack:
        stack.validator.validation_error = DatabaseFailed("/fake.duckdb", "disk full")
        result = (await run(stack))[-1].completed
        stack.validator.validation_error = None
        await until(lambda: stack.validator.validations)
        assert [each.execution_id for each in stack.validator.executions] == [result.execution_id]
    assert (result.recorded, result.record_queued, result.HasField("errors")) == (False, True, False)
    assert list(result.warnings) == [f"{NOT_YET}the database /fake.duckdb failed: disk full"]
