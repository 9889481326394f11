"""Seeded twins: the same bytes every time, right sizes, numbers that are numbers."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from corun.resource_pool.models import ModelCatalog
from corun.resource_pool.models.graphs.bert import bert_graph
from corun.resource_pool.models.graphs.builder import GraphBuilder, seeded_values
from corun.resource_pool.models.graphs.vit import vit_graph
from corun.resource_pool.models.graphs.whisper import whisper_graph
from tests.unit.resource_pool.model_folders import run_on_cpu

Array = npt.NDArray[np.generic]


def small_bert(seed: int = 0) -> GraphBuilder:
    return bert_graph(layers=2, width=32, heads=2, vocabulary=100, positions=64, seed=seed)


def save(builder: GraphBuilder, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    builder.save(path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    here = save(small_bert(seed=7), tmp_path)
    program = (
        "from pathlib import Path; import sys; from corun.resource_pool.models.graphs.bert import bert_graph; "
        "bert_graph(layers=2, width=32, heads=2, vocabulary=100, positions=64, seed=7).save(Path(sys.argv[1]))"
    )
    there = tmp_path / "there.onnx"
    subprocess.run([sys.executable, "-c", program, str(there)], check=True, timeout=60)
    assert sha256(there) == sha256(here)


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    assert sha256(save(small_bert(1), tmp_path, "1.onnx")) != sha256(save(small_bert(2), tmp_path, "2.onnx"))


def test_seeded_values_are_pinned_down_to_the_bit() -> None:
    # Even noise of standard deviation 0.02 reaches to 0.02 * sqrt 3. The digest was taken when this was written:
    # it changes only if models would change under their users.
    values = seeded_values("layer.0.weight", (100, 100), 0.02, 2025)
    assert np.abs(values).max() <= 0.02 * 3**0.5
    assert values.std() == pytest.approx(0.02, rel=0.02)
    assert values.mean() == pytest.approx(0, abs=0.001)
    assert hashlib.sha256(values.tobytes()).hexdigest()[:16] == "56955e4a9d28982e"


def test_the_streamed_file_holds_what_onnx_would_write(tmp_path: Path) -> None:
    path = save(small_bert(), tmp_path)
    model = onnx.load_model(path)
    onnx.checker.check_model(model, full_check=True)
    assert len(model.SerializeToString()) == path.stat().st_size
    words = next(tensor for tensor in model.graph.initializer if tensor.name == "words")
    assert (numpy_helper.to_array(words) == seeded_values("words", (100, 32), 0.02, 0)).all()


def test_padding_does_not_change_what_a_text_becomes(tmp_path: Path) -> None:
    path = save(small_bert(), tmp_path)
    ids = np.arange(1, 9, dtype=np.int64)[None]
    short = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    long = {name: np.pad(array, ((0, 0), (0, 5))) for name, array in short.items()}
    first, second = (run_on_cpu(path, each)["last_hidden_state"] for each in (short, long))
    assert second[:, :8] == pytest.approx(first, abs=1e-5)


def test_items_of_a_batch_do_not_touch_each_other(tmp_path: Path) -> None:
    path = save(vit_graph(layers=1, width=32, heads=2, image=32, classes=5), tmp_path)
    pixels = np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32)
    together = run_on_cpu(path, {"pixel_values": pixels})["logits"]
    alone = [run_on_cpu(path, {"pixel_values": pixels[index : index + 1]})["logits"][0] for index in range(3)]
    assert np.stack(alone) == pytest.approx(together, abs=1e-5)


def test_a_decoder_does_not_look_ahead(tmp_path: Path) -> None:
    small = whisper_graph(layers=1, width=32, heads=2, mels=8, frames=20, vocabulary=50, positions=16)
    path = save(small, tmp_path)
    features = np.random.default_rng(0).standard_normal((1, 8, 20)).astype(np.float32)

    def logits(*ids: int) -> Array:
        given: dict[str, Array] = {"input_features": features, "decoder_input_ids": np.array([ids], dtype=np.int64)}
        return run_on_cpu(path, given)["logits"]

    assert logits(1, 2, 3)[:, :2] == pytest.approx(logits(1, 2, 40)[:, :2], abs=1e-5)
    assert not np.allclose(logits(1, 2, 3)[:, 2], logits(1, 2, 40)[:, 2])


def test_a_decoder_hears_what_was_said(tmp_path: Path) -> None:
    small = whisper_graph(layers=1, width=32, heads=2, mels=8, frames=20, vocabulary=50, positions=16)
    path = save(small, tmp_path)
    rng = np.random.default_rng(0)
    ids: Array = np.array([[1, 2]], dtype=np.int64)
    heard = []
    for _ in range(2):
        features: Array = rng.standard_normal((1, 8, 20)).astype(np.float32)
        heard.append(run_on_cpu(path, {"input_features": features, "decoder_input_ids": ids}))
    assert not np.allclose(heard[0]["logits"], heard[1]["logits"])
    assert heard[0]["encoder_last_hidden_state"].shape == (1, 10, 32)


@pytest.mark.parametrize(
    ("name", "mega_bytes", "inputs", "outputs"),
    [
        (
            "bert-base-uncased",
            436,
            {"input_ids": ("batch", "sequence"), "attention_mask": ("batch", "sequence")},
            {"last_hidden_state": ("batch", "sequence", 768)},
        ),
        ("vit-base-patch16-224", 346, {"pixel_values": ("batch", 3, 224, 224)}, {"logits": ("batch", 1000)}),
        (
            "whisper-tiny",
            152,
            {"input_features": ("batch", 80, 3000), "decoder_input_ids": ("batch", "decoder_sequence")},
            {"logits": ("batch", "decoder_sequence", 51865), "encoder_last_hidden_state": ("batch", 1500, 384)},
        ),
    ],
)
def test_the_guides_models_have_their_published_shape_and_size_and_finite_outputs(
    model_catalog: ModelCatalog,
    name: str,
    mega_bytes: int,
    inputs: dict[str, tuple[int | str, ...]],
    outputs: dict[str, tuple[int | str, ...]],
) -> None:
    model = model_catalog.resolve(name)
    if model.weights_origin == "PRETRAINED":
        pytest.skip("the Hub was reached: this is the original")
    assert model.size_bytes / 1e6 == pytest.approx(mega_bytes, rel=0.005)
    assert inputs.items() <= {spec.name: spec.shape for spec in model.inputs}.items()
    assert {spec.name: spec.shape for spec in model.outputs} == outputs
    assert "not trained" in model.source
    results = run_on_cpu(model.path, model.sample_inputs(1))
    assert all(np.isfinite(result).all() for result in results.values())
    assert all(result.std() > 0.01 for result in results.values())


def test_graphs_may_use_integers_as_constants(tmp_path: Path) -> None:
    builder = GraphBuilder("shapes")
    x = builder.input("x", TensorProto.FLOAT, ["n", 6])
    builder.output(builder.node("Reshape", x, builder.integers(-1, 3)), "y", ["m", 3])
    result = run_on_cpu(save(builder, tmp_path), {"x": np.zeros((2, 6), np.float32)})
    assert result["y"].shape == (4, 3)
