from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from corun.v1 import core_pb2, predictor_service_pb2
from tests.wire.test_predictor_service import SECONDS, WASM, observed, predictor, refused, request

if TYPE_CHECKING:
    from corun.v1.predictor_service_pb2_grpc import PredictorServiceAsyncStub

WINDOW = predictor_service_pb2.REFINEMENT_METHOD_WINDOW
SOLO_MS = {"a": 100.0, "b": 400.0}
METHODS = [
    predictor_service_pb2.REFINEMENT_METHOD_INCREMENTAL,
    WINDOW,
    predictor_service_pb2.REFINEMENT_METHOD_WEIGHTED,
]


def options(
    *, method: predictor_service_pb2.RefinementMethod.ValueType = WINDOW, request_id: str = ""
) -> predictor_service_pb2.RefineModelRequest:
    return predictor_service_pb2.RefineModelRequest(
        options=predictor_service_pb2.RefinementOptions(environment=WASM, method=method, request_id=request_id)
    )


def records(count: int, *, factor: float, shuffled: bool = False) -> list[predictor_service_pb2.RefineModelRequest]:
    """One model or both in turn, each `factor` times slower than observed alone, with 3 % noise."""
    source = random.Random(1)
    names = [source.choice((["a"], ["b"], ["a", "b"])) for _ in range(count)]
    times = [factor * sum(SOLO_MS[name] for name in each) * math.exp(source.gauss(0, 0.03)) for each in names]
    if shuffled:
        source.shuffle(times)
    found = []
    for number, (each, time_ms) in enumerate(zip(names, times, strict=True)):
        stages = [
            core_pb2.Stage(runs=[core_pb2.PlannedRun(model_name=name, batch_size=1, lane=0, members=[index])])
            for index, name in enumerate(each)
        ]
        record = predictor_service_pb2.ExecutedPlan(
            plan=core_pb2.Plan(stages=stages, lane_widths=[2]), latency_ms=time_ms
        )
        record.end_time.seconds = 1_700_000_000 + number
        found.append(predictor_service_pb2.RefineModelRequest(record=record))
    return found


async def taught(stub: PredictorServiceAsyncStub) -> None:
    for name, time_ms in SOLO_MS.items():
        for width in (1, 2):
            await stub.Observe(observed(name, *[time_ms] * 12, width=width), timeout=SECONDS)


async def refine(
    stub: PredictorServiceAsyncStub,
    sent: Iterable[predictor_service_pb2.RefineModelRequest],
    first: predictor_service_pb2.RefineModelRequest | None = None,
) -> predictor_service_pb2.RefineModelResponse:
    async def stream() -> AsyncIterator[predictor_service_pb2.RefineModelRequest]:
        yield first or options()
        for each in sent:
            yield each

    response = await stub.RefineModel(stream(), timeout=60)
    assert isinstance(response, predictor_service_pb2.RefineModelResponse)
    return response


async def sequential_ms(stub: PredictorServiceAsyncStub) -> float:
    return (await stub.Predict(request("a", "b"), timeout=SECONDS)).predictions[1].latency_ms.value


@pytest.mark.parametrize("method", METHODS)
async def test_a_better_version_serves_is_listed_and_survives_a_restart(
    tmp_path: Path, method: predictor_service_pb2.RefinementMethod.ValueType
) -> None:
    async with predictor(tmp_path) as stub:
        await taught(stub)
        before = await stub.Predict(request("a", "b"), timeout=SECONDS)
        answer = await refine(stub, records(60, factor=1.3), options(method=method, request_id="r"))
        after = await stub.Predict(request("a", "b"), timeout=SECONDS)
    assert answer.accepted, answer.reason
    assert (answer.record_count, answer.held_out_count, answer.unusable_count) == (60, 15, 0)
    assert answer.error_after < 0.06
    assert answer.error_before > 0.2
    assert (answer.serving.number, answer.serving.parent_number, answer.serving.method) == (1, 0, method)
    assert answer.predictor_version == after.predictor_version == before.predictor_version + "-r1"
    assert after.predictions[1].latency_ms.value == pytest.approx(650, rel=0.05)
    assert after.predictions[1].terms.correction_factor == pytest.approx(1.3, rel=0.05)
    async with predictor(tmp_path) as stub:
        assert await stub.Predict(request("a", "b"), timeout=SECONDS) == after
        listed = await stub.ListModelVersions(predictor_service_pb2.ListModelVersionsRequest(), timeout=SECONDS)
    assert [(each.number, each.serving, each.request_id) for each in listed.versions] == [
        (1, True, "r"),
        (0, False, ""),
    ]
    assert listed.versions[0] == answer.serving


async def test_rolling_back_predicts_as_before_also_after_a_restart(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        await taught(stub)
        before = await stub.Predict(request("a", "b"), timeout=SECONDS)
        await refine(stub, records(60, factor=1.3))
        answer = await stub.RollBackModel(predictor_service_pb2.RollBackModelRequest(version_number=0), timeout=SECONDS)
        assert (answer.serving.number, answer.serving.serving) == (0, True)
        assert await stub.Predict(request("a", "b"), timeout=SECONDS) == before
    async with predictor(tmp_path) as stub:
        assert await stub.Predict(request("a", "b"), timeout=SECONDS) == before
        await stub.RollBackModel(predictor_service_pb2.RollBackModelRequest(version_number=1), timeout=SECONDS)
        assert await sequential_ms(stub) == pytest.approx(650, rel=0.05)
        missing = predictor_service_pb2.RollBackModelRequest(version_number=7)
        error = await refused(stub.RollBackModel(missing, timeout=SECONDS))
    assert (error.code, error.reason) == ("NOT_FOUND", "MODEL_VERSION_NOT_FOUND")
    assert error.metadata == {"version_number": "7", "available": "0, 1"}


@pytest.mark.parametrize(
    ("poisoned", "reason"),
    [
        (records(60, factor=10), "times"),
        (records(60, factor=1.3, shuffled=True), "rank correlation"),
        (records(60, factor=1.0), "not better"),
        (records(5, factor=1.3), "at least 12"),
        ([], "at least 12"),
    ],
    ids=["ten times too large", "shuffled", "nothing to gain", "too few", "none"],
)
async def test_what_cannot_help_is_refused_with_the_reason_and_the_old_version_serves(
    tmp_path: Path, poisoned: list[predictor_service_pb2.RefineModelRequest], reason: str
) -> None:
    async with predictor(tmp_path) as stub:
        await taught(stub)
        before = await stub.Predict(request("a", "b"), timeout=SECONDS)
        answer = await refine(stub, poisoned)
        assert await stub.Predict(request("a", "b"), timeout=SECONDS) == before
    assert not answer.accepted
    assert reason in answer.reason
    assert answer.serving.number == 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.0, -3.0])
async def test_a_latency_that_is_no_time_ends_the_refinement(tmp_path: Path, wrong: float) -> None:
    sent = records(60, factor=1.3)
    sent[40].record.latency_ms = wrong
    async with predictor(tmp_path) as stub:
        await taught(stub)
        error = await refused(refine(stub, sent))
        assert await sequential_ms(stub) == pytest.approx(502)
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert {each.field for each in error.violations} == {"record.latency_ms"}


async def test_options_come_first_and_once(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        for stream in (
            [records(1, factor=1)[0]],
            [options(), options()],
            [options(), *records(1, factor=1), options()],
        ):
            error = await refused(refine(stub, stream[1:], stream[0]))
            assert (error.code, error.violations[0].field) == ("INVALID_ARGUMENT", "options")


async def test_a_request_id_that_is_known_is_not_refined_again(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        await taught(stub)
        first = await refine(stub, records(60, factor=1.3), options(request_id="same"))
        assert await refine(stub, records(60, factor=1.1), options(request_id="same")) == first


async def test_predictions_go_on_while_a_refinement_is_fitted(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        await taught(stub)
        refining = asyncio.create_task(refine(stub, records(2000, factor=1.3)))
        answered = 0
        while not refining.done():
            await stub.Predict(request("a", "b"), timeout=SECONDS)
            answered += 1
        assert (await refining).accepted
    assert answered > 5
