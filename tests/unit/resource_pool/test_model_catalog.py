"""Which models there are, and what a name leads to."""

from __future__ import annotations

import os
import threading
import time
import zipfile
from pathlib import Path

import pytest

from corun.errors import ModelRefused, ModelUnreachable, UnknownModel
from corun.resource_pool.models import Model, ModelCatalog, install_packaged
from corun.resource_pool.models.sources.wheels import Wheel
from tests.unit.resource_pool.model_folders import (
    NO_HUB,
    no_download,
    offline_catalog,
    product_graph,
    write_graph,
    write_tiny_bert,
)


def test_the_list_names_packaged_and_guide_models_before_anything_is_prepared(tmp_path: Path) -> None:
    entries = offline_catalog(tmp_path).entries()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {"all-minilm-l6-v2", "bert-base-uncased", "vit-base-patch16-224", "whisper-tiny"} <= {
        entry.name for entry in entries
    }
    assert not any(entry.prepared for entry in entries)
    bert = next(entry for entry in entries if entry.name == "bert-base-uncased")
    assert bert.weights_origin == "SEEDED"
    assert "Hub" in bert.source
    assert "seed" in bert.source
    assert not (tmp_path / "cache").exists()


def test_a_model_of_the_users_folder_comes_before_all_others(tmp_path: Path) -> None:
    write_tiny_bert(tmp_path / "mine" / "bert-base-uncased")
    catalog = offline_catalog(tmp_path, models_folder=tmp_path / "mine")
    model = catalog.resolve("bert-base-uncased")
    assert model.path == tmp_path / "mine" / "bert-base-uncased" / "model.onnx"
    assert (model.model_type, model.weights_origin, model.accepts) == ("text_embedding", "PRETRAINED", "")
    (entry,) = [entry for entry in catalog.entries() if entry.name == "bert-base-uncased"]
    assert entry.prepared
    assert str(tmp_path / "mine") in entry.source


def test_a_manifest_says_what_the_graph_does_not(tmp_path: Path) -> None:
    told = 'type = "audio"\nweights_origin = "SEEDED"\nsource = "dice"\nlicense = "MIT"\n'
    write_tiny_bert(tmp_path / "mine" / "named", manifest=told)
    model = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("named")
    assert (model.model_type, model.weights_origin, model.source, model.license) == ("audio", "SEEDED", "dice", "MIT")


@pytest.mark.parametrize(
    "name",
    ["../mine", "..", ".", "/etc/passwd", "a/../b", "a/b/c", "a\0b", "", "a\\b", ".facts", "a b", "a\n", "a..b"],
)
def test_a_name_that_could_lead_out_of_a_folder_is_unknown(tmp_path: Path, name: str) -> None:
    write_tiny_bert(tmp_path / "mine")
    with pytest.raises(UnknownModel):
        offline_catalog(tmp_path, models_folder=tmp_path / "mine" / "inside").resolve(name)


def test_an_unknown_name_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    write_tiny_bert(tmp_path / "mine" / "my-bert")
    catalog = offline_catalog(tmp_path, models_folder=tmp_path / "mine")
    with pytest.raises(UnknownModel, match=r"'bert-bse'.*my-bert") as raised:
        catalog.resolve("bert-bse", field="workload.models[1].model_name")
    assert raised.value.field == "workload.models[1].model_name"


def test_the_same_model_comes_back_until_its_file_changes(tmp_path: Path) -> None:
    folder = write_tiny_bert(tmp_path / "mine" / "tiny", seed=1)
    catalog = offline_catalog(tmp_path, models_folder=tmp_path / "mine")
    first = catalog.resolve("tiny")
    assert catalog.resolve("tiny") is first
    write_tiny_bert(folder, seed=2)
    second = catalog.resolve("tiny")
    assert second.sha256 != first.sha256
    (folder / "model.toml").write_text('license = "MIT"\n', encoding="utf-8")
    assert catalog.resolve("tiny").license == "MIT"


def test_models_that_were_just_resolved_are_at_hand_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_graph(tmp_path / "mine" / "one", product_graph())
    write_graph(tmp_path / "mine" / "two", product_graph())
    catalog = offline_catalog(tmp_path, models_folder=tmp_path / "mine")
    assert catalog.fresh(["one"]) is None
    one = catalog.resolve("one")
    assert catalog.fresh(["one"]) == {"one": one}
    assert catalog.fresh(["one", "two"]) is None
    write_graph(folder, product_graph(outer=5))
    assert catalog.fresh(["one"]) is None
    changed = catalog.resolve("one")
    assert catalog.fresh(["one"]) == {"one": changed}
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    assert catalog.fresh(["one"]) is None


def test_a_swapped_file_is_noticed_by_a_new_process_even_with_the_old_times_and_size(tmp_path: Path) -> None:
    folder = write_tiny_bert(tmp_path / "mine" / "tiny", seed=1)
    before = (folder / "model.onnx").stat()
    first = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("tiny")
    write_tiny_bert(folder, seed=2)
    os.utime(folder / "model.onnx", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (folder / "model.onnx").stat().st_size == before.st_size
    second = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("tiny")
    assert second.sha256 != first.sha256


def test_facts_survive_a_restart_and_a_damaged_record_is_made_again(tmp_path: Path) -> None:
    write_tiny_bert(tmp_path / "mine" / "tiny")
    first = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("tiny")
    (record,) = (tmp_path / "cache" / "models" / ".facts").glob("*.json")
    second = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("tiny")
    record.write_bytes(b"{ half a rec")
    third = offline_catalog(tmp_path, models_folder=tmp_path / "mine").resolve("tiny")
    assert first.features == second.features == third.features
    assert first.inputs == second.inputs == third.inputs
    assert first.sha256 == second.sha256 == third.sha256


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ("type = ", "not TOML"),
        ('type = "poetry"', "type"),
        ('colour = "red"', "colour"),
        ('[postprocessing]\nkind = "classes"\noutput = "missing"', "'missing'"),
        ('[preprocessing]\nkind = "text"', "tokenizer.json"),
        ('[preprocessing]\nkind = "image"\nstd = [0, 1, 1]', "std"),
    ],
)
def test_a_manifest_that_makes_no_sense_refuses_the_model(tmp_path: Path, manifest: str, problem: str) -> None:
    write_tiny_bert(tmp_path / "mine" / "odd", manifest=manifest)
    catalog = offline_catalog(tmp_path, models_folder=tmp_path / "mine")
    with pytest.raises(ModelRefused, match=problem):
        catalog.resolve("odd")
    assert "odd" in [entry.name for entry in catalog.entries()]


def test_a_broken_model_is_listed_as_not_ready_and_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "mine" / "broken").mkdir(parents=True)
    (tmp_path / "mine" / "broken" / "model.onnx").write_bytes(b"not a graph")
    write_graph(tmp_path / "mine" / "good", product_graph(), manifest='type = "vision"')
    entries = {e.name: e for e in offline_catalog(tmp_path, models_folder=tmp_path / "mine").entries()}
    assert entries["good"].prepared
    assert not entries["broken"].prepared
    assert "refused" in entries["broken"].source


def test_a_seeded_twin_without_network_has_no_tokenizer_and_says_so(tmp_path: Path) -> None:
    model = offline_catalog(tmp_path).resolve("bert-base-uncased")
    assert model.weights_origin == "SEEDED"
    assert model.accepts == ""
    assert "no tokenizer" in model.source


def test_a_packaged_model_that_cannot_be_fetched_is_out_of_reach_for_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelUnreachable, match=r"silero-vad 6\.2\.3 could not be fetched") as raised:
        offline_catalog(tmp_path).resolve("silero-vad", field="names[3]")
    assert raised.value.field == "names[3]"
    assert raised.value.metadata == {"model_name": "silero-vad", "problem": raised.value.problem}


def test_a_package_that_holds_something_else_refuses_the_model(tmp_path: Path) -> None:
    def swapped(wheel: Wheel, folder: Path) -> Path:
        path = folder / "swapped.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for member in wheel.members:
                archive.writestr(member.path, "something else")
        return path

    catalog = ModelCatalog(models_folder=None, cache_folder=tmp_path, hub_endpoint=NO_HUB, download=swapped)
    with pytest.raises(ModelRefused, match="not the file that was pinned"):
        catalog.resolve("silero-vad")


def test_many_threads_that_want_the_same_model_get_one(tmp_path: Path) -> None:
    catalog = offline_catalog(tmp_path)
    found: list[Model] = []
    threads = [threading.Thread(target=lambda: found.append(catalog.resolve("whisper-tiny"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({id(model) for model in found}) == 1
    assert list((tmp_path / "cache" / "models" / ".staging").iterdir()) == []


def test_two_catalogs_that_prepare_the_same_model_at_once_agree(tmp_path: Path) -> None:
    catalogs = [offline_catalog(tmp_path) for _ in range(2)]
    found: list[str] = []
    threads = [threading.Thread(target=lambda c=c: found.append(c.resolve("whisper-tiny").sha256)) for c in catalogs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1


def test_installing_goes_on_past_what_cannot_be_fetched(tmp_path: Path) -> None:
    # The guide's names are given, so that nothing large has to be written here.
    for name in ("bert-base-uncased", "vit-base-patch16-224", "whisper-tiny"):
        write_tiny_bert(tmp_path / "models" / name)
    told: list[str] = []
    ready = install_packaged(tmp_path, told.append, hub_endpoint=NO_HUB, download=no_download)
    assert ready == ["cosine-similarity", "bert-base-uncased", "vit-base-patch16-224", "whisper-tiny"]
    assert any("silero-vad" in line and "could not be fetched" in line for line in told)


def test_the_real_packages_are_what_was_pinned(model_catalog: ModelCatalog) -> None:
    shipped = ["all-minilm-l6-v2", "efficientnet-lite0", "moonshine-tiny", "paraphrase-minilm-l3-v2"]
    models = [model_catalog.resolve(name) for name in [*shipped, "pp-ocr-cls", "silero-vad", "vit-s-focus"]]
    assert {model.weights_origin for model in models} == {"PRETRAINED"}
    assert {model.license for model in models} == {"Apache-2.0", "MIT"}
    assert all("package" in model.source for model in models)
