"""Hostile models and hostile names over the wire: every call says what is wrong with which field."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from corun.plumbing.status import RemoteError
from corun.resource_pool.config import Settings
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from tests.browser.running import serve_pool
from tests.faults.hostile_graphs import BOMBS, grown_in_a_branch, hidden_in
from tests.unit.resource_pool.model_folders import write_graph, write_tiny_bert

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

WASM = core_pb2.PLATFORM_WASM


def infer(name: str) -> messages.InferRequest:
    tensor = core_pb2.Tensor(name="x", data_type=core_pb2.DATA_TYPE_FLOAT32, shape=[1, 4], content=bytes(16))
    return messages.InferRequest(model_name=name, platform=WASM, engine="chromium", tensors=[tensor])


def profile(name: str) -> messages.ProfileModelRequest:
    setting = messages.ProfileSetting(batch_size=1, lane_width=1)
    return messages.ProfileModelRequest(model_name=name, platform=WASM, settings=[setting])


def plan(name: str) -> messages.ExecutePlanRequest:
    run = core_pb2.PlannedRun(model_name=name, batch_size=1, lane=0, members=[0])
    stages = [core_pb2.Stage(runs=[run])]
    return messages.ExecutePlanRequest(
        plan=core_pb2.Plan(strategy=core_pb2.STRATEGY_SEQUENTIAL, stages=stages, lane_widths=[1]), platform=WASM
    )


REQUESTS: dict[str, tuple[Callable[[str], Any], str]] = {
    "ListModels": (lambda name: messages.ListModelsRequest(names=["good", name]), "names[1]"),
    "LoadModel": (lambda name: messages.LoadModelRequest(model_name=name, platform=WASM), "model_name"),
    "Infer": (infer, "model_name"),
    "ProfileModel": (profile, "model_name"),
    "ExecutePlan": (plan, "plan.stages[0].runs[0].model_name"),
}


@pytest.fixture(scope="module")
async def pool(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ResourcePoolServiceAsyncStub]:
    """A pool of which only the last test needs a browser: the others are refused before one starts."""
    place = tmp_path_factory.mktemp("hostile")
    write_tiny_bert(place / "mine" / "good")
    write_graph(place / "mine" / "elsewhere", hidden_in("a function", "/etc/passwd"))
    write_graph(place / "mine" / "bomb", BOMBS["Tile"]())
    write_graph(place / "mine" / "terabytes-in-a-branch", grown_in_a_branch(2**20, 2**20))
    write_graph(place / "mine" / "honest-branch", grown_in_a_branch(2, 3))
    (place / "mine" / "device").mkdir()
    (place / "mine" / "device" / "model.onnx").symlink_to("/dev/zero")
    (place / "outside").mkdir()
    write_tiny_bert(place / "outside")
    async with serve_pool(Settings(models_folder=place / "mine", cache_folder=place / "cache")) as stub:
        yield stub


async def refusal(pool: ResourcePoolServiceAsyncStub, method: str, name: str) -> RemoteError:
    call = getattr(pool, method)(REQUESTS[method][0](name), timeout=60)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await (anext(aiter(call)) if method == "ExecutePlan" else call)
    return RemoteError.from_rpc(raised.value)


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize(
    ("name", "problem"),
    [("elsewhere", "in another file"), ("bomb", "a browser's memory ends"), ("device", "not a regular file")],
)
async def test_a_hostile_model_is_an_invalid_argument_of_every_call(
    pool: ResourcePoolServiceAsyncStub, method: str, name: str, problem: str
) -> None:
    error = await refusal(pool, method, name)
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "MODEL_REFUSED")
    assert [each.field for each in error.violations] == [REQUESTS[method][1]]
    assert error.metadata["model_name"] == name
    assert problem in error.metadata["problem"]


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize(
    "name", ["../outside", "good/../../outside", "/etc/passwd", "..", "good\n", "\x1b[2J", "a" * 200]
)
async def test_a_name_that_is_a_path_is_no_model_of_any_call(
    pool: ResourcePoolServiceAsyncStub, method: str, name: str
) -> None:
    error = await refusal(pool, method, name)
    assert (error.code, error.reason) == ("NOT_FOUND", "UNKNOWN_MODEL")
    assert [each.field for each in error.violations] == [REQUESTS[method][1]]


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize("name", ["", "a" * 1_000_000])
async def test_a_name_of_no_or_of_a_million_letters_is_refused_by_rule(
    pool: ResourcePoolServiceAsyncStub, method: str, name: str
) -> None:
    error = await refusal(pool, method, name)
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert REQUESTS[method][1] in [each.field for each in error.violations]


async def test_hostile_models_are_listed_for_what_they_are_beside_the_good_one(
    pool: ResourcePoolServiceAsyncStub,
) -> None:
    listed = {model.name: model for model in (await pool.ListModels(messages.ListModelsRequest())).models}
    assert listed["good"].prepared
    for name in ("elsewhere", "bomb", "device"):
        assert not listed[name].prepared
        assert "refused" in listed[name].source


async def test_what_only_a_run_can_find_ends_in_the_browsers_memory_and_harms_nobody(
    pool: ResourcePoolServiceAsyncStub,
) -> None:
    for _ in range(2):
        error = await refusal(pool, "Infer", "terabytes-in-a-branch")
        assert (error.code, error.reason) == ("FAILED_PRECONDITION", "INFERENCE_FAILED")
        response = await pool.Infer(infer("honest-branch"))
        assert response.outputs[0].content == np.full((1, 4), 6, np.float32).tobytes()
    assert (await pool.GetPoolStatus(messages.GetPoolStatusRequest())).lost_count == 0
