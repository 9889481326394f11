"""The guide's cross-model tensor sharing, with services of its own, in a real browser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.tiny_models import isolated_environment

# Text goes through a real tokenizer and a real model of three layers; the consumer takes 256 numbers.
_GUIDE = """
import json
import numpy as np
from corun_client import AlreadyExists
from predictive_performance.multi_model_resource_pool_integration import MultiModelResourcePoolIntegration

text_input = ["one sentence", "and another one"]
told = {}
integration = MultiModelResourcePoolIntegration(max_connections=1)
integration.initialize()
try:
    text_model = integration.resource_pool.get_model(model_type="text", model_name="paraphrase-minilm-l3-v2")
    vision_model = integration.resource_pool.get_model(model_type="vision", model_name="tiny-vision")
    text_result = text_model(text_input)
    embeddings = text_result["embeddings"]
    direct = vision_model({"input": embeddings[:, :256]})["outputs"]["output"]
    for storage_type in ("cpu", "webgpu"):
        sharing_result = integration.resource_pool.share_tensor_between_models(
            tensor_data=embeddings[:, :256],
            tensor_name="text_embeddings",
            producer_model=text_model,
            consumer_models=[vision_model],
            storage_type=storage_type,
            dtype="float32",
        )
        shared = vision_model(shared={"input": "text_embeddings"})
        kept = vision_model(shared={"input": "text_embeddings"}, keep={"output": "kept"})
        again = ""
        try:
            integration.resource_pool.share_tensor_between_models(
                tensor_data=embeddings, tensor_name="text_embeddings", producer_model=text_model
            )
        except AlreadyExists as error:
            again = str(error)
        told[storage_type] = {
            "sharing": sharing_result,
            "platform": shared["platform"],
            "zero_copy": shared["zero_copy"],
            "boundary_bytes": shared["boundary_bytes"],
            "output_bytes": shared["outputs"]["output"].nbytes,
            "worst": float(np.abs(shared["outputs"]["output"] - direct).max() / np.abs(direct).max()),
            "kept_boundary_bytes": kept["boundary_bytes"],
            "kept": kept["kept"],
            "alive": [each["name"] for each in integration.resource_pool.list_tensors()["tensors"]],
            "again": again,
            "released": [integration.resource_pool.release_tensor(name) for name in ("text_embeddings", "kept")],
        }
finally:
    integration.close()
told["embeddings"] = {"shape": embeddings.shape, "dtype": embeddings.dtype.name}
told["weights_origin"] = text_result["weights_origin"]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the guide's script printed; it ran once."""
    folder: Path = tmp_path_factory.mktemp("sharing")
    ended = subprocess.run(
        [sys.executable, "-c", _GUIDE],
        capture_output=True,
        text=True,
        env=isolated_environment(folder),
        cwd=folder,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def test_a_text_model_gives_embeddings_as_numbers(told: dict[str, Any]) -> None:
    # Two texts; this model's vectors have 384 numbers.
    assert told["embeddings"] == {"shape": [2, 384], "dtype": "float32"}
    assert told["weights_origin"] == "PRETRAINED"


IN_EACH_STORAGE = pytest.mark.parametrize("storage_type", ["cpu", "webgpu"])


@IN_EACH_STORAGE
def test_the_tensor_lies_where_it_was_asked_for(told: dict[str, Any], storage_type: str) -> None:
    sharing = told[storage_type]["sharing"]
    assert sharing["success"] is True
    assert (sharing["storage_type"], sharing["shape"], sharing["dtype"]) == (storage_type, [2, 256], "float32")
    assert sharing["size_bytes"] == sharing["boundary_bytes"] == 2 * 256 * 4
    assert sharing["consumers"] == ["tiny-vision"]


@IN_EACH_STORAGE
def test_a_consumer_reads_it_there_and_only_its_output_leaves_the_page(told: dict[str, Any], storage_type: str) -> None:
    run = told[storage_type]
    assert run["platform"] == {"cpu": "wasm", "webgpu": "webgpu"}[storage_type]
    assert run["zero_copy"] is (storage_type == "webgpu")  # WebAssembly copies inputs into its own memory
    assert run["boundary_bytes"] == run["output_bytes"]
    # Of the largest value; shaders and WebAssembly add in different orders.
    assert run["worst"] <= 1e-3


@IN_EACH_STORAGE
def test_an_output_that_is_kept_crosses_nothing(told: dict[str, Any], storage_type: str) -> None:
    run = told[storage_type]
    assert run["kept_boundary_bytes"] == 0
    assert [(each["name"], each["storage_type"]) for each in run["kept"]] == [("kept", storage_type)]
    assert run["alive"] == ["kept", "text_embeddings"]


@IN_EACH_STORAGE
def test_a_taken_name_says_how_to_release_it(told: dict[str, Any], storage_type: str) -> None:
    assert "resource_pool.release_tensor('text_embeddings')" in told[storage_type]["again"]
    assert [each["released_count"] for each in told[storage_type]["released"]] == [1, 1]
