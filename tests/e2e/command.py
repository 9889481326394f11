"""The `corun` command in an isolated environment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "corun.cli"]


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
