"""The `corun` command in an isolated environment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "corun.cli"]
PEERS = ("predictor", "resource-pool", "validator")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Standard output, which must be exactly one JSON object."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


def corun(*arguments: str, environment: Mapping[str, str], folder: Path, timeout: float = 180) -> Ended:
    """Runs one command to its end."""
    ended = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=dict(environment),
        cwd=folder,
        timeout=timeout,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def corun_up(*, environment: Mapping[str, str], folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`corun up` on a free port: its address and its process, which is ended on leaving."""
    process = subprocess.Popen(
        [*COMMAND, "up", "--port", "0"], stdout=subprocess.PIPE, text=True, env=dict(environment), cwd=folder
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        assert lines[-1].startswith("ready"), lines
        yield lines[-2].split()[-1], process
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close() if process.stdout else None


@contextmanager
def one_process(*, environment: Mapping[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """The address of each service of a `corun up`, which is the same; it must end well."""
    with corun_up(environment=environment, folder=folder) as (target, process):
        yield dict.fromkeys((*PEERS, "orchestrator"), target)
        assert process.poll() is None
    assert process.returncode == 0


@contextmanager
def four_processes(*, environment: Mapping[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """The address of each service, a `corun serve` each; all must end well."""
    own = {**environment, "CORUN_ORCHESTRATOR_STATE_FOLDER": str(folder / "executions")}
    with ExitStack() as stack:

        def start(service: str, *arguments: str) -> subprocess.Popen[str]:
            command = [*COMMAND, "serve", service, "--port", "0", *arguments]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own, cwd=folder)
            stack.callback(_ended_well, process)
            return process

        peers = {service: start(service) for service in PEERS}
        targets = {service: _address(process) for service, process in peers.items()}
        known = [word for service, target in targets.items() for word in (f"--{service}-target", target)]
        yield {**targets, "orchestrator": _address(start("orchestrator", *known))}


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().split()[-1]


def _ended_well(process: subprocess.Popen[str]) -> None:
    process.terminate()
    code = process.wait(60)
    process.stdout.close() if process.stdout else None
    assert code == 0
