from __future__ import annotations

import math
from pathlib import Path

import pytest

from corun.v1 import core_pb2, predictor_service_pb2
from tests.wire.test_predictor_service import SECONDS, WASM, observed, predictor, refused, request


def executed(latency_ms: float, *run_times_ms: float) -> predictor_service_pb2.ExecutedPlan:
    """Models a and b at the same time."""
    runs = [
        predictor_service_pb2.ExecutedRun(
            model_name=name, batch_size=1, lane_width=1, concurrency=2, stage=0, run_time_ms=time_ms
        )
        for name, time_ms in zip("ab", run_times_ms, strict=True)
    ]
    planned = [
        core_pb2.PlannedRun(model_name=name, batch_size=1, lane=lane, members=[lane]) for lane, name in enumerate("ab")
    ]
    plan = core_pb2.Plan(stages=[core_pb2.Stage(runs=planned)], lane_widths=[1, 1])
    return predictor_service_pb2.ExecutedPlan(plan=plan, latency_ms=latency_ms, memory_mb=400, runs=runs)


async def test_executions_correct_the_next_prediction_and_survive_a_restart(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        for name in "ab":
            await stub.Observe(observed(name, *[100.0] * 12, width=1), timeout=SECONDS)
        for _ in range(20):
            answer = await stub.Observe(
                predictor_service_pb2.ObserveRequest(environment=WASM, executions=[executed(150, 145, 148)]),
                timeout=SECONDS,
            )
        after = await stub.Predict(request("a", "b"), timeout=SECONDS)
    assert (answer.learned_count, answer.learned_execution_count, answer.ignored_count) == (0, 1, 0)
    parallel = after.predictions[0]
    terms = parallel.terms
    assert parallel.latency_ms.value == pytest.approx(150, rel=0.05)
    assert parallel.latency_ms.value == pytest.approx(
        terms.correction_factor * (terms.solo_ms + terms.contention_ms + terms.other_programs_ms + terms.dispatch_ms)
    )
    assert parallel.terms.contention_ms > 30  # 7 ms by the contention that is assumed at first
    assert parallel.memory_mb.value == pytest.approx(400, rel=0.05)
    async with predictor(tmp_path) as stub:
        assert await stub.Predict(request("a", "b"), timeout=SECONDS) == after


async def test_what_cannot_be_is_counted_with_the_reason_and_not_learnt(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        for name in "ab":
            await stub.Observe(observed(name, *[100.0] * 12, width=1), timeout=SECONDS)
        before = await stub.Predict(request("a", "b"), timeout=SECONDS)
        message = observed("a", 2000.0, width=1)
        message.executions.extend([executed(1500, 1450, 1480), executed(100, 145, 148)])
        answer = await stub.Observe(message, timeout=SECONDS)
        assert await stub.Predict(request("a", "b"), timeout=SECONDS) == before
    assert (answer.learned_count, answer.learned_execution_count, answer.ignored_count) == (0, 0, 3)
    assert [reason.split(":")[0] for reason in answer.ignored_reasons] == [
        "observations[0]",
        "executions[0]",
        "executions[1]",
    ]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0, 0.0])
async def test_a_latency_that_is_no_time_is_refused_by_name(tmp_path: Path, wrong: float) -> None:
    message = predictor_service_pb2.ObserveRequest(environment=WASM, executions=[executed(wrong, 10, 10)])
    async with predictor(tmp_path) as stub:
        error = await refused(stub.Observe(message, timeout=SECONDS))
    assert {each.field for each in error.violations} == {"executions[0].latency_ms"}


async def test_a_plan_with_a_lane_of_no_width_and_a_request_without_records_are_refused(tmp_path: Path) -> None:
    plan = executed(100, 10, 10)
    del plan.plan.lane_widths[1:]
    async with predictor(tmp_path) as stub:
        message = predictor_service_pb2.ObserveRequest(environment=WASM, executions=[plan])
        assert "lane_widths" in (await refused(stub.Observe(message, timeout=SECONDS))).message
        empty = predictor_service_pb2.ObserveRequest(environment=WASM)
        assert "nothing to learn" in (await refused(stub.Observe(empty, timeout=SECONDS))).message
