"""`python -m tests.bench.record_runs FILE.json.gz [--seed N …]`: runs `corun bench accuracy` and keeps what happened.

The file has what the predictor was told, what it was asked about workloads that were held out, and what was measured
of them: `tests/unit/predictor/test_recorded_runs.py` learns from such files again. Options are those of the command,
but for `--target`: the services must be its own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from corun.accuracy import benchmark
from corun.accuracy.core.points import HeldOut
from corun.accuracy.held_out import Asked
from corun.accuracy.held_out import measured as really_measured
from corun.accuracy.site import Site
from corun.cli import main
from tests.bench.recording import as_dict, told_meanwhile, write


def record(file: Path) -> None:
    """Runs the command that `sys.argv` holds, and writes the file after it."""
    recorded: dict[str, Any] = {}
    with told_meanwhile() as told:

        async def measured(
            site: Site, asked: Sequence[Asked], alone_mb: Mapping[str, float], *, repeats: int
        ) -> list[HeldOut]:
            recorded["observed"] = list(map(as_dict, told))
            found = await really_measured(site, asked, alone_mb, repeats=repeats)
            recorded["held_out"] = [_held_out(*each) for each in zip(asked, found, strict=True)]
            return found

        try:
            with patch.object(benchmark, "measured", measured):
                main()
        finally:
            if "held_out" in recorded:
                write(file, recorded)


def _held_out(asked: Asked, found: HeldOut) -> dict[str, Any]:
    return {
        "asked": as_dict(asked.forecast.request),
        "unseen": asked.unseen,
        "measured": {
            point.strategy.value: [
                [each.latency_ms, each.throughput_items_per_second, each.memory_mb] for each in point.repeats
            ]
            for point in found.points
        },
    }


if __name__ == "__main__":
    name, *options = sys.argv[1:]
    sys.argv = ["corun", "bench", "accuracy", *options]
    record(Path(name))
