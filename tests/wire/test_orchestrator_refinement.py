"""The refinement of the predictor after validations: beside executions, one at a time, and harmless where it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from corun.errors import DatabaseFailed, InvalidField
from corun.plumbing.channel import open_channel
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from tests.fakes.fake_predictor import VERSION, FakePredictor
from tests.fakes.fake_resource_pool import CORE_COUNT, ENGINE
from tests.fakes.fake_validator import FakeValidator
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

WASM, WEBGPU = core_pb2.PLATFORM_WASM, core_pb2.PLATFORM_WEBGPU
WINDOW, WEIGHTED = predictor_pb2.REFINEMENT_METHOD_WINDOW, predictor_pb2.REFINEMENT_METHOD_WEIGHTED
AT_ONCE: dict[str, Any] = {"validation_interval": 1, "refinement_pause_seconds": 0.01}
HEALTH = "corun.v1.OrchestratorService/refinement"


def better() -> predictor_pb2.RefineModelResponse:
    return predictor_pb2.RefineModelResponse(
        accepted=True, reason="better", error_before=0.4, error_after=0.1, record_count=20, held_out_count=5,
        predictor_version="fake-2",
    )  # fmt: skip


async def run(
    stack: OrchestratorStack, platform: core_pb2.Platform.ValueType = WASM
) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
    request = orchestrator_pb2.ExecuteWithStrategyRequest(workload=workload("fake-text"), platform=platform)
    return [event async for event in stack.client.ExecuteWithStrategy(request, timeout=20)]


async def status_of(
    stack: OrchestratorStack, platform: core_pb2.Platform.ValueType = WASM
) -> orchestrator_pb2.RefinementStatus:
    response = await stack.client.GetRefinementStatus(orchestrator_pb2.GetRefinementStatusRequest(), timeout=20)
    return next(each for each in response.platforms if each.platform == platform)


async def status_when(
    stack: OrchestratorStack, holds: Callable[[orchestrator_pb2.RefinementStatus], object]
) -> orchestrator_pb2.RefinementStatus:
    async with asyncio.timeout(10):
        while not holds(status := await status_of(stack)):  # noqa: ASYNC110  (it tells nobody)
            await asyncio.sleep(0.01)
    return status


async def health_of(stack: OrchestratorStack) -> int:
    async with open_channel(stack.address) as channel:
        probe: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await probe.Check(health_pb2.HealthCheckRequest(service=HEALTH), timeout=10)
        except grpc.aio.AioRpcError:
            return int(health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
        return int(answer.status)


async def test_a_recommended_refinement_reaches_the_next_prediction_and_the_record() -> None:
    async with orchestrator_stack(**AT_ONCE, error_threshold=0.07) as stack:
        stack.validator.unrefined[WASM] = WINDOW
        stack.predictor.refinement = better()
        first = (await run(stack))[-1].completed
        await until(lambda: stack.validator.refinements)
        second = (await run(stack))[-1].completed
        status = await status_of(stack)
        (refinement,) = stack.validator.refinements
        (sent,) = stack.predictor.refine_requests
        asked = stack.validator.recommendation_requests[0]
        assert await health_of(stack) != health_pb2.HealthCheckResponse.NOT_SERVING
    assert first.chosen.prediction.predictor_version == VERSION
    assert second.chosen.prediction.predictor_version == "fake-2"
    assert asked.error_threshold == pytest.approx(0.07)
    assert sent[0].options.environment == predictor_pb2.ExecutionEnvironment(
        platform=WASM, engine=ENGINE, core_count=CORE_COUNT
    )
    assert (sent[0].options.method, sent[0].options.request_id) == (WINDOW, refinement.refinement_id)
    assert [request.record.latency_ms for request in sent[1:]] == [100.0]  # what the fake pool measures
    assert (refinement.accepted, refinement.reason, refinement.method) == (True, "better", WINDOW)
    assert (refinement.errors_before.latency, refinement.errors_after.latency) == (0.4, 0.1)
    assert (refinement.record_count, refinement.held_out_count) == (20, 5)
    assert (refinement.predictor_version_before, refinement.predictor_version_after) == (VERSION, "fake-2")
    assert status.last.refinement == refinement
    assert (status.accepted_count, status.refused_count, status.failure_count) == (1, 0, 0)


async def test_a_refinement_that_is_not_better_is_recorded_and_not_tried_again_at_once() -> None:
    async with orchestrator_stack(**AT_ONCE) as stack:
        stack.validator.unrefined[WASM] = WINDOW
        for _ in range(3):
            result = (await run(stack))[-1].completed
        await until(lambda: stack.validator.refinements)
        status = await status_of(stack)
        assert len(stack.predictor.refine_requests) == 1
        assert [each.accepted for each in stack.validator.refinements] == [False]
    assert result.chosen.prediction.predictor_version == VERSION
    assert (status.accepted_count, status.refused_count) == (0, 1)
    assert not result.warnings


async def test_only_the_weighted_method_gets_the_records_of_other_platforms() -> None:
    async with orchestrator_stack(**AT_ONCE) as stack:
        await run(stack, WEBGPU)
        stack.validator.unrefined[WASM] = WINDOW
        await run(stack)
        await until(lambda: stack.validator.refinements)
        stack.validator.unrefined[WASM] = WEIGHTED
        await run(stack)
        await until(lambda: len(stack.validator.refinements) == 2)
        sent = [[each.record.environment.platform for each in one[1:]] for one in stack.predictor.refine_requests]
    assert sent == [[WASM], [WEBGPU, WASM, WASM]]


@pytest.mark.parametrize("settings", [{"prediction_refinement": False}, {"validation_interval": 1000}])
async def test_without_the_switch_or_without_a_validation_nothing_is_asked(settings: dict[str, Any]) -> None:
    async with orchestrator_stack(**(AT_ONCE | settings)) as stack:
        stack.validator.unrefined[WASM] = WINDOW
        await run(stack)
        response = await stack.client.GetRefinementStatus(orchestrator_pb2.GetRefinementStatusRequest(), timeout=20)
        await asyncio.sleep(0.1)
        assert not stack.validator.recommendation_requests
    assert response.enabled is ("prediction_refinement" not in settings)


async def test_who_still_listens_sees_the_refinement_and_no_terminal_event_waits_for_it() -> None:
    async with orchestrator_stack(**AT_ONCE) as stack:
        stack.pool.max_connections = 2
        stack.validator.unrefined[WASM] = WINDOW
        stack.predictor.refining.clear()
        first = await run(stack)
        await stack.predictor.refine_started.wait()
        assert (await status_of(stack)).under_way
        stack.pool.behaviour = "wait"
        stack.pool.lease_started.clear()
        others = [asyncio.create_task(run(stack, platform)) for platform in (WASM, WEBGPU)]
        await until(lambda: stack.pool.lease_count == 2)
        stack.predictor.refinement = better()
        stack.predictor.refining.set()
        await until(lambda: stack.validator.refinements)
        stack.pool.released.set()
        here, there = await asyncio.gather(*others)
    assert first[-1].HasField("completed")
    told = [event.refined for event in here if event.HasField("refined")]
    assert [(each.refinement.accepted, each.refinement.platform) for each in told] == [(True, WASM)]
    assert here[-1].HasField("completed")
    assert [event.sequence for event in here] == list(range(1, len(here) + 1))
    assert not any(event.HasField("refined") for event in (*first, *there))


async def test_a_refinement_has_a_limit_of_time_and_is_tried_again() -> None:
    async with orchestrator_stack(**AT_ONCE, refinement_timeout_seconds=0.2) as stack:
        stack.validator.unrefined[WASM] = WINDOW
        stack.predictor.refining.clear()
        await run(stack)
        failed = await status_when(stack, lambda status: status.failure_count)
        result = (await run(stack))[-1].completed
        assert await health_of(stack) == health_pb2.HealthCheckResponse.NOT_SERVING
        stack.predictor.refining.set()
        await until(lambda: stack.validator.refinements)
        await status_when(stack, lambda status: not status.failure_count)
        assert await health_of(stack) == health_pb2.HealthCheckResponse.SERVING
        ids = {sent[0].options.request_id for sent in stack.predictor.refine_requests}
    assert "0.2 s" in failed.last.failure.message
    assert failed.last.retry_time.ToNanoseconds() > failed.last.refinement.refine_time.ToNanoseconds()
    assert len(ids) == 1  # the predictor would know a repetition
    (warning,) = result.warnings
    assert warning.startswith("the predictor of wasm could not be refined, what served still does: ")


async def test_an_orchestrator_that_ends_does_not_wait_for_a_refinement(tmp_path: Path) -> None:
    async with fake_peers() as peers:
        async with orchestrator_with(peers, tmp_path, **AT_ONCE) as stack:
            stack.validator.unrefined[WASM] = WINDOW
            stack.predictor.refining.clear()
            await run(stack)
            await stack.predictor.refine_started.wait()
            begin = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begin < 2
        assert not peers.validator.refinements


@pytest.mark.parametrize("step", ["recommendation", "dataset"])
async def test_a_validator_that_fails_leaves_everything_as_it_was_and_is_asked_later(step: str) -> None:
    async with orchestrator_stack(**AT_ONCE) as stack:
        stack.validator.unrefined[WASM] = WINDOW
        setattr(stack.validator, f"{step}_error", DatabaseFailed("/fake.duckdb", "gone"))
        await run(stack)
        status = await status_when(stack, lambda status: status.failure_count)
        assert not stack.predictor.refine_requests
        assert not stack.validator.refinements
        setattr(stack.validator, f"{step}_error", None)
        await until(lambda: stack.validator.refinements)
        assert (await run(stack))[-1].completed.chosen.prediction.predictor_version == VERSION
    assert "gone" in status.last.failure.message


async def test_a_predictor_that_refuses_for_good_is_recorded_with_its_words() -> None:
    async with orchestrator_stack(**AT_ONCE) as stack:
        stack.validator.unrefined[WASM] = WINDOW
        stack.predictor.refine_error = InvalidField("record", "makes no sense")
        await run(stack)
        await until(lambda: stack.validator.refinements)
        await run(stack)
        status = await status_of(stack)
        assert len(stack.predictor.refine_requests) == 1
        (refinement,) = stack.validator.refinements
    assert not refinement.accepted
    assert refinement.reason == "the predictor refused: record: makes no sense"
    assert refinement.predictor_version_before == refinement.predictor_version_after == VERSION
    assert status.last.refinement == refinement


async def test_records_without_a_plan_refine_nothing_and_say_so() -> None:
    async with orchestrator_stack(**AT_ONCE) as stack:
        stack.validator.unrefined[WASM] = WINDOW
        stack.validator.recommendation_error = DatabaseFailed("/fake.duckdb", "gone")
        await run(stack)
        for execution in stack.validator.executions:
            execution.ClearField("plan")
        stack.validator.recommendation_error = None
        await until(lambda: stack.validator.refinements)
        assert not stack.predictor.refine_requests
        (refinement,) = stack.validator.refinements
    assert refinement.reason.startswith("none of 1 records can be used")


async def test_an_attempt_that_the_validator_does_not_take_is_recorded_later() -> None:
    async with orchestrator_stack(**AT_ONCE) as stack:
        stack.validator.unrefined[WASM] = WINDOW
        stack.validator.refinement_error = DatabaseFailed("/fake.duckdb", "full")
        await run(stack)
        await status_when(stack, lambda status: status.refused_count)
        stack.validator.refinement_error = None
        await until(lambda: stack.validator.refinements)
        assert len(stack.predictor.refine_requests) == 1


@pytest.mark.parametrize("name", ["predictor", "validator"])
async def test_a_peer_that_is_down_is_waited_for(name: str, tmp_path: Path) -> None:
    target = dead_target()
    async with fake_peers() as peers:
        fake: FakePredictor | FakeValidator = peers.predictor if name == "predictor" else peers.validator
        peers.validator.unrefined[WASM] = WINDOW
        settings = {**AT_ONCE, f"{name}_target": target, "peer_check_interval_seconds": 0.1}
        async with orchestrator_with(peers, tmp_path, **settings) as stack:
            peers.validator.recommendation_error = DatabaseFailed("/fake.duckdb", "not yet")
            async with at(target, fake):
                await run(stack)
                await status_when(stack, lambda status: status.failure_count)
            peers.validator.recommendation_error = None
            await status_when(stack, lambda status: status.failure_count > 1)
            assert not peers.validator.refinements
            async with at(target, fake):
                await until(lambda: peers.validator.refinements)
                assert not (await run(stack))[-1].completed.warnings
