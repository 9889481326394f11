"""`python -m tests.bench.record_runs FILE.json.gz [--seed N …]`: runs `corun bench accuracy` and keeps what happened.

The file has what the predictor was told, what it was asked about workloads that were held out, and what was measured
of them: `tests/unit/predictor/test_recorded_runs.py` learns from such files again. Options are those of the command,
but for `--target`: the services must be its own.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from corun.accuracy import benchmark
from corun.accuracy.core.points import HeldOut
from corun.accuracy.held_out import Asked
from corun.accuracy.held_out import measured as really_measured
from corun.accuracy.site import Site
from corun.cli import main
from corun.orchestrator.peers import Peers
from corun.v1 import predictor_service_pb2 as predictor_pb2


def record(file: Path) -> None:
    """Runs the command that `sys.argv` holds, and writes the file after it."""
    observed: list[dict[str, Any]] = []
    recorded: dict[str, Any] = {}
    really_observe = Peers.observe

    async def observe(peers: Peers, request: predictor_pb2.ObserveRequest) -> predictor_pb2.ObserveResponse:
        observed.append(_as_dict(request))
        return await really_observe(peers, request)

    async def measured(
        site: Site, asked: Sequence[Asked], alone_mb: Mapping[str, float], *, repeats: int
    ) -> list[HeldOut]:
        recorded["observed"] = list(observed)
        found = await really_measured(site, asked, alone_mb, repeats=repeats)
        recorded["held_out"] = [_held_out(*each) for each in zip(asked, found, strict=True)]
        return found

    try:
        with patch.object(Peers, "observe", observe), patch.object(benchmark, "measured", measured):
            main()
    finally:
        if "held_out" in recorded:
            content = json.dumps(recorded, separators=(",", ":"))
            file.write_bytes(gzip.compress(content.encode(), mtime=0))


def _held_out(asked: Asked, found: HeldOut) -> dict[str, Any]:
    return {
        "asked": _as_dict(asked.forecast.request),
        "unseen": asked.unseen,
        "measured": {
            point.strategy.value: [
                [each.latency_ms, each.throughput_items_per_second, each.memory_mb] for each in point.repeats
            ]
            for point in found.points
        },
    }


def _as_dict(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


if __name__ == "__main__":
    name, *options = sys.argv[1:]
    sys.argv = ["corun", "bench", "accuracy", *options]
    record(Path(name))
