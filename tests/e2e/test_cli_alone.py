"""Commands that start what they need themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command import Ended, corun
from tests.e2e.tiny_models import isolated_environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alone")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    return isolated_environment(folder)


@pytest.fixture(scope="module")
def doctor(environment: dict[str, str], folder: Path) -> Ended:
    """What `corun doctor` says, before anything else was asked."""
    return corun("doctor", "--json", environment=environment, folder=folder)


def test_the_doctor_finds_everything_that_a_run_needs_and_makes_no_database_by_looking(
    doctor: Ended, environment: dict[str, str]
) -> None:
    assert not Path(environment["CORUN_VALIDATOR_DB_PATH"]).exists()
    assert doctor.code == 0
    assert doctor.document["ok"] is True
    assert all(check["remedy"] for check in doctor.document["checks"] if not check["ok"])
    assert any(engine["available"] for engine in doctor.document["capabilities"]["engines"])


def test_a_run_without_target_starts_and_ends_its_own_services(environment: dict[str, str], folder: Path) -> None:
    database = folder / "named.duckdb"
    workload = ("--models", "tiny-text", "--platform", "cpu")
    ended = corun("run", *workload, "--db-path", str(database), "--json", environment=environment, folder=folder)
    assert ended.code == 0
    # Nothing is said beside the document, but that a busy machine took too long for the figure to be believed.
    assert {json.loads(line)["event"] for line in ended.err.splitlines()} <= {"executions are not learnt"}
    assert ended.document["hardware_platform"] == "wasm"
    metrics = corun("metrics", "--db-path", str(database), "--json", environment=environment, folder=folder)
    assert metrics.document["execution_count"] == 1
    assert metrics.document["database_path"] == str(database)


def test_an_unavailable_platform_is_refused_with_what_there_is(
    doctor: Ended, environment: dict[str, str], folder: Path
) -> None:
    supported = {
        platform["platform"]
        for engine in doctor.document["capabilities"]["engines"]
        for platform in engine["platforms"]
        if platform["supported"]
    }
    if supported == {"wasm", "webgpu", "webnn"}:
        pytest.skip("every platform works here")
    missing = sorted({"wasm", "webgpu", "webnn"} - supported)[0]
    ended = corun("run", "--models", "tiny-text", "--platform", missing, environment=environment, folder=folder)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"corun: --platform: '{missing}' is not available here")
