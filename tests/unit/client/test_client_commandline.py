"""Pieces of the command line that need no service."""

from __future__ import annotations

import json

import pytest
import typer

from corun.cli.app import run
from corun.cli.failures import failure_of, option_of
from corun.cli.workload import parse_browsers, parse_models
from corun_client.errors import FieldViolation, InvalidArgument


def test_models_are_names_with_batches_that_default_to_one() -> None:
    assert parse_models("bert-base-uncased:4, vit,user/repo:2") == [
        {"model_name": "bert-base-uncased", "batch_size": 4},
        {"model_name": "vit", "batch_size": 1},
        {"model_name": "user/repo", "batch_size": 2},
    ]


@pytest.mark.parametrize("batch", [-1, 0, 1_000_000_000])
def test_whether_a_batch_size_is_allowed_is_left_to_the_service(batch: int) -> None:
    assert parse_models(f"x:{batch}") == [{"model_name": "x", "batch_size": batch}]


@pytest.mark.parametrize("text", ["", ",", "x,", ":4", " :4", "x:", "x:four", "x:1.5", "x:1_0", "x:٣"])
def test_an_entry_that_cannot_be_read_is_refused_by_the_options_name(text: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        parse_models(text)
    assert "--models" in failure_of(caught.value).message


def test_browsers_are_engines_by_model_type() -> None:
    assert parse_browsers(["vision=firefox", "text = chromium-shell"]) == {
        "vision": "firefox",
        "text": "chromium-shell",
    }


@pytest.mark.parametrize("entries", [["vision"], ["=firefox"], ["vision="], ["audio=chrome", "audio=edge"]])
def test_a_preference_that_cannot_be_read_is_refused_by_the_options_name(entries: list[str]) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        parse_browsers(entries)
    assert "--browser" in failure_of(caught.value).message


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("workload.models[0].batch_size", "--models"),
        ("models[1].model_name", "--models"),
        ("workload.iterations", "--iterations"),
        ("max_connections", "--max-connections"),
        ("models_folder", "--models-folder"),
        ("something.else", ""),
    ],
)
def test_fields_of_requests_are_named_by_their_options(field: str, option: str) -> None:
    assert option_of(field) == option


def test_a_violation_names_the_option_first() -> None:
    violation = FieldViolation("workload.models[0].batch_size", "must be at least 1; received 0")
    failure = failure_of(InvalidArgument("workload.models[0].batch_size: must be at least 1", violations=[violation]))
    assert failure.message.startswith("--models: workload.models[0].batch_size: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--platform", "wasm"], "--models"),
        (["run", "--models", "x:", "--platform", "wasm"], "--models"),
        (["run", "--models", "x", "--platform", "gpu"], "--platform: 'gpu'"),
        (["run", "--models", "x", "--platform", "wasm", "--strategy", "fast"], "--strategy: 'fast'"),
        (["compare", "--models", "x", "--platform", "wasm", "--goal", "speed"], "--goal: 'speed'"),
        (["compare", "--models", "x", "--platform", "wasm", "--rounds", "many"], "--rounds"),
        (
            ["run", "--models", "x", "--platform", "wasm", "--browser", "vision"],
            "--browser: 'vision' is not TYPE=ENGINE",
        ),
        (["run", "--models", "x", "--platform", "wasm", "--browser", "vision=opera"], "--browser"),
        (["compare", "--models", "x", "--platform", "wasm", "--browser", "smell=firefox"], "'smell' is not a model"),
        (["run", "--models", "x", "--platform", "wasm", "--target", "nowhere"], "--target: expected HOST:PORT"),
        (["run", "--models", "x", "--platform", "wasm", "--target", "h:1", "--db-path", "d"], "--db-path"),
        (["metrics", "--db-path", "/nowhere/at/all.duckdb"], "--db-path"),
        (["models", "some-model"], "NAME"),
        (["infer", "m"], "give exactly one of texts, images, audio, tensors"),
        (["infer", "m", "--text", "a", "--platform", "gpu"], "--platform: 'gpu'"),
        (["infer", "m", "--text", "a", "--engine", "opera"], "--engine: 'opera' is not a browser"),
        (["infer", "m", "--image", "/nowhere/cat.png"], "--image"),
        (["engines", "--install", "--target", "h:1"], "--install"),
        (["pool", "--target", "nowhere"], "--target: expected HOST:PORT"),
        (["up", "--port", "99999"], "--port"),
        (["up", "--error-threshold", "nan"], "--error-threshold"),
        (["up", "--max-connections", "0"], "--max-connections"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_usage_is_one_line_that_names_the_option_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert words in err


def test_bad_usage_with_json_is_one_document_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "--models", "x", "--platform", "gpu", "--json"]) == 2
    out, err = capsys.readouterr()
    assert err == ""
    error = json.loads(out)["error"]
    assert (error["code"], error["reason"]) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert error["fields"][0]["field"] == "platform"


def test_help_and_version_succeed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert run(["--version"]) == 0
    assert run(["serve", "validator", "--help"]) == 0
    assert "--db-path" in capsys.readouterr().out
