"""Model folders that mean harm beside the graph: links, devices, names, manifests, tokenizers, labels."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from corun.errors import UnknownModel
from tests.faults.trial import RECIPE, Trial
from tests.unit.resource_pool.model_folders import counting_graphs, write_parts, write_tiny_bert


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/dev/zero", "not a regular file"),
        ("/dev/null", "not a regular file"),
        ("/proc/self/environ", "is empty"),
        ("/proc/kmsg", "is empty"),  # reading it would wait for the kernel's next message
        (".", "not a regular file"),
        ("model.onnx", "symbolic links"),
        ("/nowhere/model.onnx", "No such file"),
    ],
)
def test_a_link_to_anything_but_a_regular_file_is_refused(trial: Trial, target: str, problem: str) -> None:
    folder = trial.new_folder()
    (folder / "model.onnx").symlink_to(target)
    assert problem in trial.refusal(folder)


def test_a_pipe_and_a_folder_in_the_place_of_the_file_are_refused_without_waiting(trial: Trial) -> None:
    pipe, folder = trial.new_folder(), trial.new_folder()
    os.mkfifo(pipe / "model.onnx")
    (folder / "model.onnx").mkdir()
    assert "not a regular file" in trial.refusal(pipe)
    assert "not a regular file" in trial.refusal(folder)


def test_a_link_to_a_good_file_is_the_owners_own_business(trial: Trial, tmp_path: Path) -> None:
    outside = write_tiny_bert(tmp_path / "outside")
    folder = trial.new_folder()
    (folder / "model.onnx").symlink_to(outside / "model.onnx")
    (trial.folder / "linked-folder").symlink_to(outside)
    sizes = {trial.catalog.resolve(name).size_bytes for name in (folder.name, "linked-folder")}
    assert sizes == {(outside / "model.onnx").stat().st_size}


@pytest.mark.parametrize(
    "name",
    ["..", "../mine/good", "good/..", "a/../../mine/good", "/etc/passwd", "good\0", "good\n", "", "./good", "good/"],
)
def test_a_name_that_leads_out_of_the_folder_is_nobodys_name(trial: Trial, name: str) -> None:
    with pytest.raises(UnknownModel):
        trial.catalog.resolve(name)


def test_folders_whose_names_are_no_names_are_not_listed(trial: Trial) -> None:
    strange = ["\x1b[2J", "a b", "-rf", "x" * 200, "..a", "näme"]
    for name in strange:
        write_tiny_bert(trial.folder / name)
    assert not {entry.name for entry in trial.catalog.entries()} & set(strange)


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ("source = '" + "x" * 100_000 + "'", "the limit is 64000"),
        ("a = " + "[" * 30_000, "not TOML"),
        ("batch_size = 1000000000", "batch_size"),
        ("type = 7", "type"),
        ("type = [['vision']]", "type"),
        ('source = "\\u001b]0;gone"', "cannot be printed"),
        ("license = '" + "x" * 6000 + "'", "at most 5000 characters"),
        ("[preprocessing]\nkind = 'text'\nmax_length = 1000000000", "max_length"),
        ("[preprocessing]\nkind = 'image'\nsize = [1000000, 1000000]", "size"),
        ("[preprocessing]\nkind = 'image'\nmean = [nan, inf, 0]", "mean"),
        ("[preprocessing]\nkind = 'log_mel'\nseconds = 10000000000000000000000", "seconds"),
        ("[preprocessing]\nkind = 'log_mel'\ndecoder_start = [" + "1," * 10_000 + "]", "decoder_start"),
        ("\0\xff", "not TOML"),
    ],
)
def test_a_manifest_that_means_harm_refuses_the_model(trial: Trial, manifest: str, problem: str) -> None:
    assert problem in trial.refusal(write_tiny_bert(trial.new_folder(), manifest=manifest))


def test_a_manifest_that_is_no_file_refuses_the_model_without_waiting(trial: Trial) -> None:
    pipe, device = write_tiny_bert(trial.new_folder()), write_tiny_bert(trial.new_folder())
    os.mkfifo(pipe / "model.toml")
    (device / "model.toml").symlink_to("/dev/zero")
    assert "not a regular file" in trial.refusal(pipe)
    assert "not a regular file" in trial.refusal(device)


def tokenizer(**parts: object) -> str:
    """A tokenizer that knows the letter a, with `parts` of it replaced."""
    whole: dict[str, object] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"a": 0, "[UNK]": 1}, "unk_token": "[UNK]"},
    }
    return json.dumps(whole | parts)


BROKEN = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[X]", "type_id": 0}}], "pair": []}
EXPLOSION = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 3000}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("no JSON at all", "not a tokenizer"),
        ("[" * 100_000, "not a tokenizer"),
        (tokenizer(model={"type": "Unigram", "unk_id": 5, "vocab": [["a", -1.0]]}), "not a tokenizer"),
        (tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}), "not a tokenizer"),
        (tokenizer(model={"type": "Unigram", "unk_id": None, "vocab": []}), "does not encode"),
        (tokenizer(post_processor=BROKEN | {"special_tokens": {}}), "does not encode"),
        (
            tokenizer(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a|a)*$"}, "behavior": "Isolated"}),
            "not a tokenizer",
        ),
        (
            tokenizer(
                pre_tokenizer={
                    "type": "Split",
                    "pattern": {"Regex": "(a|a)*$"},
                    "behavior": "Isolated",
                    "invert": False,
                }
            ),
            "retry-limit",
        ),
        (tokenizer(normalizer={"type": "Sequence", "normalizers": [EXPLOSION] * 3}), "SIG"),
    ],
    ids=["text", "depth", "index", "map", "empty", "template", "incomplete", "expression", "explosion"],
)
def test_a_tokenizer_that_means_harm_refuses_the_model(trial: Trial, content: str, problem: str) -> None:
    folder = write_tiny_bert(trial.new_folder())
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    assert problem in trial.refusal(folder)


def test_a_tokenizer_that_explodes_where_it_decodes_refuses_the_model(trial: Trial) -> None:
    folder = write_parts(trial.new_folder(), counting_graphs(), manifest=RECIPE)
    content = tokenizer(decoder={"type": "Sequence", "decoders": [EXPLOSION] * 4})
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    assert "SIG" in trial.refusal(folder)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize(("target", "problem"), [("/dev/zero", "not a regular file"), ("/nowhere", "No such file")])
def test_a_link_in_the_place_of_a_part_is_refused_too(trial: Trial, part: str, target: str, problem: str) -> None:
    folder = write_parts(trial.new_folder(), counting_graphs(), manifest=RECIPE)
    (folder / f"{part}.onnx").unlink()
    (folder / f"{part}.onnx").symlink_to(target)
    assert problem in trial.refusal(folder)


def test_a_tokenizer_of_a_gigabyte_is_not_even_read(trial: Trial) -> None:
    folder = write_tiny_bert(trial.new_folder())
    with (folder / "tokenizer.json").open("wb") as file:
        file.truncate(2**30)  # a hole: it takes no place on the disk
    assert "the limit is 64000000" in trial.refusal(folder)


def test_labels_that_are_no_text_or_too_many_refuse_the_model(trial: Trial) -> None:
    noise, many = write_tiny_bert(trial.new_folder()), write_tiny_bert(trial.new_folder())
    (noise / "labels.txt").write_bytes(b"cat\n\xff\xfe\n")
    (many / "labels.txt").write_bytes(b"cat\n" * 2_000_000)
    assert "not UTF-8" in trial.refusal(noise)
    assert "the limit is 4000000" in trial.refusal(many)
