"""ExecuteWithStrategy against fake peers: what the stream says when all goes well, and when it does not."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from corun.errors import BrowserLost, ModelNeverObserved
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2, validator_service_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from tests.fakes.fake_predictor import VERSION
from tests.fakes.fake_resource_pool import ADAPTER, ENGINE, figures
from tests.fakes.orchestrator_stack import OrchestratorStack, dead_target, orchestrator_stack, workload
from tests.until import until

NOT_LEARNT = "executions are not learnt"
POOL_EVENTS = ["pool_event"] * 4  # leased, model_loaded, iteration_finished, measured


def request(
    *names: str, strategy: core_pb2.Strategy.ValueType = core_pb2.STRATEGY_UNSPECIFIED, iterations: int | None = None
) -> orchestrator_pb2.ExecuteWithStrategyRequest:
    return orchestrator_pb2.ExecuteWithStrategyRequest(
        workload=workload(*(names or ("fake-text", "fake-vision")), iterations=iterations),
        platform=core_pb2.PLATFORM_WASM,
        strategy=strategy,
    )


async def run(
    stack: OrchestratorStack, asked: orchestrator_pb2.ExecuteWithStrategyRequest
) -> list[orchestrator_pb2.ExecuteWithStrategyResponse]:
    return [event async for event in stack.client.ExecuteWithStrategy(asked, timeout=20)]


def kinds(events: list[orchestrator_pb2.ExecuteWithStrategyResponse]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]


async def taught(stack: OrchestratorStack) -> list[predictor_pb2.ObserveRequest]:
    """What the predictor is taught, which happens after the end."""
    await until(lambda: stack.predictor.observe_requests)
    return stack.predictor.observe_requests


async def test_events_come_in_order_and_end_with_one_terminal_event() -> None:
    async with orchestrator_stack() as stack:
        events = await run(stack, request())
    assert kinds(events) == ["accepted", "chosen", *POOL_EVENTS, "completed"]


async def test_sequence_numbers_start_at_one_without_gaps_and_times_do_not_go_back() -> None:
    async with orchestrator_stack() as stack:
        events = await run(stack, request())
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    times = [event.event_time.ToNanoseconds() for event in events]
    assert times == sorted(times)
    assert times[0] > 0


async def test_the_recommended_strategy_runs_with_the_predictors_reason() -> None:
    async with orchestrator_stack() as stack:
        stack.predictor.recommended = core_pb2.STRATEGY_BATCHED
        events = await run(stack, request())
        assert [each.plan.strategy for each in stack.pool.plan_requests] == [core_pb2.STRATEGY_BATCHED]
        reason = stack.predictor.reason
    chosen = events[-1].completed.chosen
    assert (chosen.strategy, chosen.recommended) == (core_pb2.STRATEGY_BATCHED, core_pb2.STRATEGY_BATCHED)
    assert (chosen.reason, chosen.automatic) == (reason, True)


async def test_an_explicit_strategy_runs_although_another_is_recommended() -> None:
    async with orchestrator_stack() as stack:
        events = await run(stack, request(strategy=core_pb2.STRATEGY_SEQUENTIAL))
        assert [each.plan.strategy for each in stack.pool.plan_requests] == [core_pb2.STRATEGY_SEQUENTIAL]
    assert [each.strategy_chosen for each in stack.validator.executions] == [False]
    chosen = events[1].chosen
    assert (chosen.strategy, chosen.recommended) == (core_pb2.STRATEGY_SEQUENTIAL, core_pb2.STRATEGY_PARALLEL)
    assert chosen.reason == "asked for by the caller; the predictor would choose parallel"
    assert not chosen.automatic


async def test_the_result_holds_prediction_measurement_and_models_in_the_workloads_order() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.outcomes[core_pb2.STRATEGY_PARALLEL].append(figures(91.0, 44.0, 33.0))
        events = await run(stack, request("fake-vision", "fake-text", "fake-vision"))
        assert list(stack.pool.list_requests[0].names) == ["fake-vision", "fake-text"]
    result = events[-1].completed
    assert result.execution_id == events[0].accepted.execution_id
    assert result.predicted.latency_ms.value == 80.0  # the fake's figure for parallel
    assert result.measured.performance == figures(91.0, 44.0, 33.0)
    assert [model.name for model in result.models] == ["fake-vision", "fake-text", "fake-vision"]
    assert result.recorded or result.record_queued
    assert not result.warnings
    assert not result.HasField("errors")


async def test_the_predictor_is_asked_with_the_pools_engine_cores_and_graph_features() -> None:
    async with orchestrator_stack(batching_size=3) as stack:
        await run(stack, request())
        asked = stack.predictor.recommend_requests[0]
    environment = asked.prediction.environment
    assert (environment.platform, environment.engine, environment.core_count) == (core_pb2.PLATFORM_WASM, ENGINE, 4)
    assert [each.model_name for each in asked.prediction.features] == ["fake-text", "fake-vision"]
    assert asked.prediction.features[0].graph.flops_per_item == 1e9
    assert asked.prediction.batching_size == 3
    assert asked.goal == core_pb2.OPTIMIZATION_GOAL_LATENCY


async def test_iterations_of_the_workload_reach_the_pool() -> None:
    async with orchestrator_stack() as stack:
        await run(stack, request(iterations=7))
        await run(stack, request())
        assert [each.iterations for each in stack.pool.plan_requests] == [7, 1]


async def test_models_known_only_by_their_graph_are_profiled_and_the_predictor_is_asked_again() -> None:
    async with orchestrator_stack() as stack:
        stack.predictor.suggestions = [
            predictor_pb2.ProfileSuggestion(model_name="fake-text", batch_size=2, lane_width=4),
            predictor_pb2.ProfileSuggestion(model_name="fake-vision", batch_size=2, lane_width=4),
            predictor_pb2.ProfileSuggestion(model_name="fake-text", batch_size=2, lane_width=2),
        ]
        events = await run(stack, request())
        profiled = [(each.model_name, len(each.settings)) for each in stack.pool.profile_requests]
        learnt = stack.predictor.observe_requests[0]
        assert len(stack.predictor.recommend_requests) == 2
    assert kinds(events) == ["accepted", "profiled", "profiled", "chosen", *POOL_EVENTS, "completed"]
    assert profiled == [("fake-text", 2), ("fake-vision", 1)]
    assert [event.profiled.model_name for event in events[1:3]] == ["fake-text", "fake-vision"]
    assert [each.run_time_ms for each in learnt.observations] == [10.0] * 6  # 2 settings x 3 runs of 2 items
    assert [each.memory_mb for each in learnt.observations if each.HasField("memory_mb")] == [7.0, 7.0]


async def test_nothing_is_profiled_when_the_predictor_suggests_nothing() -> None:
    async with orchestrator_stack() as stack:
        await run(stack, request())
        assert stack.pool.profile_requests == []
        assert len(stack.predictor.recommend_requests) == 1


async def test_runs_that_were_alone_are_taught_to_the_predictor() -> None:
    async with orchestrator_stack() as stack:
        await run(stack, request(strategy=core_pb2.STRATEGY_SEQUENTIAL, iterations=2))
        sent = await taught(stack)
    observations = [(each.model_name, each.lane_width, each.run_time_ms) for each in sent[0].observations]
    # Two models one after another, twice, in one lane of all four cores; 10 ms an item, two items.
    assert sorted(observations) == [("fake-text", 4, 20.0)] * 2 + [("fake-vision", 4, 20.0)] * 2
    assert sent[0].environment.engine == ENGINE


@pytest.mark.parametrize("cores", [None, 0.0, 0.75])
async def test_what_other_programs_used_is_taught_with_what_was_measured_beside_them(cores: float | None) -> None:
    async with orchestrator_stack() as stack:
        stack.pool.other_programs_cores = cores
        stack.predictor.suggestions = [
            predictor_pb2.ProfileSuggestion(model_name="fake-text", batch_size=2, lane_width=4)
        ]
        await run(stack, request(strategy=core_pb2.STRATEGY_SEQUENTIAL))
        await until(lambda: len(stack.predictor.observe_requests) == 2)
        profiled, executed = stack.predictor.observe_requests
    runs = [*profiled.observations, *executed.observations]
    assert len(runs) == 3 + 2  # the profile's, and those of the execution
    (whole,) = executed.executions
    told = {each.other_programs_cores if each.HasField("other_programs_cores") else None for each in runs}
    assert told == {cores}
    assert (whole.other_programs_cores if whole.HasField("other_programs_cores") else None) == cores


async def test_an_execution_is_taught_whole_and_its_runs_beside_others_are_not_taught_as_solo_runs() -> None:
    async with orchestrator_stack() as stack:
        await run(stack, request(strategy=core_pb2.STRATEGY_PARALLEL, iterations=3))
        (sent,) = await taught(stack)
        plan = stack.pool.plan_requests[0].plan
    assert not sent.observations
    (executed,) = sent.executions
    assert executed.plan == plan
    assert executed.latency_ms == 100.0
    # Three iterations of two runs: each run of the plan once, by its median.
    assert [(each.model_name, each.concurrency, each.stage, each.run_time_ms) for each in executed.runs] == [
        ("fake-text", 2, 0, 20.0),
        ("fake-vision", 2, 0, 20.0),
    ]
    assert executed.end_time.seconds > 0


async def test_why_the_predictor_did_not_learn_an_execution_is_logged() -> None:
    with capture_logs() as logs:
        async with orchestrator_stack() as stack:
            stack.predictor.ignored_reasons = ["executions[0]: 900 ms is 9 times the prediction"]
            events = await run(stack, request())
            await taught(stack)
    assert [(each["execution_ids"], each["reason"]) for each in logs if each["event"] == NOT_LEARNT] == [
        ([events[0].accepted.execution_id], "executions[0]: 900 ms is 9 times the prediction")
    ]


async def test_the_end_of_an_execution_does_not_wait_for_the_predictor_to_learn_it() -> None:
    async with orchestrator_stack() as stack:
        stack.predictor.learns = asyncio.Event()
        events = await run(stack, request())
        assert kinds(events)[-1] == "completed"
        stack.predictor.learns.set()


async def test_a_service_that_ends_lets_the_predictor_learn_first_what_was_measured() -> None:
    async with orchestrator_stack() as stack:
        for _ in range(3):
            await run(stack, request())
    # What comes in close succession is learnt at once.
    assert [len(each.executions) for each in stack.predictor.observe_requests] == [3]


async def test_an_execution_is_recorded_with_everything_that_was_predicted_and_measured() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.outcomes[core_pb2.STRATEGY_PARALLEL].append(figures(91.0, 44.0, -3.0))
        events = await run(stack, request())
    (record,) = stack.validator.executions
    assert record.execution_id == events[0].accepted.execution_id
    assert (record.strategy, record.platform) == (core_pb2.STRATEGY_PARALLEL, core_pb2.PLATFORM_WASM)
    assert (record.strategy_chosen, record.goal) == (True, core_pb2.OPTIMIZATION_GOAL_LATENCY)
    assert (record.engine, record.adapter, record.predictor_version) == (ENGINE, ADAPTER, VERSION)
    assert record.predicted.latency_ms == 80.0
    # A peak below the idle size is recorded as 0.
    assert (record.measured.latency_ms, record.measured.memory_mb) == (91.0, 0.0)
    assert [(run.model_name, run.concurrency) for run in record.runs] == [("fake-text", 2), ("fake-vision", 2)]
    assert (record.queue_time_ms, record.load_time_ms) == (1.5, 2.5)
    assert record.plan == stack.pool.plan_requests[0].plan


async def test_another_engine_than_the_predicted_one_and_retries_are_warnings() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.engine, stack.pool.retry_count = "other-engine", 1
        events = await run(stack, request(strategy=core_pb2.STRATEGY_SEQUENTIAL))
        assert (await taught(stack))[0].environment.engine == "other-engine"
    assert list(events[-1].completed.warnings) == [
        "predicted for the engine 'fake-engine', but it ran in 'other-engine'",
        "a browser was lost; the plan started over 1 time(s)",
    ]


async def test_a_pool_that_fails_midway_ends_the_stream_with_its_own_reason() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.outcomes[core_pb2.STRATEGY_PARALLEL].append(BrowserLost("it crashed"))
        events = await run(stack, request())
        assert stack.validator.executions == []
    assert kinds(events) == ["accepted", "chosen", "pool_event", "failed"]
    failure = RemoteError(events[-1].failed)
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "BROWSER_LOST")
    assert failure.metadata == {"cause": "it crashed"}


async def test_a_pool_that_ends_without_a_measurement_is_a_failure() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.behaviour = "stop"
        events = await run(stack, request())
    assert kinds(events)[-1] == "failed"
    assert "without a measurement" in events[-1].failed.message


async def test_a_pool_that_stops_answering_is_given_up_after_its_time() -> None:
    async with orchestrator_stack(execute_timeout_seconds=0.3) as stack:
        stack.pool.behaviour = "hold"
        events = await run(stack, request())
    failure = RemoteError(events[-1].failed)
    assert failure.reason == "PEER_UNAVAILABLE"
    assert failure.metadata["service"] == "resource pool"
    assert "not finished within 0.3 s" in failure.message


async def test_a_predictor_that_refuses_is_a_failure_with_its_own_reason() -> None:
    async with orchestrator_stack() as stack:
        stack.predictor.recommend_error = ModelNeverObserved("fake-text")
        events = await run(stack, request())
    assert kinds(events) == ["accepted", "failed"]
    assert RemoteError(events[-1].failed).reason == "MODEL_NEVER_OBSERVED"


async def test_a_predictor_that_is_down_is_named_with_its_address() -> None:
    target = dead_target()
    async with orchestrator_stack(predictor_target=target) as stack:
        events = await run(stack, request())
    failure = RemoteError(events[-1].failed)
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "PEER_UNAVAILABLE")
    assert failure.metadata == {"service": "predictor", "target": target}


async def test_a_defect_after_acceptance_still_ends_the_stream_with_one_terminal_event() -> None:
    async with orchestrator_stack() as stack:
        stack.predictor.recommended = core_pb2.STRATEGY_UNSPECIFIED  # no predictor may say this
        events = await run(stack, request())
    assert kinds(events) == ["accepted", "failed"]
    failure = RemoteError(events[-1].failed)
    assert (failure.code, failure.reason) == ("INTERNAL", "INTERNAL")
    assert events[0].accepted.execution_id in failure.message


async def test_observations_that_are_refused_are_logged() -> None:
    with capture_logs() as logs:
        async with orchestrator_stack() as stack:
            stack.predictor.observe_error = ModelNeverObserved("fake-text")
            events = await run(stack, request(strategy=core_pb2.STRATEGY_SEQUENTIAL))
    assert kinds(events)[-1] == "completed"
    assert not events[-1].completed.warnings
    assert ["fake-text" in each["reason"] for each in logs if each["event"] == NOT_LEARNT] == [True]


async def test_metrics_are_the_validators() -> None:
    async with orchestrator_stack() as stack:
        await run(stack, request())
        query = validator_service_pb2.GetValidationMetricsRequest(platform=core_pb2.PLATFORM_WASM, recent_count=5)
        response = await stack.client.GetValidationMetrics(
            orchestrator_pb2.OrchestratorServiceGetValidationMetricsRequest(query=query), timeout=20
        )
        assert stack.validator.queries == [query]
    assert response.metrics.execution_count == 1


@pytest.mark.parametrize("count", [1, 64])
async def test_workloads_of_every_size_run(count: int) -> None:
    async with orchestrator_stack() as stack:
        events = await run(stack, request(*["fake-text"] * count))
    assert len(events[-1].completed.models) == count
