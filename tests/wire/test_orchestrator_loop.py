"""The closed loop with a real predictor and a real validator; only the browsers are fakes."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from corun.embedded import hosted, settings_of
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun_client import connect_async
from tests.fakes.fake_resource_pool import figures
from tests.fakes.orchestrator_stack import fake_peers, orchestrator_with, workload

NAMES = ("fake-text", "fake-vision", "fake-audio")


async def test_rows_refinements_and_versions_tell_one_story(tmp_path: Path) -> None:
    draw = random.Random(3)
    settings = {"validation_interval": 1, "refinement_pause_seconds": 0.01}
    versions = []
    async with (
        fake_peers() as peers,
        hosted("predictor", settings_of("predictor", port=0, state_folder=tmp_path / "predictor")) as predictor,
        hosted("validator", settings_of("validator", port=0, db_path=tmp_path / "v.duckdb")) as validator,
        orchestrator_with(
            peers, tmp_path / "orchestrator", predictor_target=predictor, validator_target=validator, **settings
        ) as stack,
        connect_async(validator) as client,
    ):

        async def run() -> None:
            names = draw.choices(NAMES, k=draw.randint(2, 5))
            # Slower than its runs, and much of it is noise: errors stay over the threshold.
            for strategy in core_pb2.Strategy.values()[1:]:
                took = 40.0 * len(names) * draw.lognormvariate(0, 0.4)
                peers.pool.outcomes[strategy].clear()
                peers.pool.outcomes[strategy].append(figures(took, 1000 / took, 100.0))
            request = orchestrator_pb2.ExecuteWithStrategyRequest(
                workload=workload(*names), platform=core_pb2.PLATFORM_WASM
            )
            events = [event async for event in stack.client.ExecuteWithStrategy(request, timeout=20)]
            assert not events[-1].completed.warnings
            versions.append(events[-1].completed.chosen.prediction.predictor_version)

        async def attempts() -> list[dict[str, Any]]:
            """Those on record, once they are all that there were."""
            while True:
                found = await client.query("SELECT * FROM model_refinements ORDER BY after_validation_number")
                status = await stack.client.GetRefinementStatus(orchestrator_pb2.GetRefinementStatusRequest())
                wasm = next(each for each in status.platforms if each.platform == core_pb2.PLATFORM_WASM)
                if 1 <= found.num_rows == wasm.accepted_count + wasm.refused_count:
                    accepted: list[bool] = found["accepted"].to_pylist()
                    assert wasm.accepted_count == sum(accepted)
                    return list(found.to_pylist())
                await asyncio.sleep(0.05)

        for _ in range(22):
            await run()
        async with asyncio.timeout(20):
            await attempts()
        await run()
        async with asyncio.timeout(20):
            refinements = await attempts()
            recorded: list[str] = []
            while len(recorded) < len(versions):
                rows = await client.query(
                    "SELECT predictor_version FROM multi_model_validation_metrics ORDER BY validation_number"
                )
                recorded = rows["predictor_version"].to_pylist()
    assert recorded == versions
    assert len(refinements) <= 3  # at most one in ten validations
    # The first may come too early, of fewer records than the predictor wants; later ones are judged.
    for attempt in refinements[1:]:
        assert attempt["held_out_count"] >= 4
        assert attempt["latency_error_before"] > 0
        assert attempt["latency_error_after"] > 0
    refined = list(dict.fromkeys(_refined(version) for version in versions))
    assert refined[1:] == [_refined(each["predictor_version_after"]) for each in refinements if each["accepted"]]


def _refined(version: str) -> str:
    return version.partition("-r")[2]
