"""The wire and the channel inside of a process promise the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from corun.errors import BrowserLost, PoolFull
from corun.plumbing.channel import ATTEMPTS, open_channel
from corun.plumbing.local_channel import LocalChannel
from corun.plumbing.server import MAX_MESSAGE_BYTES, Server, Service
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1.predictor_service_pb2_grpc import PredictorServiceStub, add_PredictorServiceServicer_to_server
from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceStub, add_ResourcePoolServiceServicer_to_server
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from tests.fakes.fake_predictor import FakePredictor, not_better
from tests.fakes.fake_resource_pool import FakeResourcePool
from tests.faults.service_process import free_port
from tests.until import until

PREDICTOR, POOL = "corun.v1.PredictorService", "corun.v1.ResourcePoolService"
WORKLOAD = core_pb2.Workload(models=[core_pb2.ModelConfig(model_name="fake-text", batch_size=1)])
ENVIRONMENT = predictor_pb2.ExecutionEnvironment(platform=core_pb2.PLATFORM_WASM, engine="fake", core_count=2)
METHOD = predictor_pb2.REFINEMENT_METHOD_INCREMENTAL
PREDICT = predictor_pb2.PredictRequest(workload=WORKLOAD, environment=ENVIRONMENT)


@dataclass(frozen=True)
class Connected:
    """Fakes, and stubs that call them; they are called Any for they are set at run time."""

    channel: Any
    fake_predictor: FakePredictor
    fake_pool: FakeResourcePool
    predictor: Any
    pool: Any


@pytest.fixture(params=["wire", "local"])
async def connected(request: pytest.FixtureRequest) -> AsyncIterator[Connected]:
    predictor, pool = FakePredictor(), FakeResourcePool()
    services = [
        Service(PREDICTOR, predictor, add_PredictorServiceServicer_to_server),
        Service(POOL, pool, add_ResourcePoolServiceServicer_to_server),
    ]
    async with (over_the_wire if request.param == "wire" else within_the_process)(services) as channel:
        yield Connected(channel, predictor, pool, PredictorServiceStub(channel), ResourcePoolServiceStub(channel))


@asynccontextmanager
async def over_the_wire(services: list[Service]) -> AsyncIterator[Any]:
    server = Server(host="127.0.0.1", port=0, grace_seconds=0)
    async with server.serving(services), open_channel(server.address) as channel:
        yield channel


@asynccontextmanager
async def within_the_process(services: list[Service]) -> AsyncIterator[Any]:
    channel = LocalChannel()
    for service in services:
        await channel.serve(service)
    yield channel
    await channel.close()


def plan_request() -> pool_pb2.ExecutePlanRequest:
    run = core_pb2.PlannedRun(model_name="fake-text", batch_size=1, lane=0, members=[0])
    plan = core_pb2.Plan(strategy=core_pb2.STRATEGY_SEQUENTIAL, stages=[core_pb2.Stage(runs=[run])], lane_widths=[1])
    return pool_pb2.ExecutePlanRequest(plan=plan, platform=core_pb2.PLATFORM_WASM, iterations=1)


async def test_a_call_is_answered_and_neither_side_sees_what_the_other_changes(connected: Connected) -> None:
    request = predictor_pb2.RecommendStrategyRequest(prediction=PREDICT)
    answer = await connected.predictor.RecommendStrategy(request, timeout=5)
    assert answer.strategy == core_pb2.STRATEGY_PARALLEL
    (received,) = connected.fake_predictor.recommend_requests
    assert received == request
    assert received is not request
    connected.fake_predictor.refinement = not_better()
    first = await connected.predictor.RefineModel(_refining(), timeout=5)
    first.reason = "changed"
    assert connected.fake_predictor.refinement.reason == "not better"


async def test_a_stream_of_requests_arrives_whole_and_in_order(connected: Connected) -> None:
    answer = await connected.predictor.RefineModel(_refining(), timeout=5)
    assert answer == not_better()
    (received,) = connected.fake_predictor.refine_requests
    assert [each.WhichOneof("content") for each in received] == ["options", "record", "record"]


async def test_a_stream_of_responses_arrives_whole_and_in_order(connected: Connected) -> None:
    events = [event async for event in connected.pool.ExecutePlan(plan_request(), timeout=5)]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[-1].HasField("measured")
    await until(lambda: connected.fake_pool.lease_count == 0)  # over the wire the reader may be told first


async def test_a_refusal_carries_its_reason_and_its_advice(connected: Connected) -> None:
    full = PoolFull(max_connections=4, waited_seconds=1.5, retry_after_seconds=2.5)
    connected.fake_pool.refusals.extend([full, full])
    connected.fake_predictor.recommend_error = full
    with pytest.raises(grpc.aio.AioRpcError) as of_a_call:
        await connected.predictor.RecommendStrategy(predictor_pb2.RecommendStrategyRequest(prediction=PREDICT))
    with pytest.raises(grpc.aio.AioRpcError) as of_a_stream:
        async for _ in connected.pool.ExecutePlan(plan_request()):
            pass
    for caught in (of_a_call, of_a_stream):
        error = RemoteError.from_rpc(caught.value)
        assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "POOL_FULL")
        assert (error.metadata, error.retry_after_seconds) == ({"max_connections": "4"}, 2.5)


async def test_a_request_that_breaks_its_rules_never_reaches_the_service(connected: Connected) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connected.predictor.Predict(predictor_pb2.PredictRequest(environment=ENVIRONMENT))
    error = RemoteError.from_rpc(caught.value)
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert [each.field for each in error.violations] == ["workload"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in connected.pool.ExecutePlan(pool_pb2.ExecutePlanRequest()):
            pass
    assert RemoteError.from_rpc(caught.value).code == "INVALID_ARGUMENT"
    assert connected.fake_pool.plan_requests == []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connected.predictor.RefineModel(_empty(), timeout=5)
    assert RemoteError.from_rpc(caught.value).reason == "INVALID_FIELD"
    assert connected.fake_predictor.refine_requests == []


async def test_what_is_unavailable_is_asked_again_twice_as_long_as_nothing_was_answered(connected: Connected) -> None:
    gone = BrowserLost("it is gone")
    connected.fake_pool.refusals.extend([gone, gone])
    assert [event async for event in connected.pool.ExecutePlan(plan_request(), timeout=5)][-1].HasField("measured")
    assert len(connected.fake_pool.plan_requests) == 3
    connected.fake_pool.refusals.extend([gone] * ATTEMPTS)
    setting = pool_pb2.ProfileSetting(batch_size=1, lane_width=1)
    profile = pool_pb2.ProfileModelRequest(model_name="fake-text", platform=core_pb2.PLATFORM_WASM, settings=[setting])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connected.pool.ProfileModel(profile, timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(connected.fake_pool.profile_requests) == ATTEMPTS


async def test_a_service_that_is_back_is_found_by_the_first_call_however_long_it_was_away() -> None:
    predictor = FakePredictor()
    services = [Service(PREDICTOR, predictor, add_PredictorServiceServicer_to_server)]
    request = predictor_pb2.RecommendStrategyRequest(prediction=PREDICT)
    port = free_port()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = PredictorServiceStub(channel)
        for _ in range(3):
            async with Server(host="127.0.0.1", port=port, grace_seconds=0).serving(services):
                await stub.RecommendStrategy(request, timeout=5)
            away_until = time.monotonic() + 2.0
            while time.monotonic() < away_until:  # so that the channel looks for it less and less often
                with pytest.raises(grpc.aio.AioRpcError):
                    await stub.RecommendStrategy(request, timeout=5)
    assert len(predictor.recommend_requests) == 3


async def test_a_caller_does_not_wait_for_what_a_service_does_at_the_end(connected: Connected) -> None:
    slow = SlowToEnd()
    connected.fake_predictor.learns = slow
    run = predictor_pb2.Observation(model_name="fake-text", batch_size=1, lane_width=1, run_time_ms=1.0)
    observed = predictor_pb2.ObserveRequest(environment=ENVIRONMENT, observations=[run])
    async with asyncio.timeout(5):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await connected.predictor.Observe(observed, timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await slow.ending.wait()
        assert not slow.ended.is_set()
        slow.may_end.set()
        await slow.ended.wait()


async def test_a_defect_tells_the_caller_nothing_of_the_inside(connected: Connected) -> None:
    connected.fake_predictor.recommend_error = KeyError("a secret of the server")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connected.predictor.RecommendStrategy(predictor_pb2.RecommendStrategyRequest(prediction=PREDICT))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (caught.value.details() or "")


async def test_a_deadline_ends_a_call_and_a_stream_on_both_sides(connected: Connected) -> None:
    connected.fake_predictor.learns = asyncio.Event()
    run = predictor_pb2.Observation(model_name="fake-text", batch_size=1, lane_width=1, run_time_ms=1.0)
    observed = predictor_pb2.ObserveRequest(environment=ENVIRONMENT, observations=[run])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connected.predictor.Observe(observed, timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    connected.fake_pool.behaviour = "hold"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in connected.pool.ExecutePlan(plan_request(), timeout=0.1):
            pass
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(connected.fake_pool.plan_cancelled.wait(), 5)
    await until(lambda: connected.fake_pool.lease_count == 0)


@pytest.mark.parametrize("behaviour", ["hold", "flood"])
async def test_a_stream_that_is_cancelled_ends_on_both_sides(connected: Connected, behaviour: str) -> None:
    connected.fake_pool.behaviour = behaviour
    call = connected.pool.ExecutePlan(plan_request(), timeout=30)
    assert (await anext(aiter(call))).HasField("leased")
    await asyncio.sleep(0.1)  # a flood comes to a stand: nobody reads
    assert call.cancel()
    await asyncio.wait_for(connected.fake_pool.plan_cancelled.wait(), 5)
    await until(lambda: connected.fake_pool.lease_count == 0)


async def test_a_reader_that_is_cancelled_ends_the_call_on_both_sides(connected: Connected) -> None:
    connected.fake_pool.behaviour = "hold"
    call = connected.pool.ExecutePlan(plan_request(), timeout=30)

    async def read() -> None:
        async for _ in call:
            pass

    reading = asyncio.ensure_future(read())
    await connected.fake_pool.lease_started.wait()
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.wait_for(connected.fake_pool.plan_cancelled.wait(), 5)


async def test_what_was_sent_before_a_failure_is_read_before_it(connected: Connected) -> None:
    connected.fake_pool.outcomes[core_pb2.STRATEGY_SEQUENTIAL].append(
        PoolFull(max_connections=1, waited_seconds=1.0, retry_after_seconds=1.0)
    )
    events = aiter(connected.pool.ExecutePlan(plan_request(), timeout=5))
    await asyncio.sleep(0.1)
    assert (await anext(events)).HasField("leased")
    with pytest.raises(grpc.aio.AioRpcError):
        await anext(events)


async def test_a_message_that_is_too_large_is_refused(connected: Connected) -> None:
    name = "m" * (MAX_MESSAGE_BYTES + 1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connected.pool.ListModels(pool_pb2.ListModelsRequest(names=[name]), timeout=10)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_service_that_is_not_there_is_said_to_be_unknown(connected: Connected) -> None:
    stub: Any = ValidatorServiceStub(connected.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetValidationMetrics(core_pb2.Workload(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_health_knows_the_services_and_no_others(connected: Connected) -> None:
    probe: Any = health_pb2_grpc.HealthStub(connected.channel)
    for name in ("", PREDICTOR, POOL):
        answer = await probe.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await probe.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


class SlowToEnd(asyncio.Event):
    """Is never set, and who waits for it and is cancelled goes when `may_end` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.ending, self.may_end, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(self) -> Literal[True]:
        try:
            return await super().wait()
        finally:
            self.ending.set()
            await self.may_end.wait()
            self.ended.set()


async def _empty() -> AsyncIterator[predictor_pb2.RefineModelRequest]:
    yield predictor_pb2.RefineModelRequest()


async def _refining() -> AsyncIterator[predictor_pb2.RefineModelRequest]:
    yield predictor_pb2.RefineModelRequest(
        options=predictor_pb2.RefinementOptions(environment=ENVIRONMENT, method=METHOD)
    )
    for _ in range(2):
        plan = core_pb2.Plan(stages=plan_request().plan.stages, lane_widths=[1])
        yield predictor_pb2.RefineModelRequest(record=predictor_pb2.ExecutedPlan(plan=plan, latency_ms=5.0))
