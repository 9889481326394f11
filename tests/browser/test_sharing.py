"""Tensors that stay in the browser from one model to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import numpy as np
import numpy.typing as npt
import pytest

from corun.plumbing.status import RemoteError
from corun.resource_pool.conversion import from_array
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

TEXT, HEAD = "paraphrase-minilm-l3-v2", "cosine-similarity"
EMBEDDING = "461"  # the output of TEXT that holds one embedding an item
WIDTH = 384

ENGINES = [("chromium", "wasm", "cpu"), ("chromium-shell", "webnn", "webnn"), ("firefox", "webgpu", "webgpu")]
ON_THE_DEVICE = {"webgpu", "webnn"}

_SUBJECTS = ["cat", "dog", "car", "boat", "doctor", "teacher", "computer", "piano", "garden", "river"]
_STORIES = [
    "The {} is old and needs care.",
    "Nobody has seen the {} since Monday.",
    "A photograph of a {} hangs on the wall.",
    "They sold the {} for very little money.",
    "Children like to be near the {}.",
    "The {} was mentioned in the newspaper.",
    "We lost sight of the {} in the fog.",
    "My uncle never talks about the {}.",
    "The {} is behind the house.",
    "It took years until the {} was paid for.",
]
SENTENCES = [story.format(subject) for story in _STORIES for subject in _SUBJECTS]


def platform_of(name: str) -> core_pb2.Platform.ValueType:
    return core_pb2.Platform.Value(f"PLATFORM_{name.upper()}")


def output(response: messages.InferResponse, name: str) -> npt.NDArray[np.float32]:
    (tensor,) = [tensor for tensor in response.outputs if tensor.name == name]
    assert tensor.data_type == core_pb2.DATA_TYPE_FLOAT32
    return np.frombuffer(tensor.content, np.float32).reshape(tuple(tensor.shape))


async def embed(
    pool: ResourcePoolServiceAsyncStub, texts: list[str], engine: str, platform: str, *, keep_as: str = ""
) -> messages.InferResponse:
    request = messages.InferRequest(model_name=TEXT, platform=platform_of(platform), engine=engine, owner="test")
    request.items.extend(messages.InferItem(text=text) for text in texts)
    if keep_as:
        request.kept_outputs.add(output_name=EMBEDDING, tensor_name=keep_as)
    return await pool.Infer(request)


async def release_all(pool: ResourcePoolServiceAsyncStub) -> None:
    await pool.ReleaseTensor(messages.ReleaseTensorRequest(owner="test"))
    assert (await pool.ListTensors(messages.ListTensorsRequest())).tensors == []


@pytest.mark.parametrize(("engine", "platform", "storage"), ENGINES, ids=lambda each: each)
async def test_a_search_over_a_hundred_sentences_finds_the_right_one_without_its_embedding_leaving_the_lane(
    pool: ResourcePoolServiceAsyncStub, engine: str, platform: str, storage: str
) -> None:
    stored = await embed(pool, SENTENCES, engine, platform)
    matrix = output(stored, EMBEDDING)
    shared = await pool.ShareTensor(
        messages.ShareTensorRequest(
            tensor=from_array("matrix", matrix),
            producer_model=TEXT,
            consumer_models=[HEAD],
            storage_type=storage,
            owner="test",
            engine=engine,
        )
    )
    assert shared.tensor.storage_type == storage
    assert shared.boundary_bytes == matrix.nbytes == 100 * WIDTH * 4
    try:
        for question, answer in (
            ("In the fog the boat could not be seen any longer.", "We lost sight of the boat in the fog."),
            ("There is a picture of a dog on the wall.", "A photograph of a dog hangs on the wall."),
        ):
            produced = await embed(pool, [question], engine, platform, keep_as=question)
            assert [tensor.name for tensor in produced.kept] == [question]
            assert EMBEDDING not in [tensor.name for tensor in produced.outputs]
            found = await pool.Infer(
                messages.InferRequest(
                    model_name=HEAD,
                    platform=platform_of(platform),
                    shared_inputs=[
                        messages.SharedInput(input_name="query", tensor_name=question),
                        messages.SharedInput(input_name="matrix", tensor_name="matrix"),
                    ],
                )
            )
            scores = output(found, "scores")
            assert SENTENCES[int(scores[0].argmax())] == answer
            assert found.zero_copy == (storage in ON_THE_DEVICE)
            assert found.boundary_bytes == scores.nbytes  # nothing of what is shared
            through_the_host = await embed(pool, [question], engine, platform)
            query = output(through_the_host, EMBEDDING)
            expected = query @ matrix.T / np.linalg.norm(query) / np.linalg.norm(matrix, axis=1)
            np.testing.assert_allclose(scores, expected, atol=1e-3)
    finally:
        await release_all(pool)


async def test_a_tensor_goes_through_the_host_once_where_its_consumer_is_on_another_platform(
    pool: ResourcePoolServiceAsyncStub,
) -> None:
    produced = await embed(pool, SENTENCES[:3], "chromium", "wasm", keep_as="queries")
    try:
        matrix = np.eye(2, WIDTH, dtype=np.float32)
        found = await pool.Infer(
            messages.InferRequest(
                model_name=HEAD,
                platform=core_pb2.PLATFORM_WEBNN,
                tensors=[from_array("matrix", matrix)],
                shared_inputs=[messages.SharedInput(input_name="query", tensor_name="queries")],
            )
        )
        moved = produced.kept[0].size_bytes
        assert found.engine == "chromium-shell"
        assert not found.zero_copy
        scores = output(found, "scores")
        # Out of its lane, into the other one, with the matrix, and the scores back.
        assert found.boundary_bytes == 2 * moved + matrix.nbytes + scores.nbytes
    finally:
        await release_all(pool)


async def test_a_shared_tensor_that_does_not_fit_an_input_is_refused_before_anything_moves(
    pool: ResourcePoolServiceAsyncStub,
) -> None:
    await embed(pool, SENTENCES[:1], "chromium", "wasm", keep_as="embedding")
    try:
        request = messages.InferRequest(
            model_name="efficientnet-lite0",
            platform=core_pb2.PLATFORM_WASM,
            shared_inputs=[messages.SharedInput(input_name="images", tensor_name="embedding")],
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pool.Infer(request)
        error = RemoteError.from_rpc(caught.value)
        assert (error.code, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
        assert error.violations
    finally:
        await release_all(pool)


async def test_a_name_is_shared_once_and_gone_when_it_is_released(pool: ResourcePoolServiceAsyncStub) -> None:
    await embed(pool, SENTENCES[:1], "chromium", "wasm", keep_as="once")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await embed(pool, SENTENCES[:1], "chromium", "wasm", keep_as="once")
    assert RemoteError.from_rpc(caught.value).reason == "TENSOR_EXISTS"
    await pool.ReleaseTensor(messages.ReleaseTensorRequest(tensor_name="once"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pool.ReleaseTensor(messages.ReleaseTensorRequest(tensor_name="once"))
    assert RemoteError.from_rpc(caught.value).reason == "TENSOR_NOT_FOUND"
