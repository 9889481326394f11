"""The write-ahead log is damaged after a kill: what was acknowledged and is gone is told, and writing goes on."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from corun.plumbing.channel import open_channel
from corun.v1 import validator_service_pb2 as pb
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from corun.validator.high_water_mark import mark_path
from corun.validator.recovery import log_path, open_database
from corun.validator.storage_state import read_incidents
from tests.validators import execution, validator_process

# Each kind of damage so many times; 25 with the long form, CORUN_DAMAGE_ROUNDS=25.
ROUNDS = int(os.environ.get("CORUN_DAMAGE_ROUNDS", "6"))
RECORDS = 60


@dataclass(frozen=True)
class Killed:
    """Files of a validator that was killed with most of its records in the log."""

    folder: Path

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.folder, to)
        return to / "v.duckdb"


@pytest.fixture(scope="module")
async def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    async with validator_process(folder / "v.duckdb") as (child, address), open_channel(address) as channel:
        stub = ValidatorServiceStub(channel)
        for number in range(RECORDS):
            request = pb.ValidatePredictionRequest(execution=execution(f"e{number}"))
            await stub.ValidatePrediction(request, timeout=30)
        child.kill()
        await child.wait()
    assert log_path(folder / "v.duckdb").stat().st_size > 1000
    return Killed(folder)


def flip_a_bit(content: bytearray, random_source: random.Random) -> None:
    content[random_source.randrange(len(content))] ^= 1 << random_source.randrange(8)


def overwrite_64_bytes(content: bytearray, random_source: random.Random) -> None:
    place = random_source.randrange(len(content))
    content[place : place + 64] = b"\xff" * len(content[place : place + 64])


def cut_off(content: bytearray, random_source: random.Random) -> None:
    del content[random_source.randrange(len(content)) :]


def delete(content: bytearray, _random_source: random.Random) -> None:
    content.clear()


DAMAGES = (flip_a_bit, overwrite_64_bytes, cut_off, delete)


def damaged(
    killed: Killed, folder: Path, damage: Callable[[bytearray, random.Random], None]
) -> Iterator[tuple[Path, bytes]]:
    """Copies of the files with the log damaged, each at another place, and the damaged log."""
    random_source = random.Random(damage.__name__)
    for number in range(ROUNDS):
        path = killed.copy(folder / str(number))
        content = bytearray(log_path(path).read_bytes())
        damage(content, random_source)
        if content:
            log_path(path).write_bytes(content)
        else:
            log_path(path).unlink()
        yield path, bytes(content)


@pytest.mark.parametrize("damage", DAMAGES)
def test_rows_lost_with_the_log_are_named_and_the_damaged_log_is_kept(
    killed: Killed, tmp_path: Path, damage: Callable[[bytearray, random.Random], None]
) -> None:
    for path, log in damaged(killed, tmp_path, damage):
        opened = open_database(path)
        left = opened.state.row_counts["executions"]
        assert opened.incident is not None, f"{RECORDS - left} executions were lost without a word"
        missing = opened.incident.loss.missing_row_counts
        assert left + missing.get("executions", 0) == RECORDS
        assert opened.state.row_counts["runs"] + missing.get("runs", 0) == RECORDS
        if left < RECORDS:
            assert f"{RECORDS - left} of executions" in opened.incident.loss.description
        if log:
            assert Path(opened.incident.kept_file).read_bytes() == log
        opened.connection.close()
        opened.mark.close()
        # The next start is in order, and still knows.
        again = open_database(path)
        assert again.incident is None
        assert [each.loss for each in read_incidents(again.connection)] == [opened.incident.loss]
        again.connection.close()
        again.mark.close()


def test_an_intact_log_is_replayed_without_an_incident_and_leaves_no_copy(killed: Killed, tmp_path: Path) -> None:
    path = killed.copy(tmp_path / "intact")
    opened = open_database(path)
    assert opened.incident is None
    assert opened.state.row_counts["executions"] == RECORDS
    opened.connection.close()
    opened.mark.close()
    assert sorted(each.name for each in path.parent.iterdir()) == ["v.duckdb", "v.duckdb.mark"]


@pytest.mark.parametrize("content", [b"", b"\xff" * 8192, b"00000000 {}\n"])
def test_a_damaged_mark_is_told_because_nothing_can_be_held_against_it(
    killed: Killed, tmp_path: Path, content: bytes
) -> None:
    path = killed.copy(tmp_path / "marked")
    mark_path(path).write_bytes(content)
    opened = open_database(path)
    assert opened.incident is not None
    assert "not known" in opened.incident.loss.description
    assert "is damaged" in opened.incident.loss.description
    opened.connection.close()
    opened.mark.close()


def test_a_database_that_is_gone_is_told_of_and_a_new_one_made(killed: Killed, tmp_path: Path) -> None:
    path = killed.copy(tmp_path / "gone")
    path.unlink()
    log_path(path).unlink()
    opened = open_database(path)
    assert opened.incident is not None
    assert opened.incident.loss.missing_row_counts["executions"] == RECORDS
    assert opened.state.row_counts["executions"] == 0
    opened.connection.close()
    opened.mark.close()


def test_an_older_copy_of_the_database_is_noticed(killed: Killed, tmp_path: Path) -> None:
    path = killed.copy(tmp_path / "older")
    older = path.read_bytes()  # as it was before the log
    opened = open_database(path)
    opened.connection.close()
    opened.mark.close()
    path.write_bytes(older)
    opened = open_database(path)
    assert opened.incident is not None
    assert opened.incident.loss.missing_row_counts["executions"] == RECORDS
    opened.connection.close()
    opened.mark.close()


async def test_the_service_starts_degraded_says_so_and_goes_on_recording(killed: Killed, tmp_path: Path) -> None:
    path = killed.copy(tmp_path / "served")
    log_path(path).unlink()
    async with validator_process(path) as (_, address), open_channel(address) as channel:
        stub = ValidatorServiceStub(channel)
        status = await stub.GetStorageStatus(pb.GetStorageStatusRequest())
        assert status.degraded
        (incident,) = status.incidents
        assert incident.missing_row_counts["executions"] == RECORDS
        name = pb.DESCRIPTOR.services_by_name["ValidatorService"].full_name
        health: Any = health_pb2_grpc.HealthStub(channel)  # its stubs know no methods
        serving = health_pb2.HealthCheckResponse
        for part, expected in (("", serving.SERVING), ("/record", serving.NOT_SERVING)):
            request = health_pb2.HealthCheckRequest(service=f"{name}{part}")
            assert (await health.Check(request, timeout=10)).status == expected
        again = await stub.RecordExecution(pb.RecordExecutionRequest(execution=execution("e0")))
        assert again.newly_recorded
