from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from corun.plumbing.channel import open_channel
from corun.plumbing.server import Server
from corun.plumbing.status import RemoteError
from corun.predictor.build import build
from corun.predictor.config import Settings
from corun.v1 import core_pb2, predictor_service_pb2
from corun.v1.predictor_service_pb2_grpc import PredictorServiceStub

if TYPE_CHECKING:
    from corun.v1.predictor_service_pb2_grpc import PredictorServiceAsyncStub

WASM = predictor_service_pb2.ExecutionEnvironment(platform=core_pb2.PLATFORM_WASM, engine="chromium", core_count=2)
SECONDS = 10


@asynccontextmanager
async def predictor(folder: Path) -> AsyncIterator[PredictorServiceAsyncStub]:
    settings = Settings(port=0, state_folder=folder, grace_seconds=0)
    server = Server(host=settings.host, port=settings.port, grace_seconds=settings.grace_seconds)
    async with build(settings) as service, server.serving([service]), open_channel(server.address) as channel:
        yield PredictorServiceStub(channel)


def request(*names: str, features: bool = False) -> predictor_service_pb2.PredictRequest:
    graph = core_pb2.GraphFeatures(
        flops_per_item=22e9, weight_bytes=435_000_000, activation_bytes_per_item=120e6, operator_count=600
    )
    return predictor_service_pb2.PredictRequest(
        workload=core_pb2.Workload(models=[core_pb2.ModelConfig(model_name=name, batch_size=1) for name in names]),
        environment=WASM,
        features=[predictor_service_pb2.ModelFeatures(model_name=name, graph=graph) for name in names if features],
    )


def observed(name: str, *times_ms: float, width: int = 2) -> predictor_service_pb2.ObserveRequest:
    return predictor_service_pb2.ObserveRequest(
        environment=WASM,
        observations=[
            predictor_service_pb2.Observation(model_name=name, batch_size=1, lane_width=width, run_time_ms=time_ms)
            for time_ms in times_ms
        ],
    )


async def refused(call: Awaitable[object]) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return RemoteError.from_rpc(caught.value)


async def test_predict_gives_every_strategy_with_plan_intervals_terms_and_version(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        response = await stub.Predict(request("a", "b", features=True), timeout=SECONDS)
    assert [core_pb2.Strategy.Name(each.strategy) for each in response.predictions] == [
        "STRATEGY_PARALLEL",
        "STRATEGY_SEQUENTIAL",
        "STRATEGY_BATCHED",
    ]
    assert response.predictor_version == "1.1"
    for each in response.predictions:
        assert each.plan.strategy == each.strategy
        assert each.latency_ms.low < each.latency_ms.value < each.latency_ms.high
        assert each.memory_mb.value > 2 * 435
        assert {solo.basis for solo in each.terms.solo_times} == {predictor_service_pb2.SOLO_BASIS_GRAPH}
    suggested = {(each.model_name, each.lane_width) for each in response.suggested_profiles}
    assert suggested == {("a", 1), ("a", 2), ("b", 1), ("b", 2)}


async def test_features_are_remembered_and_sending_them_again_changes_nothing(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        first = await stub.Predict(request("a", features=True), timeout=SECONDS)
        assert await stub.Predict(request("a", features=True), timeout=SECONDS) == first
    async with predictor(tmp_path) as stub:
        assert await stub.Predict(request("a"), timeout=SECONDS) == first


async def test_a_model_without_features_and_observations_is_never_observed(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        error = await refused(stub.Predict(request("ghost"), timeout=SECONDS))
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "MODEL_NEVER_OBSERVED")
    assert error.metadata == {"model_name": "ghost"}


async def test_observing_changes_the_prediction_and_the_version(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        before = await stub.Predict(request("a", features=True), timeout=SECONDS)
        answer = await stub.Observe(observed("a", 479, 480, 481), timeout=SECONDS)
        after = await stub.Predict(request("a"), timeout=SECONDS)
    assert answer.learned_count == 3
    assert answer.predictor_version == after.predictor_version != before.predictor_version
    figure = after.predictions[0].latency_ms
    assert figure.value == pytest.approx(481, rel=1e-4)  # the middle and 1 ms of dispatch
    assert figure.high / figure.low < 1.5
    assert not after.suggested_profiles


async def test_recommend_names_the_best_with_figures(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        for name, time_ms in (("long", 1500.0), ("short", 100.0)):
            await stub.Observe(observed(name, *[time_ms] * 3, width=1), timeout=SECONDS)
            await stub.Observe(observed(name, *[time_ms * 0.575] * 3, width=2), timeout=SECONDS)
        response = await stub.RecommendStrategy(
            predictor_service_pb2.RecommendStrategyRequest(prediction=request("long", "short")), timeout=SECONDS
        )
    assert response.strategy == core_pb2.STRATEGY_SEQUENTIAL
    assert list(response.tied) == [core_pb2.STRATEGY_SEQUENTIAL]
    assert response.reason.startswith("sequential: 922 ms expected against ")
    assert len(response.prediction.predictions) == 3


async def test_a_configuration_bounds_the_choice_and_its_batching_size_the_plans(tmp_path: Path) -> None:
    message = predictor_service_pb2.RecommendStrategyRequest(
        prediction=request("a", "b", "c", features=True),
        configuration=predictor_service_pb2.StrategyConfiguration(sequential_threshold=2, batching_size=3),
    )
    async with predictor(tmp_path) as stub:
        response = await stub.RecommendStrategy(message, timeout=SECONDS)
    assert response.strategy == core_pb2.STRATEGY_SEQUENTIAL
    assert "sequential threshold of 2" in response.reason
    assert [len(stage.runs) for stage in response.prediction.predictions[2].plan.stages] == [3]


async def test_a_restart_keeps_observations_and_version(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        await stub.Observe(observed("a", 50, 51, 52), timeout=SECONDS)
        before = await stub.Predict(request("a"), timeout=SECONDS)
    async with predictor(tmp_path) as stub:
        assert await stub.Predict(request("a"), timeout=SECONDS) == before
        answer = await stub.Observe(observed("a", 50), timeout=SECONDS)
    assert (before.predictor_version, answer.predictor_version) == ("1.1", "1.2")


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0, 0.0])
async def test_a_figure_that_is_no_time_is_refused_by_name_and_nothing_is_learnt(tmp_path: Path, wrong: float) -> None:
    async with predictor(tmp_path) as stub:
        error = await refused(stub.Observe(observed("a", 50, wrong), timeout=SECONDS))
        assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
        assert {each.field for each in error.violations} == {"observations[1].run_time_ms"}
        assert (await refused(stub.Predict(request("a"), timeout=SECONDS))).reason == "MODEL_NEVER_OBSERVED"


async def test_an_unknown_platform_is_refused(tmp_path: Path) -> None:
    message = request("a", features=True)
    message.environment.platform = core_pb2.Platform.ValueType(9)
    async with predictor(tmp_path) as stub:
        error = await refused(stub.Predict(message, timeout=SECONDS))
    assert [each.field for each in error.violations] == ["environment.platform"]


async def test_observations_that_arrive_together_are_all_kept(tmp_path: Path) -> None:
    async with predictor(tmp_path) as stub:
        names = [f"m{number}" for number in range(20)]
        answers = await asyncio.gather(*(stub.Observe(observed(name, 10), timeout=SECONDS) for name in names))
    assert "1.20" in {answer.predictor_version for answer in answers}
    async with predictor(tmp_path) as stub:
        response = await stub.Predict(request(*names), timeout=SECONDS)
    assert {solo.observation_count for solo in response.predictions[1].terms.solo_times} == {1}
