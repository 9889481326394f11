"""Bounds of the choice and refinement from the client and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun_client import InvalidArgument, MultiModelResourcePoolIntegration, NotInitialized, connect_async
from tests.fakes.client_services import ScriptedOrchestrator, serving
from tests.wire.test_client_command import corun

GUIDES_KEYS = {"parallel_threshold", "sequential_threshold", "batching_size", "memory_threshold"}
# The guide's.
CUSTOM = {"parallel_threshold": 4, "sequential_threshold": 10, "batching_size": 5, "memory_threshold": 6000}


def test_the_guides_calls_work_with_services_of_their_own_and_are_kept(tmp_path: Path) -> None:
    db_path = tmp_path / "benchmark_db.duckdb"
    with MultiModelResourcePoolIntegration(db_path=db_path) as integration:
        adaptive = integration.get_adaptive_configuration("webgpu")
        updated = integration.update_strategy_configuration("webgpu", CUSTOM)
        adapted = integration.update_strategy_configuration("webgpu")
        (status, *_) = integration._connected().refinement_status()
    with MultiModelResourcePoolIntegration(db_path=db_path, prediction_refinement=False) as integration:
        client = integration._connected()
        kept, elsewhere = client.strategy_configuration("webgpu"), client.strategy_configuration("wasm")
        assert client.refinement_status() == []
    assert set(adaptive) >= GUIDES_KEYS
    assert not adaptive["sufficient_data"]
    assert adaptive["reason"] == "0 validations on webgpu, 5 are needed"
    assert {key: updated[key] for key in GUIDES_KEYS} == CUSTOM  # type: ignore[literal-required]
    assert (adapted["updated"], adapted["reason"]) == (False, "0 validations on webgpu, 5 are needed")
    assert {key: kept[key] for key in GUIDES_KEYS} == CUSTOM  # type: ignore[literal-required]
    assert set(kept["origins"].values()) == {"manual"}
    assert [change["origin"] for change in kept["changes"]] == ["manual"]
    assert elsewhere["memory_threshold"] is None
    assert (status["hardware_platform"], status["failing"], status["last_reason"]) == ("webgpu", False, None)


def test_before_initialize_there_is_nothing_to_configure() -> None:
    with pytest.raises(NotInitialized):
        MultiModelResourcePoolIntegration().update_strategy_configuration("webgpu")


async def test_the_asyncio_client_has_the_same_calls_and_refuses_what_it_does_not_know() -> None:
    orchestrator = ScriptedOrchestrator()
    async with serving(orchestrator) as target, connect_async(target) as client:
        adaptive = await client.adaptive_configuration("cpu")
        await client.update_strategy_configuration("wasm", {"batching_size": 3})
        await client.update_strategy_configuration("wasm")
        await client.reset_strategy_configuration("wasm")
        with pytest.raises(InvalidArgument, match=r"config\.threshold"):
            await client.update_strategy_configuration("wasm", {"threshold": 3})
        with pytest.raises(InvalidArgument, match="hardware_platform"):
            await client.adaptive_configuration("cuda")
    assert (adaptive["parallel_threshold"], adaptive["current"]["parallel_threshold"]) == (6, 4)
    assert adaptive["evidence"]["suggested_regret"] == pytest.approx(0.05)
    assert orchestrator.requests[0].platform == core_pb2.PLATFORM_WASM
    changes = [each.WhichOneof("change") for each in orchestrator.requests[1:]]
    assert changes == ["values", None, "reset"]
    assert orchestrator.requests[1].values == predictor_pb2.StrategyConfiguration(batching_size=3)


async def test_the_command_shows_sets_and_adapts() -> None:
    orchestrator = ScriptedOrchestrator()
    async with serving(orchestrator) as target:
        at = ("--platform", "wasm", "--target", target)
        _, shown, _ = await corun("config", "show", *at)
        code, document, _ = await corun("config", "set", "--parallel-threshold", "4", *at, "--json")
        _, suggested, _ = await corun("config", "adapt", "--dry-run", *at)
        refused, _, complaint = await corun("config", "set", *at)
    (line,) = [line for line in shown.splitlines() if "parallel_threshold" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")][:3] == ["parallel_threshold", "4", "manual"]
    assert "no bound" in next(line for line in shown.splitlines() if "memory_threshold" in line)
    assert code == 0
    report = json.loads(document)
    assert (report["parallel_threshold"], report["memory_threshold"], report["updated"]) == (4, None, True)
    assert "mean regret: settings 20.0%, in force before 10.0%, suggested 5.0%" in " ".join(suggested.split())
    assert refused != 0
    assert "--reset" in complaint
    sent = [type(each) for each in orchestrator.requests]
    assert sent == [
        orchestrator_pb2.GetStrategyConfigurationRequest,
        orchestrator_pb2.UpdateStrategyConfigurationRequest,
        orchestrator_pb2.GetAdaptiveConfigurationRequest,
    ]
