"""Browser preferences, and a pool that is full, through the real orchestrator."""

from __future__ import annotations

import time

import pytest

from corun.errors import CorunError, PoolFull
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from tests.fakes.fake_resource_pool import ENGINE
from tests.fakes.orchestrator_stack import OrchestratorStack, orchestrator_stack, workload
from tests.until import until

SUGGESTIONS = [
    predictor_pb2.ProfileSuggestion(model_name=name, batch_size=2, lane_width=4)
    for name in ("fake-text", "fake-vision")
]


def full(retry_after_seconds: float) -> CorunError:
    return PoolFull(max_connections=1, waited_seconds=0, retry_after_seconds=retry_after_seconds)


def add_firefox(stack: OrchestratorStack) -> None:
    wasm = pool_pb2.PlatformCapability(platform=core_pb2.PLATFORM_WASM, supported=True)
    stack.pool.engines.append(pool_pb2.EngineCapability(engine="firefox", available=True, platforms=[wasm]))


async def execute(
    stack: OrchestratorStack,
    preferences: dict[str, str],
    *,
    strategy: core_pb2.Strategy.ValueType = core_pb2.STRATEGY_SEQUENTIAL,
) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
    request = orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=workload("fake-text", "fake-vision"),
        platform=core_pb2.PLATFORM_WASM,
        strategy=strategy,
        browser_preferences=preferences,
    )
    return [event async for event in stack.client.ExecuteWithStrategy(request, timeout=20)]


async def test_a_model_that_prefers_a_browser_is_profiled_and_learnt_in_it() -> None:
    async with orchestrator_stack() as stack:
        add_firefox(stack)
        stack.predictor.suggestions = SUGGESTIONS
        await execute(stack, {"vision": "firefox"})
        profiled = [(each.model_name, each.engine) for each in stack.pool.profile_requests]
        await until(lambda: len(stack.predictor.observe_requests) == 4)
        learnt = [
            (each.environment.engine, {one.model_name for one in each.observations})
            for each in stack.predictor.observe_requests
        ]
        asked = [each.prediction.environment.engine for each in stack.predictor.recommend_requests]
    assert profiled == [("fake-text", ""), ("fake-vision", "firefox")]
    # First the profiles, then the plan's own runs, which were alone in their stages.
    assert learnt == [(ENGINE, {"fake-text"}), ("firefox", {"fake-vision"})] * 2
    assert asked == [ENGINE, "firefox", ENGINE]


async def test_where_all_models_prefer_one_browser_the_prediction_is_made_for_it() -> None:
    async with orchestrator_stack() as stack:
        add_firefox(stack)
        events = await execute(stack, {"text": "firefox", "vision": "firefox"})
        asked = [each.prediction.environment.engine for each in stack.predictor.recommend_requests]
        probed = [each.engine for each in stack.pool.capability_requests]
    assert asked == ["firefox"]
    assert probed == ["firefox"]
    assert "predicted for" not in " ".join(events[-1].completed.warnings)


async def test_the_pool_gets_the_preferences_and_the_result_warns_of_what_was_predicted_for_another_engine() -> None:
    async with orchestrator_stack() as stack:
        add_firefox(stack)
        events = await execute(stack, {"vision": "firefox"})
        assert dict(stack.pool.plan_requests[0].browser_preferences) == {"vision": "firefox"}
    assert list(events[-1].completed.warnings) == [
        f"predicted for the engine '{ENGINE}', but fake-vision ran in 'firefox'"
    ]


async def test_a_fallback_is_a_warning_with_its_reason() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.fallbacks = [
            pool_pb2.EngineFallback(
                model_type="vision", preferred="edge", used=ENGINE, reason="msedge is not installed"
            )
        ]
        events = await execute(stack, {})
    assert list(events[-1].completed.warnings) == [
        f"vision was to run in 'edge', but ran in '{ENGINE}': msedge is not installed"
    ]


async def test_a_comparison_passes_preferences_on_and_says_where_each_strategy_ran() -> None:
    async with orchestrator_stack() as stack:
        add_firefox(stack)
        stack.pool.fallbacks = [pool_pb2.EngineFallback(model_type="vision", preferred="edge", used=ENGINE)]
        request = orchestrator_pb2.CompareStrategiesRequest(
            workload=workload("fake-text", "fake-vision"),
            platform=core_pb2.PLATFORM_WASM,
            rounds=1,
            browser_preferences={"vision": "firefox"},
        )
        events = [event async for event in stack.client.CompareStrategies(request, timeout=20)]
        sent = [dict(each.browser_preferences) for each in stack.pool.plan_requests]
    result = events[-1].completed
    assert sent == [{"vision": "firefox"}] * 6  # a warm-up and a round of three strategies
    assert [each.fallbacks[0].preferred for each in result.strategies] == ["edge"] * 3
    assert any("fake-vision ran in 'firefox'" in warning for warning in result.warnings)


async def test_preferences_for_types_and_browsers_that_do_not_exist_are_refused() -> None:
    async with orchestrator_stack() as stack:
        for preferences in ({"smell": "firefox"}, {"vision": "opera"}):
            with pytest.raises(Exception, match="browser_preferences"):
                await execute(stack, preferences)


async def test_a_full_pool_is_come_back_to_as_it_says_and_no_event_tells_of_it() -> None:
    async with orchestrator_stack() as stack:
        stack.predictor.suggestions = SUGGESTIONS[:1]
        stack.pool.refusals.extend([full(0.2), full(0.2)])
        begin = time.monotonic()
        events = await execute(stack, {})
        took = time.monotonic() - begin
        assert len(stack.pool.profile_requests) == 3
    assert events[-1].WhichOneof("event") == "completed"
    assert took >= 0.4  # what the pool said, twice 0.2 s


async def test_a_plan_that_finds_the_pool_full_starts_when_it_is_free_again() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.refusals.append(full(0.05))
        events = await execute(stack, {})
        assert len(stack.pool.plan_requests) == 2
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[-1].WhichOneof("event") == "completed"


async def test_a_pool_that_stays_full_is_given_up_with_its_own_reason() -> None:
    async with orchestrator_stack(full_pool_timeout_seconds=0.5) as stack:
        stack.pool.refusals.extend(full(0.2) for _ in range(100))
        events = await execute(stack, {})
        assert 2 <= len(stack.pool.plan_requests) <= 3  # within half a second, never earlier than after 0.2 s
    failure = RemoteError(events[-1].failed)
    assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "POOL_FULL")
    assert failure.retry_after_seconds == pytest.approx(0.2)
