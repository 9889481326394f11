"""Models from a server like the Hugging Face Hub."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from corun.errors import ModelRefused, ModelUnreachable, UnknownModel
from corun.resource_pool.models import ModelCatalog
from corun.resource_pool.models.graphs.bert import bert_graph
from corun.resource_pool.models.graphs.vit import vit_graph
from corun.resource_pool.models.sources.hub import Hub
from tests.fakes.fake_hub import COMMIT, serve_hub
from tests.unit.resource_pool.model_folders import NO_HUB, no_download, run_on_cpu


def catalog_at(endpoint: str, tmp_path: Path, **options: int) -> ModelCatalog:
    return ModelCatalog(
        models_folder=None,
        cache_folder=tmp_path / "cache",
        hub_endpoint=endpoint,
        download=no_download,
        max_model_bytes=options.get("max_model_bytes", 2**31 - 1),
    )


def tiny_bert(tmp_path: Path) -> bytes:
    bert_graph(layers=1, width=32, heads=2, vocabulary=100, positions=64).save(tmp_path / "bert.onnx")
    return (tmp_path / "bert.onnx").read_bytes()


def tiny_vit(tmp_path: Path) -> bytes:
    vit_graph(layers=1, width=32, heads=2, image=32, classes=3).save(tmp_path / "vit.onnx")
    return (tmp_path / "vit.onnx").read_bytes()


WORDS: dict[str, object] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "WhitespaceSplit"},
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"[PAD]": 0, "one": 1, "two": 2}, "unk_token": "[PAD]"},
}


def test_a_repository_is_fetched_once_and_works(tmp_path: Path) -> None:
    files = {"onnx/model.onnx": tiny_bert(tmp_path), "tokenizer.json": json.dumps(WORDS).encode()}
    with serve_hub({"someone/tiny-bert": files}) as hub:
        model = catalog_at(hub.endpoint, tmp_path).resolve("someone/tiny-bert")
        asked = len(hub.asked)
        again = catalog_at(hub.endpoint, tmp_path)
        assert again.resolve("someone/tiny-bert").sha256 == model.sha256
        assert len(hub.asked) == asked
    assert (model.model_type, model.weights_origin, model.license) == ("text_embedding", "PRETRAINED", "mit")
    assert "someone/tiny-bert" in model.source
    assert COMMIT[:12] in model.source
    inputs = model.encode(["one two", "one"])
    results = model.decode(run_on_cpu(model.path, inputs), inputs)
    assert [len(result.embedding) for result in results] == [32, 32]
    assert "someone/tiny-bert" in [entry.name for entry in again.entries() if entry.prepared]


def test_pictures_are_prepared_as_the_repository_says(tmp_path: Path, photo: bytes) -> None:
    processor = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 32, "width": 32}, "resample": 3}
    config = {"model_type": "vit", "id2label": {"0": "nought", "1": "cat", "2": "two"}}
    files = {
        "onnx/model.onnx": tiny_vit(tmp_path),
        "config.json": json.dumps(config).encode(),
        "preprocessor_config.json": json.dumps(processor).encode(),
    }
    with serve_hub({"someone/tiny-vit": files}) as hub:
        model = catalog_at(hub.endpoint, tmp_path).resolve("someone/tiny-vit")
    assert (model.model_type, model.accepts) == ("vision", "image")
    inputs = model.encode([photo])
    assert inputs["pixel_values"].shape == (1, 3, 32, 32)
    (result,) = model.decode(run_on_cpu(model.path, inputs), inputs)
    assert {label.name for label in result.labels} == {"nought", "cat", "two"}


def test_a_name_of_the_guide_comes_from_the_hub_when_it_answers(tmp_path: Path) -> None:
    files = {"onnx/model.onnx": tiny_bert(tmp_path), "tokenizer.json": json.dumps(WORDS).encode()}
    with serve_hub({"Xenova/bert-base-uncased": files}) as hub:
        model = catalog_at(hub.endpoint, tmp_path).resolve("bert-base-uncased")
        # The revision with the bare encoder, whose outputs are embeddings.
        assert "api/models/Xenova/bert-base-uncased/revision/default" in hub.asked
    assert model.weights_origin == "PRETRAINED"
    assert model.accepts == "text"


def test_an_encoder_alone_says_that_it_is_one(tmp_path: Path) -> None:
    files = {"onnx/encoder_model.onnx": tiny_vit(tmp_path), "onnx/decoder_model.onnx": b"not fetched"}
    with serve_hub({"someone/pair": files}) as hub:
        assert "encoder only" in catalog_at(hub.endpoint, tmp_path).resolve("someone/pair").source
        assert not [path for path in hub.asked if "decoder_model" in path]


def test_a_repository_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    with serve_hub({}) as hub, pytest.raises(UnknownModel, match="someone/nothing"):
        catalog_at(hub.endpoint, tmp_path).resolve("someone/nothing")


@pytest.mark.parametrize("files", [{"pytorch_model.bin": b"x"}, {"onnx/model.onnx": b"x" * 2000}])
def test_a_repository_without_a_usable_graph_is_unknown(tmp_path: Path, files: dict[str, bytes]) -> None:
    with serve_hub({"someone/other": files}) as hub, pytest.raises(UnknownModel):
        catalog_at(hub.endpoint, tmp_path, max_model_bytes=1000).resolve("someone/other")


def test_a_broken_graph_from_the_hub_is_refused(tmp_path: Path) -> None:
    with serve_hub({"someone/broken": {"model.onnx": b"junk"}}) as hub, pytest.raises(ModelRefused):
        catalog_at(hub.endpoint, tmp_path).resolve("someone/broken")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", '{"max_position_embeddings": [1]}'),
        ("config.json", '{"max_position_embeddings": 1e999}'),
        ("config.json", '{"model_type": "whisper", "num_mel_bins": {}}'),
        ("config.json", "[" * 100_000),
    ],
)
def test_a_configuration_that_makes_no_sense_refuses_the_model(tmp_path: Path, name: str, content: str) -> None:
    files = {
        "onnx/model.onnx": tiny_bert(tmp_path),
        "tokenizer.json": json.dumps(WORDS).encode(),
        name: content.encode(),
    }
    with serve_hub({"someone/odd": files}) as hub, pytest.raises(ModelRefused, match="makes no sense"):
        catalog_at(hub.endpoint, tmp_path).resolve("someone/odd")


def test_a_tokenizer_that_is_too_large_is_not_fetched(tmp_path: Path) -> None:
    files = {"onnx/model.onnx": tiny_bert(tmp_path), "tokenizer.json": b" " * 64_000_001}
    with serve_hub({"someone/odd": files}) as hub:
        with pytest.raises(UnknownModel):
            catalog_at(hub.endpoint, tmp_path).resolve("someone/odd")
        assert not [path for path in hub.asked if path.endswith("tokenizer.json")]


def test_without_a_hub_a_repository_is_out_of_reach_for_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelUnreachable, match="does not answer"):
        catalog_at(NO_HUB, tmp_path).resolve("someone/tiny-bert")


def test_a_hub_that_never_answers_costs_two_seconds_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        catalog = catalog_at(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        start = time.monotonic()
        for name in ("someone/one", "someone/two", "someone/three"):
            with pytest.raises(ModelUnreachable):
                catalog.resolve(name)
        assert time.monotonic() - start < 5  # one probe of two seconds; three would take six


def test_a_hub_that_did_not_answer_is_asked_again_after_a_minute() -> None:
    now = 1000.0
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    hub = Hub(endpoint=f"http://127.0.0.1:{port}", clock=lambda: now)
    assert not hub.reachable()
    with ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        now += 59
        assert not hub.reachable()
        now += 1
        assert hub.reachable()
        server.shutdown()


def test_only_a_refresh_asks_the_hub_again_for_a_seeded_twin(tmp_path: Path) -> None:
    first = catalog_at(NO_HUB, tmp_path).resolve("whisper-tiny")
    assert first.weights_origin == "SEEDED"
    config = json.dumps({"model_type": "whisper", "num_mel_bins": 80}).encode()
    files = {"onnx/encoder_model.onnx": tiny_vit(tmp_path), "config.json": config}
    with serve_hub({"Xenova/whisper-tiny": files}) as hub:
        catalog = catalog_at(hub.endpoint, tmp_path)
        assert catalog.resolve("whisper-tiny").sha256 == first.sha256
        assert hub.asked == []
        assert catalog.resolve("whisper-tiny", refresh=True).weights_origin == "PRETRAINED"
