"""`make bench`: every benchmark, one after another, in one process."""

from __future__ import annotations

import asyncio

from tests.bench import bench_execution, bench_lane, bench_predict, bench_speech, bench_transport


async def main() -> None:
    """Runs them all; each prints its own table."""
    for module in (bench_predict, bench_execution, bench_transport, bench_lane, bench_speech):
        await module.bench()


if __name__ == "__main__":
    asyncio.run(main())
