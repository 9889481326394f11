"""`make bench`: every benchmark, one after another, in one process; `python -m tests.bench NAME...`: some of them."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import traceback
from collections.abc import Sequence

from rich.console import Console

from corun.plumbing.logs import configure_logs

NAMES = (
    "bench_predict",
    "bench_records",
    "bench_refinement",
    "bench_pool",
    "bench_execution",
    "bench_orchestrator",
    "bench_loop",
    "bench_transport",
    "bench_lane",
    "bench_sharing",
    "bench_speech",
    "bench_validator",
)


async def run(names: Sequence[str]) -> list[str]:
    """Runs benchmarks, each of which prints its own tables; gives the names of those that failed."""
    failed = []
    for name in names:
        Console(width=120).rule(name)
        try:
            await importlib.import_module(f"tests.bench.{name}").bench()
        except Exception:
            traceback.print_exc()
            failed.append(name)
    return failed


def main() -> int:
    """Gives the exit code: 1 when a benchmark failed."""
    parser = argparse.ArgumentParser(description="Measures speed, as ratios.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; all by default")
    names = parser.parse_args().names or NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}")
    configure_logs(verbose=False)
    failed = asyncio.run(run(names))
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
