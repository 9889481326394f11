"""The embedded stack, in the running loop and in a thread of its own. No browser is started by these."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from corun.embedded import SERVICES, StackOptions, embedded_stack, hosted, settings_of
from corun.errors import InvalidField
from corun.plumbing.channel import open_channel
from corun_client import (
    CorunError,
    EmbeddedThread,
    InvalidArgument,
    MultiModelResourcePoolIntegration,
    Unavailable,
    connect,
    connect_async,
)

NAMES = ("PredictorService", "ResourcePoolService", "ValidatorService", "OrchestratorService")


@pytest.fixture
def options(tmp_path: Path) -> StackOptions:
    return {"db_path": tmp_path / "corun.duckdb", "state_folder": tmp_path / "predictor"}


def embedded_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "corun-embedded"]


async def test_all_four_services_answer_on_one_address(options: StackOptions) -> None:
    async with embedded_stack(**options) as address, open_channel(address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)  # its stubs know blocking channels only
        for name in NAMES:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=f"corun.v1.{name}"), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_orchestrator_reaches_its_peers_at_that_address(options: StackOptions) -> None:
    async with embedded_stack(**(options | {"error_threshold": 0.4})) as address, connect_async(address) as client:
        metrics = await client.metrics()
    assert metrics["database_path"] == str(options["db_path"])
    assert metrics["error_threshold"] == pytest.approx(0.4)


async def test_a_stack_that_was_left_frees_its_port_and_its_database(options: StackOptions) -> None:
    async with embedded_stack(**options) as address:
        port = int(address.rpartition(":")[2])
    async with embedded_stack(**(options | {"port": port})) as again:
        assert again == address


async def test_a_taken_port_is_an_error_that_names_it(options: StackOptions) -> None:
    async with embedded_stack(**options) as address:
        taken = options | {"port": int(address.rpartition(":")[2])}
        with pytest.raises(OSError, match=address):
            async with embedded_stack(**taken):
                pass


@pytest.mark.parametrize(
    "bad", [{"max_connections": 0}, {"validation_interval": -1}, {"error_threshold": float("nan")}]
)
async def test_a_bad_setting_is_refused_by_its_name_before_anything_is_bound(bad: StackOptions) -> None:
    (name,) = bad
    with pytest.raises(InvalidField, match=f"^{name}: "):
        async with embedded_stack(**bad):
            pass


async def test_one_service_can_be_hosted_alone(tmp_path: Path) -> None:
    settings = settings_of("validator", port=0, db_path=tmp_path / "alone.duckdb")
    async with hosted("validator", settings) as address, connect_async(address) as client:
        assert (await client.metrics())["execution_count"] == 0


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_settings_that_start_without_being_told_anything(service: str) -> None:
    assert settings_of(service).host == "127.0.0.1"


def test_a_thread_serves_a_blocking_client_until_it_is_closed(options: StackOptions) -> None:
    thread = EmbeddedThread(**options)
    with connect(thread.start()) as client:
        assert client.metrics()["execution_count"] == 0
        thread.close()
        thread.close()
        with pytest.raises(Unavailable):
            client.metrics()
    assert embedded_threads() == []


def test_closing_before_starting_is_fine(options: StackOptions) -> None:
    EmbeddedThread(**options).close()


def test_what_keeps_a_service_from_starting_is_raised_and_leaves_no_thread(options: StackOptions) -> None:
    Path(str(options["db_path"])).write_bytes(b"this is no database" * 1000)
    with pytest.raises(CorunError, match=r"corun\.duckdb"):
        EmbeddedThread(**options).start()
    assert embedded_threads() == []


def test_a_bad_setting_is_the_clients_invalid_argument() -> None:
    with pytest.raises(InvalidArgument, match=r"^max_connections: "):
        EmbeddedThread(max_connections=1000).start()


def test_a_taken_port_is_the_clients_unavailable(options: StackOptions) -> None:
    with EmbeddedThread(**options) as address, pytest.raises(Unavailable, match=address):
        EmbeddedThread(**(options | {"port": int(address.rpartition(":")[2])})).start()


def test_an_integration_at_a_target_starts_nothing_and_says_what_the_target_decides(
    options: StackOptions, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedThread(**options) as address:
        before = set(threading.enumerate())
        with MultiModelResourcePoolIntegration(target=address, max_connections=2) as integration:
            assert integration.get_validation_metrics()["execution_count"] == 0
            assert embedded_threads() == ["corun-embedded"]
        # The services' own workers come and go with their load.
        started = {each for each in threading.enumerate() if not each.name.startswith("asyncio_")} - before
        assert len(started) <= 1, started  # gRPC keeps one for the channel
    assert "max_connections=2 has no effect" in caplog.text


def test_a_program_that_forgets_to_close_ends_cleanly(tmp_path: Path) -> None:
    program = (
        "import sys; from corun_client import EmbeddedThread; "
        "print(EmbeddedThread(db_path=sys.argv[1], state_folder=sys.argv[2]).start())"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "corun.duckdb"), str(tmp_path / "predictor")]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("127.0.0.1:")
