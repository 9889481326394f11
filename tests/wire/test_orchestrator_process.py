"""The orchestrator as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from grpc_health.v1 import health_pb2, health_pb2_grpc

from corun.plumbing.channel import open_channel


async def test_the_process_says_where_it_listens_is_healthy_and_ends_on_sigterm(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "corun.orchestrator",
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"CORUN_ORCHESTRATOR_PORT": "0", "CORUN_ORCHESTRATOR_STATE_FOLDER": str(tmp_path)},
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode().strip()
            assert line.startswith("orchestrator listening on 127.0.0.1:")
            channel = open_channel(line.rsplit(" ", 1)[-1])
            async with channel:
                answer = await health_pb2_grpc.HealthStub(channel).Check(  # type: ignore[attr-defined]  # set at run time
                    health_pb2.HealthCheckRequest(service="corun.v1.OrchestratorService"), timeout=10
                )
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
