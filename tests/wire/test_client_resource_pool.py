"""The guide's `integration.resource_pool`, against a real server with a pool that follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from corun_client import AlreadyExists, InvalidArgument, MultiModelResourcePoolIntegration, NotFound, NotInitialized
from tests.fakes.client_services import serving
from tests.fakes.scripted_pool import ScriptedPool

T = TypeVar("T")


async def with_integration(
    work: Callable[[MultiModelResourcePoolIntegration], T],
    *,
    pool: ScriptedPool | None = None,
    browser_preferences: dict[str, str] | None = None,
) -> T:
    """Does blocking work with an integration at a server that hosts `pool`."""
    async with serving(pool or ScriptedPool()) as target:

        def run() -> T:
            with MultiModelResourcePoolIntegration(
                target=target, browser_preferences=browser_preferences
            ) as integration:
                return work(integration)

        return await asyncio.to_thread(run)


async def test_the_guides_block_shares_embeddings_between_two_models() -> None:
    def work(integration: MultiModelResourcePoolIntegration) -> None:
        text_model = integration.resource_pool.get_model(model_type="text", model_name="bert-base-uncased")
        vision_model = integration.resource_pool.get_model(model_type="vision", model_name="vit-base-patch16-224")
        text_result = text_model("some text")
        embeddings = text_result["embeddings"]
        np.testing.assert_allclose(embeddings, [[0.6, 0.8]], rtol=1e-6)
        sharing_result = integration.resource_pool.share_tensor_between_models(
            tensor_data=embeddings,
            tensor_name="text_embeddings",
            producer_model=text_model,
            consumer_models=[vision_model],
            storage_type="webgpu",
            dtype="float32",
        )
        assert sharing_result["success"]
        assert (sharing_result["shape"], sharing_result["dtype"], sharing_result["size_bytes"]) == (
            [1, 2],
            "float32",
            8,
        )
        assert (sharing_result["boundary_bytes"], sharing_result["zero_copy"]) == (8, False)
        assert (sharing_result["producer"], sharing_result["consumers"]) == (
            "bert-base-uncased",
            ["vit-base-patch16-224"],
        )
        assert sharing_result["storage_type"] == "webgpu"

    await with_integration(work)


async def test_a_consumer_runs_where_the_tensor_lies_although_it_was_got_for_another_platform() -> None:
    pool = ScriptedPool()

    def work(integration: MultiModelResourcePoolIntegration) -> None:
        models = integration.resource_pool
        producer = models.get_model("text", "bert-base-uncased", platform="wasm")
        consumer = models.get_model("vision", "vit-base-patch16-224", hardware_platform="cpu")
        values = np.ones((1, 2), dtype=np.float32)
        models.share_tensor_between_models(values, "x", producer_model=producer, storage_type="webgpu")
        result = consumer({"other": values}, shared={"pixel_values": "x"})
        assert (result["platform"], result["zero_copy"]) == ("webgpu", True)
        np.testing.assert_array_equal(result["outputs"]["pixel_values"], values)
        assert consumer.platform == "wasm"

    await with_integration(work, pool=pool)


async def test_a_kept_output_is_shared_without_leaving_its_lane() -> None:
    def work(integration: MultiModelResourcePoolIntegration) -> None:
        models = integration.resource_pool
        model = models.get_model("text", "bert-base-uncased", platform="webgpu")
        hidden = np.ones((1, 4), dtype=np.float32)
        result = model({"hidden": hidden}, keep={"hidden": "h"})
        assert [each["name"] for each in result["kept"]] == ["h"]
        assert "hidden" not in result["outputs"]
        with pytest.raises(AlreadyExists, match=r"already shared as 'h'; release it with .*release_tensor\('h'\)"):
            model({"hidden": hidden}, keep={"hidden": "h"})

    await with_integration(work)


async def test_a_name_is_taken_until_it_is_released_and_the_error_says_how() -> None:
    def work(integration: MultiModelResourcePoolIntegration) -> None:
        models = integration.resource_pool
        model = models.get_model("text", "bert-base-uncased")
        values = np.zeros(2, dtype=np.float32)
        models.share_tensor_between_models(values, "x", producer_model=model)
        with pytest.raises(AlreadyExists, match=r"resource_pool\.release_tensor\('x'\)") as caught:
            models.share_tensor_between_models(values, "x", producer_model=model)
        assert caught.value.reason == "TENSOR_EXISTS"
        assert models.release_tensor("x") == {"released_count": 1, "released_bytes": 8}
        models.share_tensor_between_models(values, "x", producer_model=model)
        assert [each["name"] for each in models.list_tensors()["tensors"]] == ["x"]

    await with_integration(work)


async def test_closing_frees_what_was_shared_and_nothing_else() -> None:
    pool = ScriptedPool()

    def work(integration: MultiModelResourcePoolIntegration) -> None:
        model = integration.resource_pool.get_model("text", "bert-base-uncased")
        values = np.zeros(2, dtype=np.float32)
        integration.resource_pool.share_tensor_between_models(values, "mine", producer_model=model)
        integration._connected().share_tensor("theirs", values, producer_model="m", owner="somebody")

    await with_integration(work, pool=pool)
    assert list(pool.tensors.entries) == ["theirs"]


async def test_preferences_by_type_and_the_models_own_engine_reach_the_pool() -> None:
    pool = ScriptedPool()

    def work(integration: MultiModelResourcePoolIntegration) -> None:
        models = integration.resource_pool
        models.get_model("text", "bert-base-uncased", platform="wasm")("a")
        models.get_model("vision", "vit-base-patch16-224", platform="wasm")(b"png")
        models.get_model("vision", "vit-base-patch16-224", platform="wasm", engine="chromium")(b"png")

    await with_integration(work, pool=pool, browser_preferences={"vision": "firefox"})
    assert [each.engine for each in pool.requests if hasattr(each, "items") and each.items] == [
        "",
        "firefox",
        "chromium",
    ]


async def test_a_software_adapter_is_not_the_default_platform() -> None:
    def work(integration: MultiModelResourcePoolIntegration) -> str:
        return integration.resource_pool.get_model("text", "bert-base-uncased").platform

    assert await with_integration(work) == "wasm"


async def test_what_is_wrong_is_named() -> None:
    def work(integration: MultiModelResourcePoolIntegration) -> None:
        models = integration.resource_pool
        with pytest.raises(InvalidArgument, match=r"^model_type: 'smell' is not known; allowed: text"):
            models.get_model("smell", "bert-base-uncased")
        with pytest.raises(InvalidArgument, match=r"^model_type: 'bert-base-uncased' is of type 'text_embedding'"):
            models.get_model("vision", "bert-base-uncased")
        with pytest.raises(InvalidArgument, match=r"^model_name: expected the name of a model; received None"):
            models.get_model("vision")
        with pytest.raises(InvalidArgument, match=r"^hardware_platform: 'gpu'"):
            models.get_model("text", "bert-base-uncased", hardware_platform="gpu")
        with pytest.raises(InvalidArgument, match=r"^platform: 'wasm' contradicts hardware_platform='webgpu'"):
            models.get_model("text", "bert-base-uncased", platform="wasm", hardware_platform="webgpu")
        with pytest.raises(NotFound, match=r"no-such-model.*available: bert-base-uncased"):
            models.get_model("text", "no-such-model")
        model = models.get_model("text", "bert-base-uncased")
        with pytest.raises(InvalidArgument, match=r"^inputs: .*takes a str"):
            model(3)
        values = np.zeros(2, dtype=np.float32)
        with pytest.raises(InvalidArgument, match=r"^producer_model: expected a model of get_model\(\); received 'm'"):
            models.share_tensor_between_models(values, "x", producer_model="m")  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match=r"^consumer_models: expected a list of models"):
            models.share_tensor_between_models(values, "x", producer_model=model, consumer_models=model)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match=r"^storage_type: 'disk'.*allowed: webgpu, webnn, cpu"):
            models.share_tensor_between_models(values, "x", producer_model=model, storage_type="disk")
        with pytest.raises(InvalidArgument, match=r"^tensor_name: "):
            models.share_tensor_between_models(values, "", producer_model=model)

    await with_integration(work)


async def test_before_and_after_its_life_the_pool_is_not_there() -> None:
    integration = MultiModelResourcePoolIntegration()
    with pytest.raises(NotInitialized, match=r"initialize\(\)"):
        _ = integration.resource_pool

    def work(running: MultiModelResourcePoolIntegration) -> MultiModelResourcePoolIntegration:
        return running

    ended = await with_integration(work)
    with pytest.raises(NotInitialized):
        _ = ended.resource_pool
