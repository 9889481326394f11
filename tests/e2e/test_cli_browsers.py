"""Commands that choose between kinds of browser, with real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from corun.resource_pool.browser.engines import ENGINES
from tests.e2e.command import corun
from tests.e2e.tiny_models import isolated_environment

INSTALLED = [name for name, engine in ENGINES.items() if engine.find() is not None]
MODELS = ("--models", "tiny-text:4,tiny-vision", "--platform", "wasm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browsers")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    return isolated_environment(folder) | {"CORUN_RESOURCE_POOL_MAX_CONNECTIONS": "2"}


def test_every_browser_that_is_installed_runs_models_and_every_other_one_says_how_to_get_it(
    environment: dict[str, str], folder: Path
) -> None:
    ended = corun("engines", "--json", environment=environment, folder=folder)
    assert (ended.code, ended.err) == (0, "")
    engines = {engine["engine"]: engine for engine in ended.document["engines"]}
    assert set(engines) == set(ENGINES)
    for name, engine in engines.items():
        assert engine["available"] is (name in INSTALLED)
        working = [each["platform"] for each in engine["platforms"] if each["supported"]]
        assert ("wasm" in working) is (name in INSTALLED)
        if name not in INSTALLED:
            assert ENGINES[name].how_to_get in engine["detail"]


def test_a_preferred_browser_that_is_not_there_is_replaced_and_both_are_named(
    environment: dict[str, str], folder: Path
) -> None:
    missing = next(name for name in ("msedge", "chrome") if name not in INSTALLED)
    ended = corun("run", *MODELS, "--browser", f"vision={missing}", "--json", environment=environment, folder=folder)
    assert (ended.code, ended.err) == (0, "")
    (fallback,) = ended.document["fallbacks"]
    assert (fallback["model_type"], fallback["preferred"], fallback["used"]) == ("vision", missing, "chromium")
    assert f"{missing} is not installed" in fallback["reason"]
    assert any(f"vision was to run in '{missing}'" in warning for warning in ended.document["warnings"])


@pytest.mark.skipif("firefox" not in INSTALLED, reason="this machine has no Firefox")
def test_two_models_run_together_in_the_browsers_that_they_prefer(environment: dict[str, str], folder: Path) -> None:
    arguments = ("run", *MODELS, "--browser", "vision=firefox", "--strategy", "parallel", "--json")
    ended = corun(*arguments, environment=environment, folder=folder)
    assert (ended.code, ended.err) == (0, "")
    document = ended.document
    assert {run["model_name"]: run["engine"] for run in document["runs"]} == {
        "tiny-text": "chromium",
        "tiny-vision": "firefox",
    }
    assert {lane["engine"]: lane["model_names"] for lane in document["lanes"]} == {
        "chromium": ["tiny-text"],
        "firefox": ["tiny-vision"],
    }
    assert document["fallbacks"] == []
    assert "predicted for the engine 'chromium', but tiny-vision ran in 'firefox'" in document["warnings"]


def test_one_model_runs_on_files_of_ones_own(environment: dict[str, str], folder: Path, photo: bytes) -> None:
    path = folder / "cat.png"
    path.write_bytes(photo)
    arguments = ("infer", "efficientnet-lite0", "--image", str(path), "--json")
    document = corun(*arguments, environment=environment, folder=folder).document
    assert "cat" in document["items"][0]["labels"][0]["name"]
    assert (document["platform"], document["engine"]) == ("wasm", "chromium")
