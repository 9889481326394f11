from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from corun.plumbing.channel import open_channel
from corun.v1 import core_pb2, predictor_service_pb2
from corun.v1.predictor_service_pb2_grpc import PredictorServiceStub

SECONDS = 20
ENVIRONMENT = predictor_service_pb2.ExecutionEnvironment(
    platform=core_pb2.PLATFORM_WASM, engine="chromium", core_count=2
)
REQUEST = predictor_service_pb2.PredictRequest(
    workload=core_pb2.Workload(models=[core_pb2.ModelConfig(model_name="a", batch_size=1)]), environment=ENVIRONMENT
)


def observed(time_ms: float) -> predictor_service_pb2.ObserveRequest:
    run = predictor_service_pb2.Observation(model_name="a", batch_size=1, lane_width=2, run_time_ms=time_ms)
    return predictor_service_pb2.ObserveRequest(environment=ENVIRONMENT, observations=[run])


@asynccontextmanager
async def process(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The predictor as a process of its own, and its address."""
    environment = os.environ | {"CORUN_PREDICTOR_PORT": "0", "CORUN_PREDICTOR_STATE_FOLDER": str(folder)}
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "corun.predictor",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert started.stdout is not None
        async with asyncio.timeout(SECONDS):
            line = (await started.stdout.readline()).decode()
        yield started, line.removeprefix("predictor listening on ").strip()
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    async with process(tmp_path) as (running, address), open_channel(address) as channel:
        stub = PredictorServiceStub(channel)
        for time_ms in (50.0, 51.0, 52.0):
            await stub.Observe(observed(time_ms), timeout=SECONDS)
        before = await stub.Predict(REQUEST, timeout=SECONDS)
        running.kill()
        await running.wait()
    async with process(tmp_path) as (_, address), open_channel(address) as channel:
        assert await PredictorServiceStub(channel).Predict(REQUEST, timeout=SECONDS) == before
    assert before.predictor_version == "1.3"


async def test_a_second_process_on_the_same_folder_says_why_it_does_not_start(tmp_path: Path) -> None:
    async with process(tmp_path), process(tmp_path) as (second, _):
        _, complaint = await asyncio.wait_for(second.communicate(), SECONDS)
    assert second.returncode == 1
    assert complaint.decode().startswith("predictor: state_folder: ")


async def test_a_termination_signal_ends_it_cleanly(tmp_path: Path) -> None:
    async with process(tmp_path) as (running, address), open_channel(address) as channel:
        await PredictorServiceStub(channel).Observe(observed(50.0), timeout=SECONDS)
        running.terminate()
        assert await asyncio.wait_for(running.wait(), SECONDS) == 0
