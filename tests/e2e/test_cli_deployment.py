"""The commands against running services and beside them, in a real browser: `corun up`, and a process a service, behave
the same."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil
import pytest

from tests.e2e.command import COMMAND, Ended, corun, four_processes, one_process
from tests.e2e.tiny_models import isolated_environment

WORKLOAD = ("--models", "tiny-text:4,tiny-vision", "--platform", "wasm")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Running services, by their addresses."""

    targets: Mapping[str, str]
    environment: dict[str, str]
    folder: Path

    def corun(self, *arguments: str) -> Ended:
        """A command at the front door of this deployment."""
        return self.beside(*arguments, "--target", self.targets["orchestrator"])

    def beside(self, *arguments: str) -> Ended:
        """A command that starts services of its own, with the same database."""
        return corun(*arguments, environment=self.environment, folder=self.folder)


@pytest.fixture(scope="module", params=[one_process, four_processes], ids=["one process", "four processes"])
def deployment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    # No figure is looked at, so lanes need not settle before they are measured.
    environment = isolated_environment(folder) | {"CORUN_RESOURCE_POOL_SETTLE_SECONDS": "0"}
    with request.param(environment=environment, folder=folder) as targets:
        yield Deployment(targets, environment, folder)


def test_a_run_succeeds_and_says_what_it_ran(deployment: Deployment) -> None:
    ended = deployment.corun("run", *WORKLOAD, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.document["success"] is True
    assert [model["weights_origin"] for model in ended.document["models"]] == ["PRETRAINED", "SEEDED"]
    assert ended.document["recorded"] or ended.document["record_queued"]


def test_a_run_in_tables_names_engine_and_seeded_weights(deployment: Deployment) -> None:
    ended = deployment.corun("run", *WORKLOAD, "--strategy", "sequential")
    assert (ended.code, ended.err) == (0, "")
    assert "sequential on wasm (as asked)" in ended.out
    assert "engine chromium" in ended.out
    assert "SEEDED weights" in ended.out


def test_a_comparison_succeeds_and_is_recorded(deployment: Deployment) -> None:
    # Of one model every strategy makes the same plan, so that no lanes are opened anew between them.
    ended = deployment.corun("compare", "--models", "tiny-text:4", "--platform", "wasm", "--rounds", "1", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.document["recorded"] is True
    metrics = deployment.corun("metrics", "--json").document
    assert metrics["optimization_impact"]["comparison_count"] >= 1


@pytest.mark.parametrize(
    ("models", "code", "words"),
    [
        ("tiny-text:0", 2, "received 0"),
        ("tiny-text:-1", 2, "received -1"),
        ("tiny-text:1000000000", 2, "received 1000000000"),
        ("no-such-model", 1, "no-such-model"),
        ("-1", 1, "-1"),
    ],
)
def test_bad_models_are_refused_in_one_line(deployment: Deployment, models: str, code: int, words: str) -> None:
    ended = deployment.corun("run", "--models", models, "--platform", "wasm")
    assert (ended.code, ended.out) == (code, "")
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("corun: --models: ")
    assert words in ended.err


def test_the_users_own_models_are_listed(deployment: Deployment) -> None:
    ended = deployment.beside("models", "--json", "--target", deployment.targets["resource-pool"])
    listed = {model["name"]: model for model in ended.document["models"]}
    assert listed["tiny-text"]["weights_origin"] == "PRETRAINED"
    assert listed["tiny-vision"]["weights_origin"] == "SEEDED"


def test_an_execution_is_listed_and_can_be_watched_to_its_end_again(deployment: Deployment) -> None:
    identifier = deployment.corun("run", *WORKLOAD, "--json").document["execution_id"]
    newest = deployment.corun("executions", "--limit", "1", "--json").document["executions"][0]
    assert (newest["execution_id"], newest["state"]) == (identifier, "completed")
    watched = deployment.corun("executions", "watch", identifier)
    assert (watched.code, watched.err) == (0, "")
    assert "completed: " in watched.out.splitlines()[-1]
    assert deployment.corun("executions", "cancel", identifier).out == f"execution {identifier}: completed\n"


def test_a_service_says_what_it_does_not_host(deployment: Deployment) -> None:
    if len(set(deployment.targets.values())) == 1:
        return  # one address hosts all of them
    ended = deployment.corun("models", "--json")
    assert ended.code == 1
    assert "resource pool" in ended.document["error"]["message"]


def test_a_second_stack_on_the_same_database_is_told_who_holds_it(deployment: Deployment) -> None:
    ended = deployment.beside("run", *WORKLOAD, "--json")
    assert ended.code == 1
    assert ended.document["error"]["reason"] == "DATABASE_LOCKED"
    assert "--target" in ended.document["error"]["message"]


def test_a_taken_port_is_named(deployment: Deployment) -> None:
    ended = deployment.beside("up", "--port", deployment.targets["orchestrator"].rpartition(":")[2])
    assert (ended.code, ended.out) == (1, "")
    assert deployment.targets["orchestrator"] in ended.err
    assert len(ended.err.splitlines()) == 1


def test_the_doctor_says_that_the_database_is_held(tmp_path: Path) -> None:
    environment = isolated_environment(tmp_path)
    with duckdb.connect(environment["CORUN_VALIDATOR_DB_PATH"]):
        ended = corun("doctor", "--json", environment=environment, folder=tmp_path)
    checks = {check["name"]: check for check in ended.document["checks"]}
    assert ended.code == 1
    assert checks["database"]["ok"] is False
    assert checks["any browser"]["ok"] is True


def test_a_run_without_target_that_is_terminated_closes_its_browsers(tmp_path: Path) -> None:
    environment = isolated_environment(tmp_path)
    arguments = [*COMMAND, "run", *WORKLOAD, "--iterations", "10000", "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as process:
        family = _family_with_lanes(process.pid)
        time.sleep(2)  # into the profiling or the run itself
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert '"INTERRUPTED"' in out
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [each.name() for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []


def _family_with_lanes(process_id: int) -> list[psutil.Process]:
    """The process's descendants once a page of a browser is among them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        family = psutil.Process(process_id).children(recursive=True)
        if any("--type=renderer" in _arguments(each) for each in family):
            return family
        time.sleep(0.1)
    raise AssertionError("no browser came up")


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
