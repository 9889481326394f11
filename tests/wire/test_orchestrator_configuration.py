"""What bounds the choice on a platform: set, kept, and decisive with a real predictor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2

from corun.errors import BrowserLost
from corun.plumbing.status import RemoteError
from corun.predictor.build import build as build_predictor
from corun.predictor.config import Settings as PredictorSettings
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from tests.fakes.orchestrator_stack import (
    OrchestratorStack,
    dead_target,
    fake_peers,
    orchestrator_stack,
    orchestrator_with,
    served,
    workload,
)

WASM, WEBGPU = core_pb2.PLATFORM_WASM, core_pb2.PLATFORM_WEBGPU
DEFAULT, MANUAL = orchestrator_pb2.CONFIGURATION_ORIGIN_DEFAULT, orchestrator_pb2.CONFIGURATION_ORIGIN_MANUAL
GUIDES = predictor_pb2.StrategyConfiguration(
    parallel_threshold=4, sequential_threshold=10, batching_size=5, memory_threshold_mb=6000
)


async def update(
    stack: OrchestratorStack,
    values: predictor_pb2.StrategyConfiguration | None = None,
    platform: core_pb2.Platform.ValueType = WASM,
) -> orchestrator_pb2.UpdateStrategyConfigurationResponse:
    """Sets the values, or without any goes back to the settings."""
    request = orchestrator_pb2.UpdateStrategyConfigurationRequest(
        platform=platform, values=values, reset=None if values is not None else empty_pb2.Empty()
    )
    return await stack.client.UpdateStrategyConfiguration(request, timeout=20)


async def get(
    stack: OrchestratorStack, platform: core_pb2.Platform.ValueType = WASM
) -> orchestrator_pb2.GetStrategyConfigurationResponse:
    request = orchestrator_pb2.GetStrategyConfigurationRequest(platform=platform)
    return await stack.client.GetStrategyConfiguration(request, timeout=20)


async def chosen(
    stack: OrchestratorStack, count: int, configuration: predictor_pb2.StrategyConfiguration | None = None
) -> orchestrator_pb2.StrategyChosen:
    """The automatic choice for so many models."""
    names = [("fake-text", "fake-vision", "fake-audio")[index % 3] for index in range(count)]
    request = orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=workload(*names), platform=WASM, configuration=configuration
    )
    events = [event async for event in stack.client.ExecuteWithStrategy(request, timeout=20)]
    return next(event.chosen for event in events if event.HasField("chosen"))


@asynccontextmanager
async def with_real_predictor(folder: Path) -> AsyncIterator[OrchestratorStack]:
    async with (
        fake_peers() as peers,
        build_predictor(PredictorSettings(state_folder=folder / "predictor")) as service,
        served(service) as target,
        orchestrator_with(peers, folder / "orchestrator", predictor_target=target) as stack,
    ):
        yield stack


async def refused(stack: OrchestratorStack, values: predictor_pb2.StrategyConfiguration) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await update(stack, values)
    return RemoteError.from_rpc(raised.value)


async def test_values_set_by_hand_are_in_force_on_their_platform_only() -> None:
    async with orchestrator_stack(batching_size=3) as stack:
        response = await update(stack, GUIDES)
        here, there = (await get(stack)).configuration, (await get(stack, WEBGPU)).configuration
        await chosen(stack, 2)
        asked = stack.predictor.recommend_requests[-1]
    assert response.changed
    assert response.configuration == here
    assert here.values == GUIDES
    assert set(here.origins.values()) == {MANUAL}
    assert there.values == predictor_pb2.StrategyConfiguration(batching_size=3)
    assert set(there.origins.values()) == {DEFAULT}
    assert asked.configuration == GUIDES
    assert asked.prediction.batching_size == 5


async def test_what_is_not_given_stays_and_a_request_comes_first() -> None:
    async with orchestrator_stack() as stack:
        await update(stack, predictor_pb2.StrategyConfiguration(parallel_threshold=4))
        await update(stack, predictor_pb2.StrategyConfiguration(batching_size=3))
        kept = (await get(stack)).configuration
        own = predictor_pb2.StrategyConfiguration(parallel_threshold=7)
        announced = await chosen(stack, 2, own)
    assert kept.values == predictor_pb2.StrategyConfiguration(parallel_threshold=4, batching_size=3)
    assert (kept.origins["parallel_threshold"], kept.origins["memory_threshold_mb"]) == (MANUAL, DEFAULT)
    assert announced.configuration == predictor_pb2.StrategyConfiguration(parallel_threshold=7, batching_size=3)


async def test_values_and_their_history_survive_a_restart_and_a_reset(tmp_path: Path) -> None:
    async with fake_peers() as peers:
        async with orchestrator_with(peers, tmp_path) as stack:
            await update(stack, predictor_pb2.StrategyConfiguration(parallel_threshold=4))
            await update(stack, predictor_pb2.StrategyConfiguration(parallel_threshold=6))
            assert not (await update(stack, predictor_pb2.StrategyConfiguration(parallel_threshold=6))).changed
        # What nobody set follows the settings, what was set does not.
        async with orchestrator_with(peers, tmp_path, parallel_threshold=2, batching_size=9) as stack:
            found = await get(stack)
            back = await update(stack)
        async with orchestrator_with(peers, tmp_path) as stack:
            last = await get(stack)
    assert found.configuration.values == predictor_pb2.StrategyConfiguration(parallel_threshold=6, batching_size=9)
    assert found.defaults == predictor_pb2.StrategyConfiguration(parallel_threshold=2, batching_size=9)
    changes = [(each.before.values.parallel_threshold, each.after.values.parallel_threshold) for each in found.changes]
    assert changes == [(4, 6), (0, 4)]
    assert found.changes[0].reason == "set by hand: parallel_threshold 6"
    assert back.configuration.values == found.defaults
    assert last.configuration.values == predictor_pb2.StrategyConfiguration(batching_size=2)
    assert [each.origin for each in last.changes] == [DEFAULT, MANUAL, MANUAL]


async def test_values_that_break_their_rule_or_are_none_change_nothing() -> None:
    async with orchestrator_stack() as stack:
        empty = await refused(stack, predictor_pb2.StrategyConfiguration())
        large = await refused(stack, predictor_pb2.StrategyConfiguration(parallel_threshold=4, batching_size=65))
        found = await get(stack)
    assert (empty.code, [each.field for each in empty.violations]) == ("INVALID_ARGUMENT", ["values"])
    assert [each.field for each in large.violations] == ["values.batching_size"]
    assert not found.changes
    assert found.configuration.values == found.defaults


@pytest.mark.parametrize(
    ("values", "count", "allowed"),
    [
        (predictor_pb2.StrategyConfiguration(parallel_threshold=4), 4, set(core_pb2.Strategy.values()[1:])),
        (
            predictor_pb2.StrategyConfiguration(parallel_threshold=4),
            5,
            {core_pb2.STRATEGY_SEQUENTIAL, core_pb2.STRATEGY_BATCHED},
        ),
        (predictor_pb2.StrategyConfiguration(sequential_threshold=10), 11, {core_pb2.STRATEGY_SEQUENTIAL}),
    ],
)
async def test_thresholds_decide_as_written(
    values: predictor_pb2.StrategyConfiguration,
    count: int,
    allowed: set[core_pb2.Strategy.ValueType],
    tmp_path: Path,
) -> None:
    async with with_real_predictor(tmp_path) as stack:
        await update(stack, values)
        announced = await chosen(stack, count)
        ran = stack.pool.plan_requests[-1].plan.strategy
    assert announced.automatic
    assert announced.strategy == ran
    assert ran in allowed


async def test_a_memory_threshold_excludes_what_is_expected_to_need_more(tmp_path: Path) -> None:
    async with with_real_predictor(tmp_path) as stack:
        for strategy in core_pb2.Strategy.values():  # the predictor would learn of a measurement
            stack.pool.outcomes[strategy].append(BrowserLost("closed"))
        before = await chosen(stack, 3)
        memory = {each.strategy: each.memory_mb.value for each in before.prediction.predictions}
        least = min(memory, key=lambda strategy: memory[strategy])
        others = [value for strategy, value in memory.items() if strategy != least]
        between = (memory[least] + min(others)) / 2
        await update(stack, predictor_pb2.StrategyConfiguration(memory_threshold_mb=between))
        after = await chosen(stack, 3)
    assert memory[least] < between < min(others)
    assert after.strategy == least
    assert "over the threshold" in after.reason


@pytest.mark.parametrize(
    ("values", "strategy"),
    [
        (predictor_pb2.StrategyConfiguration(parallel_threshold=1), core_pb2.STRATEGY_BATCHED),
        (predictor_pb2.StrategyConfiguration(sequential_threshold=1), core_pb2.STRATEGY_SEQUENTIAL),
    ],
)
async def test_thresholds_decide_without_a_predictor_too(
    values: predictor_pb2.StrategyConfiguration, strategy: core_pb2.Strategy.ValueType
) -> None:
    async with orchestrator_stack(predictor_target=dead_target()) as stack:
        await update(stack, values)
        request = orchestrator_pb2.ExecuteWithStrategyRequest(
            workload=workload("fake-text", "fake-vision"), platform=WASM, allow_threshold_choice=True
        )
        events = [event async for event in stack.client.ExecuteWithStrategy(request, timeout=20)]
    assert events[-1].completed.chosen.strategy == strategy


async def test_an_exploration_runs_an_alternative_and_says_so_everywhere() -> None:
    async with orchestrator_stack(exploration_rate=1.0, exploration_seed=3, validation_interval=1) as stack:
        # 80, 100 and 120 ms with a tenth around: sequential overlaps nothing of parallel, which 72 to 88 is.
        assert not (await chosen(stack, 2)).explored
        stack.predictor.recommended = core_pb2.STRATEGY_SEQUENTIAL  # 90 to 110, and batched is 108 to 132
        announced = await chosen(stack, 2)
        first, second = stack.validator.executions
        ran = stack.pool.plan_requests[-1].plan.strategy
        # What the configuration rules out is not tried.
        await update(stack, predictor_pb2.StrategyConfiguration(sequential_threshold=1))
        assert not (await chosen(stack, 2)).explored
    assert announced.explored
    assert announced.automatic
    assert announced.strategy == ran == core_pb2.STRATEGY_BATCHED
    assert announced.recommended == core_pb2.STRATEGY_SEQUENTIAL
    assert announced.reason.startswith("exploring: batched is tried, which may be as good as sequential; ")
    assert (first.explored, second.explored, second.strategy_chosen) == (False, True, True)
