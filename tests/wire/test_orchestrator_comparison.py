"""CompareStrategies against fake peers: rounds, medians, ties, gain, partial failure and what is recorded.

The fake pool measures what the test scripts; the first figure of each strategy is its warm-up.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from corun.errors import BrowserLost, InferenceFailed
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from tests.fakes.fake_resource_pool import figures
from tests.fakes.orchestrator_stack import OrchestratorStack, dead_target, orchestrator_stack, workload

PARALLEL, SEQUENTIAL, BATCHED = core_pb2.STRATEGY_PARALLEL, core_pb2.STRATEGY_SEQUENTIAL, core_pb2.STRATEGY_BATCHED
WARM_UP = 9999.0


def request(
    *,
    strategies: Sequence[core_pb2.Strategy.ValueType] = (),
    goal: core_pb2.OptimizationGoal.ValueType = core_pb2.OPTIMIZATION_GOAL_UNSPECIFIED,
    rounds: int | None = 3,
    max_rounds: int | None = None,
    iterations: int | None = None,
) -> orchestrator_pb2.CompareStrategiesRequest:
    return orchestrator_pb2.CompareStrategiesRequest(
        workload=workload("fake-text", "fake-vision", iterations=iterations),
        platform=core_pb2.PLATFORM_WASM,
        goal=goal,
        strategies=strategies,
        rounds=rounds,
        max_rounds=max_rounds,
    )


async def run(
    stack: OrchestratorStack, asked: orchestrator_pb2.CompareStrategiesRequest
) -> list[orchestrator_pb2.CompareStrategiesResponse]:
    return [event async for event in stack.client.CompareStrategies(asked, timeout=20)]


def kinds(events: list[orchestrator_pb2.CompareStrategiesResponse]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]


def script_latencies(stack: OrchestratorStack) -> None:
    """Medians 102, 100 and 140 ms."""
    latencies = {PARALLEL: [100, 104, 102], SEQUENTIAL: [100, 101, 99], BATCHED: [130, 150, 140]}
    for strategy, rounds in latencies.items():
        stack.pool.outcomes[strategy].extend(figures(each) for each in [WARM_UP, *rounds])


async def test_the_stream_is_accepted_chosen_then_every_measurement_and_one_terminal_event() -> None:
    async with orchestrator_stack() as stack:
        events = await run(stack, request())
    steps = [kind for kind in kinds(events) if kind != "pool_event"]
    assert steps == ["accepted", "chosen", *["strategy_measured"] * 9, "completed"]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[0].accepted.planned_run_count == 12  # 3 strategies x (1 warm-up + 3 rounds)


async def test_every_strategy_is_warmed_up_once_and_rounds_are_rotated() -> None:
    async with orchestrator_stack() as stack:
        await run(stack, request(iterations=4))
        plans = stack.pool.plan_requests
    assert [each.plan.strategy for each in plans] == [
        *[PARALLEL, SEQUENTIAL, BATCHED],  # warm-ups
        *[PARALLEL, SEQUENTIAL, BATCHED],
        *[SEQUENTIAL, BATCHED, PARALLEL],
        *[BATCHED, PARALLEL, SEQUENTIAL],
    ]
    assert [each.iterations for each in plans] == [1, 1, 1, *[4] * 9]


async def test_a_warm_up_shows_how_it_gets_ready_but_not_its_figures() -> None:
    async with orchestrator_stack() as stack:
        script_latencies(stack)
        events = await run(stack, request(rounds=1))
    pool_events = [event.pool_event for event in events if event.HasField("pool_event")]
    of_parallel = [each.event.WhichOneof("event") for each in pool_events if each.strategy == PARALLEL]
    warm_up, counted = of_parallel[:2], of_parallel[2:]
    assert warm_up == ["leased", "model_loaded"]
    assert counted == ["leased", "model_loaded", "iteration_finished", "measured"]
    assert WARM_UP not in [each.event.measured.performance.latency_ms for each in pool_events]


async def test_medians_noise_ties_and_gain_are_those_computed_by_hand() -> None:
    async with orchestrator_stack() as stack:
        script_latencies(stack)
        events = await run(stack, request())
    result = events[-1].completed
    by_strategy = {each.strategy: each for each in result.strategies}
    assert [each.strategy for each in result.strategies] == [PARALLEL, SEQUENTIAL, BATCHED]
    assert {key: each.measured.latency_ms for key, each in by_strategy.items()} == {
        PARALLEL: 102.0,
        SEQUENTIAL: 100.0,
        BATCHED: 140.0,
    }
    # Median absolute deviations 2, 1 and 10 ms, times 1.4826, over the medians.
    assert by_strategy[PARALLEL].noise == pytest.approx(1.4826 * 2 / 102)
    assert by_strategy[SEQUENTIAL].noise == pytest.approx(1.4826 * 1 / 100)
    assert by_strategy[BATCHED].noise == pytest.approx(1.4826 * 10 / 140)
    # Round by round parallel is 0, 3 and 3 % behind, which chance would do; batched is 26, 39 and 34 %.
    assert (result.best, list(result.tied)) == (SEQUENTIAL, [PARALLEL, SEQUENTIAL])
    assert (result.recommended, result.recommendation_correct) == (PARALLEL, True)
    # The mean of 102, 100 and 140 is 114; 102 is 12 less.
    assert result.improvement_percent == pytest.approx(12 / 114 * 100)
    assert [each.latency_ms for each in by_strategy[PARALLEL].rounds] == [100.0, 104.0, 102.0]
    assert (by_strategy[PARALLEL].engine, by_strategy[PARALLEL].adapter) == ("fake-engine", "fake-adapter")
    assert by_strategy[PARALLEL].predicted.latency_ms.value == 80.0
    assert not by_strategy[SEQUENTIAL].HasField("behind")
    behind = by_strategy[BATCHED].behind
    # 30/115, 49/125.5 and 41/119.5, and Student's t with two degrees of freedom.
    assert behind.round_count == 3
    assert [behind.mean, behind.low, behind.high] == pytest.approx([0.3315, 0.1686, 0.4944], abs=1e-3)
    assert behind.p_value == pytest.approx(0.0130, abs=1e-3)
    assert by_strategy[PARALLEL].behind.p_value > 0.05
    assert (result.round_count, result.rounds_reason) == (3, "3 were asked for")
    assert result.recorded
    assert not result.warnings


async def test_throughput_is_better_when_higher_and_a_bad_recommendation_has_a_negative_gain() -> None:
    async with orchestrator_stack() as stack:
        stack.predictor.recommended = SEQUENTIAL
        for strategy, throughput in {PARALLEL: 12.0, SEQUENTIAL: 8.0, BATCHED: 10.0}.items():
            stack.pool.outcomes[strategy].extend([figures(100.0, throughput)] * 4)
        events = await run(stack, request(goal=core_pb2.OPTIMIZATION_GOAL_THROUGHPUT))
        assert stack.predictor.recommend_requests[0].goal == core_pb2.OPTIMIZATION_GOAL_THROUGHPUT
    result = events[-1].completed
    assert (result.best, list(result.tied), result.recommendation_correct) == (PARALLEL, [PARALLEL], False)
    assert result.improvement_percent == pytest.approx(-20.0)  # 8 against a mean of 10


async def test_memory_is_better_when_lower() -> None:
    async with orchestrator_stack() as stack:
        stack.predictor.recommended = SEQUENTIAL
        for strategy, memory in {PARALLEL: 30.0, SEQUENTIAL: 10.0, BATCHED: 20.0}.items():
            stack.pool.outcomes[strategy].extend([figures(100.0, 10.0, memory)] * 4)
        events = await run(stack, request(goal=core_pb2.OPTIMIZATION_GOAL_MEMORY))
    result = events[-1].completed
    assert (result.best, result.recommendation_correct) == (SEQUENTIAL, True)
    assert result.improvement_percent == pytest.approx(50.0)  # 10 against a mean of 20


async def test_every_counted_round_is_recorded_and_the_median_one_of_each_strategy_validated() -> None:
    async with orchestrator_stack(error_threshold=0.15) as stack:
        script_latencies(stack)
        events = await run(stack, request())
        recorded = stack.validator.executions
        validated = stack.validator.validations
    identifier = events[0].accepted.comparison_id
    assert len({each.execution_id for each in recorded}) == 9
    assert all(each.execution_id.startswith(identifier) for each in recorded)
    assert not any(each.strategy_chosen for each in recorded)
    assert WARM_UP not in [each.measured.latency_ms for each in recorded]
    # 102 was parallel's third round, 100 sequential's first, 140 batched's third.
    assert [each.execution.execution_id for each in validated] == [
        f"{identifier}-parallel-2",
        f"{identifier}-sequential-0",
        f"{identifier}-batched-2",
    ]
    assert [each.error_threshold for each in validated] == [0.15] * 3
    assert all(each.execution in recorded for each in validated)


async def test_the_impact_that_is_recorded_is_the_one_reported() -> None:
    async with orchestrator_stack() as stack:
        script_latencies(stack)
        events = await run(stack, request())
        impact = stack.validator.impacts[0]
    result = events[-1].completed
    assert impact.comparison_id == result.comparison_id == events[0].accepted.comparison_id
    assert (impact.best, impact.recommended) == (result.best, result.recommended)
    assert impact.recommendation_correct
    assert impact.improvement_percent == result.improvement_percent
    assert impact.goal == core_pb2.OPTIMIZATION_GOAL_LATENCY
    assert [(each.strategy, each.measured.latency_ms) for each in impact.outcomes] == [
        (PARALLEL, 102.0),
        (SEQUENTIAL, 100.0),
        (BATCHED, 140.0),
    ]


async def test_a_strategy_that_fails_is_reported_and_the_others_go_on() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.outcomes[BATCHED].extend([figures(), figures(130.0), InferenceFailed("fake-text", "no memory")])
        events = await run(stack, request())
        assert [each.plan.strategy for each in stack.pool.plan_requests].count(BATCHED) == 3
        assert len(stack.validator.impacts[0].outcomes) == 2
    result = events[-1].completed
    failed = result.strategies[2]
    assert RemoteError(failed.error).reason == "INFERENCE_FAILED"
    assert not failed.HasField("measured")
    assert [each.latency_ms for each in failed.rounds] == [130.0]  # what went well before
    assert [each.HasField("error") for each in result.strategies] == [False, False, True]
    assert len(result.strategies[0].rounds) == 3
    assert BATCHED not in result.tied


async def test_a_strategy_that_fails_to_warm_up_takes_part_in_no_round() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.outcomes[SEQUENTIAL].append(InferenceFailed("fake-text", "no memory"))
        events = await run(stack, request())
        assert [each.plan.strategy for each in stack.pool.plan_requests].count(SEQUENTIAL) == 1
    assert events[-1].completed.strategies[1].HasField("error")


async def test_a_recommended_strategy_that_fails_is_no_correct_recommendation_and_not_recorded() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.outcomes[PARALLEL].append(InferenceFailed("fake-text", "no memory"))
        events = await run(stack, request())
        assert stack.validator.impacts == []
    result = events[-1].completed
    assert (result.recommended, result.recommendation_correct, result.recorded) == (PARALLEL, False, False)
    assert result.improvement_percent == 0.0
    assert list(result.warnings) == [
        "comparison not recorded: parallel, the recommended strategy, failed, so its gain is not known"
    ]


async def test_a_comparison_of_which_nothing_is_left_fails_with_the_first_reason() -> None:
    async with orchestrator_stack() as stack:
        stack.pool.outcomes[PARALLEL].append(InferenceFailed("fake-text", "no memory"))
        stack.pool.outcomes[SEQUENTIAL].append(BrowserLost("it crashed"))
        stack.pool.outcomes[BATCHED].append(BrowserLost("it crashed"))
        events = await run(stack, request())
    assert kinds(events) == ["accepted", "chosen", *["pool_event"] * 3, "failed"]
    assert RemoteError(events[-1].failed).reason == "INFERENCE_FAILED"


async def test_only_the_strategies_asked_for_are_compared_and_the_recommendation_is_one_of_them() -> None:
    async with orchestrator_stack() as stack:
        events = await run(stack, request(strategies=[BATCHED, SEQUENTIAL], rounds=1))
        assert {each.plan.strategy for each in stack.pool.plan_requests} == {BATCHED, SEQUENTIAL}
    chosen = next(event.chosen for event in events if event.HasField("chosen"))
    # The predictor would choose parallel; of the two, sequential is predicted at 100 ms and batched at 120.
    assert (chosen.recommended, chosen.strategy) == (PARALLEL, SEQUENTIAL)
    assert chosen.reason == (
        "parallel is recommended but not compared; sequential has the best predicted latency of those compared"
    )
    assert events[-1].completed.recommended == SEQUENTIAL


async def test_a_single_strategy_is_measured_but_is_no_comparison_on_record() -> None:
    async with orchestrator_stack() as stack:
        events = await run(stack, request(strategies=[PARALLEL]))
        assert stack.validator.impacts == []
        assert len(stack.validator.executions) == 3
    result = events[-1].completed
    assert (result.best, result.improvement_percent, result.recorded) == (PARALLEL, 0.0, False)
    assert result.warnings[0].startswith("comparison not recorded: only one strategy was measured")


async def test_new_models_are_profiled_before_the_first_round() -> None:
    async with orchestrator_stack() as stack:
        stack.predictor.suggestions = [
            predictor_pb2.ProfileSuggestion(model_name="fake-text", batch_size=2, lane_width=4)
        ]
        events = await run(stack, request(rounds=1))
    assert kinds(events)[:3] == ["accepted", "profiled", "chosen"]


async def test_runs_that_were_alone_are_taught_once_at_the_end() -> None:
    async with orchestrator_stack() as stack:
        await run(stack, request(rounds=2))
        sent = stack.predictor.observe_requests
    # Only sequential runs models alone: two models in each of two rounds.
    assert [len(each.observations) for each in sent] == [4]


async def test_a_comparison_completes_without_a_validator_and_asks_it_once() -> None:
    async with orchestrator_stack(validator_target=dead_target()) as stack:
        events = await run(stack, request())
    result = events[-1].completed
    assert not result.recorded
    assert (result.record_queued, list(result.degraded)) == (True, ["validator"])
    assert [each.split(":")[0] for each in result.warnings] == [
        "not validated yet, kept for when the validator takes it",
        "comparison not recorded yet, kept for when the validator takes it",
    ]


async def test_without_a_number_of_rounds_it_stops_when_the_order_is_clear() -> None:
    async with orchestrator_stack() as stack:
        for strategy, latency in {PARALLEL: 100.0, SEQUENTIAL: 150.0, BATCHED: 200.0}.items():
            stack.pool.outcomes[strategy].extend(figures(latency + wobble) for wobble in [0, 1, -1, 0, 1, -1, 0, 1])
        events = await run(stack, request(rounds=None))
    result = events[-1].completed
    assert (result.round_count, result.rounds_reason) == (3, "after 3 the order is clear")
    assert list(result.tied) == [PARALLEL]


async def test_without_a_number_of_rounds_it_goes_on_while_the_order_is_not_clear() -> None:
    async with orchestrator_stack() as stack:
        for strategy, latencies in {PARALLEL: [100.0, 130.0] * 6, SEQUENTIAL: [125.0, 105.0] * 6}.items():
            stack.pool.outcomes[strategy].extend(map(figures, latencies))
        events = await run(stack, request(rounds=None, max_rounds=6, strategies=[PARALLEL, SEQUENTIAL]))
    result = events[-1].completed
    assert (result.round_count, result.rounds_reason) == (6, "6 are the most there may be")
    assert list(result.tied) == [PARALLEL, SEQUENTIAL]
    assert events[0].accepted.planned_run_count == 14  # 2 strategies x (1 warm-up + 6 rounds)


async def test_equal_strategies_are_a_clear_order_too() -> None:
    async with orchestrator_stack() as stack:
        events = await run(stack, request(rounds=None))  # the fake measures 100 ms of all
    result = events[-1].completed
    assert result.rounds_reason == f"after {result.round_count} the order is clear"
    assert result.round_count < 6
    assert list(result.tied) == [PARALLEL, SEQUENTIAL, BATCHED]
