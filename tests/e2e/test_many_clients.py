"""Twenty clients at once, each on a connection of its own, and two real browsers.

`CORUN_TEST_CLIENT_SECONDS` makes it as long as it says; by default it takes 20 seconds.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from corun.embedded import embedded_stack
from corun_client.async_client import AsyncClient, connect_async
from corun_client.conversion.reports import ExecutionReport

SECONDS = float(os.environ.get("CORUN_TEST_CLIENT_SECONDS", "20"))
CLIENTS, BROWSERS = 20, 2


async def execute(client: AsyncClient, name: str) -> ExecutionReport:
    models = [{"model_name": "silero-vad", "batch_size": 1}]
    return await client.execute(
        models=models, platform="wasm", strategy="sequential", client_id=name, timeout_seconds=60
    )


async def keep_two_under_way(client: AsyncClient, name: str, until: float) -> tuple[list[ExecutionReport], int]:
    """So that one waits whenever it is this client's turn; all reports, and how many of them were there in time."""
    reports: list[ExecutionReport] = []
    in_time = 0

    async def one_after_another() -> None:
        nonlocal in_time
        while time.monotonic() < until:
            reports.append(await execute(client, name))
            in_time += time.monotonic() < until

    await asyncio.gather(one_after_another(), one_after_another())
    return reports, in_time


async def warm_up(clients: Sequence[AsyncClient]) -> int:
    """Opens both browsers and loads the model there; gives how many executions that took."""
    browsers: set[str] = set()
    count = 0
    while len(browsers) < BROWSERS:
        reports = await asyncio.gather(*(execute(client, "first") for client in clients[:BROWSERS]))
        browsers |= {lane["connection_id"] for report in reports for lane in report["lanes"]}
        count += len(reports)
    return count


async def count_recorded(client: AsyncClient, *, at_least: int) -> int:
    """Executions on record; those that have ended may take a moment to be there."""
    count = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while count < at_least:
                count = (await client.metrics(platform="wasm"))["execution_count"]
    return count


async def test_twenty_clients_get_equal_shares_of_two_browsers_and_none_is_lost_or_stuck(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        services = embedded_stack(
            max_connections=BROWSERS, db_path=tmp_path / "corun.duckdb", state_folder=tmp_path, validation_interval=1
        )
        address = await stack.enter_async_context(services)
        clients = [await stack.enter_async_context(connect_async(address)) for _ in range(CLIENTS)]
        warmed_up = await warm_up(clients)
        until = time.monotonic() + SECONDS
        done = await asyncio.gather(
            *(keep_two_under_way(client, f"client-{number}", until) for number, client in enumerate(clients))
        )
        reports = [report for some, _ in done for report in some]
        recorded = await count_recorded(clients[0], at_least=warmed_up + len(reports))
    counts = [in_time for _, in_time in done]
    waits = [report["queue_time_ms"] for report in reports]
    p99 = statistics.quantiles(waits, n=100, method="inclusive")[98]
    print(
        f"{SECONDS:g} s, {CLIENTS} clients, {BROWSERS} browsers: {sum(counts)} executions, {min(counts)} to "
        f"{max(counts)} a client; waiting p50 {statistics.median(waits):.0f} ms, p99 {p99:.0f} ms"
    )
    assert max(counts) - min(counts) <= 0.2 * statistics.mean(counts)
    assert len({report["execution_id"] for report in reports}) == len(reports)
    assert len({lane["connection_id"] for report in reports for lane in report["lanes"]}) == BROWSERS
    assert recorded == len(reports) + warmed_up
