"""A validator that cannot start says why in one line and exits with 1."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def heed_permissions() -> None:
    """Makes the permissions of files hold for root too, who may otherwise write everywhere."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "a capability cannot be dropped")


def start(db_path: Path, **settings: str) -> subprocess.Popen[str]:
    environment = os.environ | {"CORUN_VALIDATOR_DB_PATH": str(db_path), "CORUN_VALIDATOR_PORT": "0"} | settings
    return subprocess.Popen(
        [sys.executable, "-m", "corun.validator"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_permissions,  # noqa: PLW1509  # no other thread runs here
    )


def refusal(db_path: Path, *, said_before: int = 0, **settings: str) -> str:
    """The one line of a validator that refuses to start, after at most as many lines as a library has `said_before`."""
    with start(db_path, **settings) as child:
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (1, ""), err
    *before, line = err.splitlines()
    assert len(before) <= said_before, err
    assert line.startswith("validator: ")
    return line


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with start(tmp_path / "v.duckdb") as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("validator listening on 127.0.0.1:")
        yield child
        child.terminate()
        child.communicate(timeout=60)


def test_a_second_process_on_the_file_is_told_who_holds_it(tmp_path: Path, running: subprocess.Popen[str]) -> None:
    line = refusal(tmp_path / "v.duckdb")
    assert f"the database {tmp_path / 'v.duckdb'} is held by process {running.pid} " in line
    assert running.poll() is None


def test_the_file_is_free_again_after_sigterm(tmp_path: Path) -> None:
    for _ in range(2):
        with start(tmp_path / "v.duckdb") as child:
            assert child.stdout is not None
            assert child.stdout.readline().startswith("validator listening")
            child.terminate()
            _, err = child.communicate(timeout=60)
        assert (child.returncode, err) == (0, "")


def test_a_path_that_cannot_hold_a_database_is_named_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no database\n" * 1000)
    assert f"the database {tmp_path} failed: " in refusal(tmp_path)
    assert "directory" in refusal(tmp_path)
    assert "not a valid DuckDB database" in refusal(file)
    assert "its folder cannot be made: Not a directory" in refusal(file / "below" / "v.duckdb")


def test_what_may_not_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    path = folder / "v.duckdb"
    folder.mkdir()
    folder.chmod(0o555)
    assert f"the database {path} failed: " in refusal(path)
    assert "Permission denied" in refusal(path)
    assert "its folder cannot be made: Permission denied" in refusal(folder / "below" / "v.duckdb")
    folder.chmod(0o755)
    path.write_bytes(b"")
    path.chmod(0o444)
    assert f"the database {path} failed: " in refusal(path)
    assert "Permission denied" in refusal(path)


def test_a_database_with_other_tables_under_our_names_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "foreign.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE runs AS SELECT 42 AS answer")
    line = refusal(path)
    assert "its tables cannot be brought up to date" in line
    assert "runs" in line
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("runs",)]


def test_a_database_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.duckdb"
    with start(path) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.terminate()
        child.communicate(timeout=60)
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)
    assert f"the database {path} failed" in refusal(path)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        # gRPC's core writes a line of its own about the port.
        line = refusal(tmp_path / "v.duckdb", said_before=1, CORUN_VALIDATOR_PORT=str(port))
    assert f"cannot listen on 127.0.0.1:{port}" in line


def test_a_wrong_setting_is_named_as_in_the_environment(tmp_path: Path) -> None:
    line = refusal(tmp_path / "v.duckdb", CORUN_VALIDATOR_ERROR_THRESHOLD="nan")
    assert "CORUN_VALIDATOR_ERROR_THRESHOLD" in line
