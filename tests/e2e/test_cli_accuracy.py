"""How good predictions are, and what they are made of, with real browsers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.command import corun
from tests.e2e.tiny_models import isolated_environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("accuracy")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    environment = isolated_environment(folder)
    shutil.copytree(folder / "models" / "tiny-text", folder / "models" / "tiny-more")
    return environment


def test_predictions_are_held_against_real_measurements(environment: dict[str, str], folder: Path) -> None:
    size = ("--train", "3", "--test", "2", "--repeats", "2")
    arguments = ("bench", "accuracy", "--models", "tiny-text,tiny-vision,tiny-more", *size, "--json")
    ended = corun(*arguments, environment=environment, folder=folder)
    # Tiny models on a busy machine may measure what the predictor does not believe, and its log says so.
    assert (ended.code, [line for line in ended.err.splitlines() if "not learnt" not in line]) == (0, [])
    document = ended.document
    assert (document["platform"], document["fresh_state"], len(document["points"])) == ("wasm", True, 6)
    for figure in ("latency", "throughput", "memory"):
        for part in ("seen", "unseen"):
            assert document[figure][part]["count"] == 3
            assert document[figure][part]["mean"] > 0
            assert document[figure][part]["noise_floor"] > 0
    assert 0 <= document["selection"]["best_or_tied"] <= 1
    for point in document["points"]:
        assert all(run["measured_ms"] > 0 for run in point["runs"])
    # Its services had a database and a predictor's state of their own.
    assert not Path(environment["CORUN_VALIDATOR_DB_PATH"]).exists()
    assert not Path(environment["CORUN_PREDICTOR_STATE_FOLDER"]).exists()


def test_a_prediction_is_explained_without_a_run_and_then_by_profiles(
    environment: dict[str, str], folder: Path
) -> None:
    arguments = ("explain", "--models", "tiny-text:4,tiny-vision", "--platform", "wasm", "--json")
    guessed = corun(*arguments, environment=environment, folder=folder).document
    assert guessed["graph_only"] == ["tiny-text", "tiny-vision"]
    profiled = corun(*arguments, "--profile", environment=environment, folder=folder).document
    assert profiled["graph_only"] == []
    assert not Path(environment["CORUN_VALIDATOR_DB_PATH"]).exists()
    remembered = corun(*arguments, environment=environment, folder=folder).document
    assert remembered["strategies"] == profiled["strategies"]
