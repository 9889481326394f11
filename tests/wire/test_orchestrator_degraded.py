"""What still works when a service is down, what is said of it, and what happens when it comes back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from corun.errors import DatabaseFailed, ExecutionConflict, InvalidField
from corun.orchestrator.build import build
from corun.orchestrator.config import Settings
from corun.plumbing.channel import open_channel
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from tests.fakes.orchestrator_stack import (
    OrchestratorStack,
    dead_target,
    fake_peers,
    orchestrator_stack,
    orchestrator_with,
    workload,
)
from tests.fakes.served_fakes import at
from tests.until import until

PARALLEL, SEQUENTIAL, BATCHED = core_pb2.STRATEGY_PARALLEL, core_pb2.STRATEGY_SEQUENTIAL, core_pb2.STRATEGY_BATCHED


async def execute(stack: OrchestratorStack, **given: Any) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
    request = orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=workload("fake-text", "fake-vision", "fake-text"), platform=core_pb2.PLATFORM_WASM, **given
    )
    return [event async for event in stack.client.ExecuteWithStrategy(request, timeout=30)]


async def compare(stack: OrchestratorStack, **given: Any) -> list[orchestrator_pb2.CompareStrategiesResponse]:
    request = orchestrator_pb2.CompareStrategiesRequest(
        workload=workload("fake-text", "fake-vision"), platform=core_pb2.PLATFORM_WASM, **({"rounds": 3} | given)
    )
    return [event async for event in stack.client.CompareStrategies(request, timeout=30)]


async def health(stack: OrchestratorStack, part: str) -> str:
    async with open_channel(stack.address) as channel:
        name = f"corun.v1.OrchestratorService/{part}"
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)  # type: ignore[attr-defined]
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


async def until_health(stack: OrchestratorStack, part: str, state: str) -> None:
    async with asyncio.timeout(10):
        while await health(stack, part) != state:  # noqa: ASYNC110  (health has no event to wait for)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("strategy", "stages", "widths"),
    [(SEQUENTIAL, [1, 1, 1], [4]), (PARALLEL, [3], [1, 1, 1]), (BATCHED, [2, 1], [2, 2, 4])],
)
async def test_without_a_predictor_an_explicit_strategy_runs_by_a_plan_of_its_own(
    strategy: core_pb2.Strategy.ValueType, stages: list[int], widths: list[int]
) -> None:
    async with orchestrator_stack(predictor_target=dead_target(), validation_interval=1) as stack:
        events = await execute(stack, strategy=strategy)
        (sent,) = stack.pool.plan_requests
    (record,) = stack.validator.executions
    assert not stack.validator.validations
    assert [len(stage.runs) for stage in sent.plan.stages] == stages
    assert list(sent.plan.lane_widths) == widths  # of four cores
    chosen = next(event.chosen for event in events if event.HasField("chosen"))
    assert chosen.reason == "asked for by the caller; the predictor does not answer"
    assert not chosen.HasField("prediction")
    result = events[-1].completed
    assert (list(result.degraded), result.HasField("predicted")) == (["predictor"], False)
    assert result.recorded or result.record_queued
    assert result.warnings[0].startswith("not predicted: the predictor at 127.0.0.1:")
    assert not record.HasField("predicted")


async def test_without_a_predictor_the_automatic_choice_fails_and_says_when_to_come_back() -> None:
    async with orchestrator_stack(predictor_target=dead_target()) as stack:
        events = await execute(stack)
        assert stack.pool.plan_requests == []
    failure = RemoteError(events[-1].failed)
    assert (failure.reason, failure.metadata["service"]) == ("PEER_UNAVAILABLE", "predictor")
    assert failure.retry_after_seconds == 1.0


@pytest.mark.parametrize(
    ("configuration", "strategy", "reason"),
    [
        ({}, PARALLEL, "3 models, no parallel threshold is set"),
        ({"parallel_threshold": 3}, PARALLEL, "3 models, within the parallel threshold of 3"),
        ({"parallel_threshold": 2}, BATCHED, "3 models, over the parallel threshold of 2"),
        ({"sequential_threshold": 2}, SEQUENTIAL, "3 models, over the sequential threshold of 2"),
    ],
)
async def test_without_a_predictor_thresholds_choose_where_the_caller_allows_it(
    configuration: dict[str, int], strategy: core_pb2.Strategy.ValueType, reason: str
) -> None:
    async with orchestrator_stack(predictor_target=dead_target()) as stack:
        events = await execute(
            stack,
            allow_threshold_choice=True,
            configuration=predictor_pb2.StrategyConfiguration(**configuration),
        )
    chosen = events[-1].completed.chosen
    assert (chosen.strategy, chosen.automatic) == (strategy, True)
    assert chosen.reason == f"the predictor does not answer; by the thresholds alone: {reason}"


async def test_a_comparison_without_a_predictor_measures_and_judges_no_recommendation() -> None:
    async with orchestrator_stack(predictor_target=dead_target()) as stack:
        events = await compare(stack)
        assert stack.validator.impacts == []
        assert len(stack.validator.executions) == 9
    result = events[-1].completed
    assert result.recommended == core_pb2.STRATEGY_UNSPECIFIED
    assert (len(result.tied), result.recommendation_correct, list(result.degraded)) == (3, False, ["predictor"])
    assert "comparison not recorded: the predictor did not answer, so there is no recommendation to judge" in (
        result.warnings
    )


async def test_records_wait_for_a_validator_that_is_down_and_come_in_order_each_once() -> None:
    target = dead_target()
    async with orchestrator_stack(
        validator_target=target, validation_interval=2, peer_check_interval_seconds=0.1
    ) as stack:
        ids = []
        for _ in range(4):
            events = await execute(stack)
            ids.append(events[0].accepted.execution_id)
            result = events[-1].completed
            assert (result.recorded, result.record_queued, list(result.degraded)) == (False, True, ["validator"])
        await until_health(stack, "validator", "NOT_SERVING")
        async with at(target, stack.validator):
            await until_health(stack, "validator", "SERVING")
            await until(lambda: len(stack.validator.validations) >= 2)
            after = await execute(stack)
            await until(lambda: len(stack.validator.executions) > len(ids))
    assert [each.execution_id for each in stack.validator.executions] == [*ids, after[0].accepted.execution_id]
    assert [each.execution.execution_id for each in stack.validator.validations] == ids[1::2]
    assert after[-1].completed.recorded or after[-1].completed.record_queued
    assert not after[-1].completed.degraded


async def test_records_that_wait_survive_a_restart(tmp_path: Path) -> None:
    target = dead_target()
    async with fake_peers() as peers:
        async with orchestrator_with(peers, tmp_path, validator_target=target) as stack:
            first = await execute(stack)
            comparison = await compare(stack)
        async with at(target, peers.validator), orchestrator_with(peers, tmp_path, validator_target=target) as stack:
            await until(lambda: peers.validator.impacts)
    assert peers.validator.executions[0].execution_id == first[0].accepted.execution_id
    assert len(peers.validator.executions) == 10
    assert peers.validator.impacts[0].comparison_id == comparison[0].accepted.comparison_id


async def test_records_that_wait_are_delivered_together_and_one_that_is_refused_takes_no_other_with_it() -> None:
    target = dead_target()
    async with orchestrator_stack(
        validator_target=target, validation_interval=1, peer_check_interval_seconds=0.1
    ) as stack:
        ids = [(await execute(stack))[0].accepted.execution_id for _ in range(8)]
        stack.validator.conflicts.add(ids[3])
        async with at(target, stack.validator):
            with capture_logs() as logs:
                await until(lambda: len(stack.validator.validations) >= 7)
                after = await execute(stack)
                await until(lambda: len(stack.validator.executions) >= 8)
    assert max(stack.validator.batch_sizes) >= 7  # one may go ahead to see whether it is taken
    assert [each.execution_id for each in stack.validator.executions] == [
        *(each for each in ids if each != ids[3]),
        after[0].accepted.execution_id,
    ]
    refused = [each for each in logs if each["event"] == "the validator refuses for good"]
    assert len(refused) == 1
    assert ids[3] in refused[0]["cause"]


@pytest.mark.parametrize("refusal", [ExecutionConflict("e"), InvalidField("execution", "is wrong")])
async def test_a_record_that_is_refused_for_good_holds_up_no_other(refusal: Exception) -> None:
    async with orchestrator_stack(validation_interval=1) as stack:
        stack.validator.error = refusal
        refused = (await execute(stack))[-1].completed
        stack.validator.error = None
        taken = (await execute(stack))[-1].completed
    assert (refused.recorded, refused.record_queued) == (False, False)
    assert refused.warnings[0].startswith("not recorded: execution")
    assert taken.recorded


async def test_a_validator_with_a_full_disk_gets_the_records_when_it_has_room() -> None:
    async with orchestrator_stack() as stack:
        stack.validator.error = DatabaseFailed("/fake.duckdb", "disk full")
        assert (await execute(stack))[-1].completed.record_queued
        stack.validator.error = None
        await until(lambda: stack.validator.executions)


async def test_more_records_than_may_wait_are_not_kept_and_the_result_says_so() -> None:
    async with orchestrator_stack(validator_target=dead_target(), outbox_max_mb=1e-6) as stack:
        first, second = (await execute(stack))[-1].completed, (await execute(stack))[-1].completed
    assert first.record_queued
    assert (second.recorded, second.record_queued) == (False, False)
    assert second.warnings[0].startswith("not recorded: records for the validator wait already")


async def test_a_pool_that_is_down_is_an_error_that_says_when_to_come_back_and_it_is_found_again() -> None:
    target = dead_target()
    async with orchestrator_stack(resource_pool_target=target, peer_check_interval_seconds=0.1) as stack:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await execute(stack)
        error = RemoteError.from_rpc(raised.value)
        assert (error.reason, error.retry_after_seconds) == ("PEER_UNAVAILABLE", 1.0)
        await until_health(stack, "resource_pool", "NOT_SERVING")
        async with at(target, stack.pool):
            await until_health(stack, "resource_pool", "SERVING")
            assert (await execute(stack))[-1].HasField("completed")


async def test_a_comparison_gets_over_a_pool_that_is_restarted() -> None:
    target = dead_target()
    async with orchestrator_stack(resource_pool_target=target, peer_check_interval_seconds=0.1) as stack:
        stack.pool.plan_seconds = 0.1
        async with at(target, stack.pool):
            running = asyncio.ensure_future(compare(stack))
            await until(lambda: len(stack.pool.plan_requests) >= 6)
        assert not running.done()
        await asyncio.sleep(0.3)
        async with at(target, stack.pool):
            result = (await running)[-1].completed
    assert [each.HasField("error") for each in result.strategies] == [False] * 3
    assert [len(each.rounds) for each in result.strategies] == [3] * 3


async def test_a_comparison_whose_pool_stays_away_fails_and_is_accounted_for() -> None:
    target = dead_target()
    async with orchestrator_stack(resource_pool_target=target, pool_return_timeout_seconds=0.3) as stack:
        stack.pool.plan_seconds = 0.1
        async with at(target, stack.pool):
            running = asyncio.ensure_future(compare(stack))
            await until(lambda: len(stack.pool.plan_requests) >= 2)
        events = await running
    failure = RemoteError(events[-1].failed)
    assert (failure.reason, failure.metadata["service"]) == ("PEER_UNAVAILABLE", "resource pool")


async def test_a_predictor_that_goes_after_the_choice_costs_only_what_it_would_have_learnt() -> None:
    target = dead_target()
    with capture_logs() as logs:
        async with orchestrator_stack(predictor_target=target) as stack:
            stack.pool.behaviour = "wait"
            async with at(target, stack.predictor):
                running = asyncio.ensure_future(execute(stack))
                await stack.pool.lease_started.wait()
            stack.pool.released.set()
            result = (await running)[-1].completed
    assert result.recorded or result.record_queued
    assert result.predicted.latency_ms.value == 80.0
    assert not result.warnings
    assert [target in each["reason"] for each in logs if each["event"] == "executions are not learnt"] == [True]


@pytest.mark.parametrize("ending", [False, True], ids=["it goes on", "it ends too"])
async def test_services_that_end_are_warned_of_unless_the_orchestrator_ends_with_them(
    tmp_path: Path, ending: bool
) -> None:
    with capture_logs() as logs:
        async with AsyncExitStack() as orchestrators:
            async with fake_peers() as peers:
                given = {"state_folder": tmp_path, "peer_check_interval_seconds": 0.1, **peers.targets}
                service = await orchestrators.enter_async_context(build(Settings.model_validate(given)))
                assert service.parts is not None
                assert service.drain is not None
                async with asyncio.timeout(10):
                    async for parts in service.parts():
                        if parts.get("validator"):
                            break
                if ending:
                    await service.drain()
            await asyncio.sleep(0.5)
    assert any("no longer answers" in each["event"] for each in logs) is not ending
