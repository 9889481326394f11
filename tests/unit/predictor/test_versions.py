from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corun.predictor.core.correction import LinearCorrection
from corun.predictor.core.estimators import Method
from corun.predictor.core.version import BASE, ModelVersion
from corun.predictor.core.workload import Platform
from corun.predictor.versions import UnknownVersion, VersionStore


def version(level: float) -> ModelVersion:
    return ModelVersion(
        method=Method.WINDOW,
        platform=Platform.WASM,
        created=1700000000.25,
        record_count=60,
        held_out_count=15,
        error_before=0.2,
        error_after=0.05,
        request_id="r-1",
        corrections={Platform.WASM: LinearCorrection({"level": level})},
    )


def test_without_versions_the_unrefined_one_serves(tmp_path: Path) -> None:
    assert VersionStore(tmp_path).serving == BASE
    assert VersionStore(tmp_path).all() == [BASE]


def test_versions_and_which_one_serves_survive_a_restart(tmp_path: Path) -> None:
    store = VersionStore(tmp_path)
    first, second = store.add(version(0.1)), store.add(version(0.2))
    assert [(each.number, each.parent) for each in (first, second)] == [(1, 0), (2, 1)]
    assert VersionStore(tmp_path).serving == second
    store.serve(1)
    again = VersionStore(tmp_path)
    assert again.serving == first
    third = again.add(version(0.3))
    assert (third.number, third.parent) == (3, 1)
    assert [each.number for each in again.all()] == [3, 2, 1, 0]


def test_an_unknown_number_is_refused_with_what_there_is(tmp_path: Path) -> None:
    store = VersionStore(tmp_path)
    store.add(version(0.1))
    with pytest.raises(UnknownVersion, match="no version 7; available: 0, 1"):
        store.serve(7)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\x80\x00",
        b'{"format": 1}',
        b'{"format": 9}',
        json.dumps({"format": 1, "number": 1}).encode(),
    ],
)
def test_a_damaged_version_is_set_aside_and_the_one_before_serves(tmp_path: Path, damage: bytes) -> None:
    store = VersionStore(tmp_path)
    first = store.add(version(0.1))
    store.add(version(0.2))
    (tmp_path / "000002.json").write_bytes(damage)
    again = VersionStore(tmp_path)
    assert again.serving == first
    assert (tmp_path / "000002.json.damaged-1").read_bytes() == damage
    # Its number is not used again: what it predicted may be on record under it.
    assert again.add(version(0.3)).number == 3


def test_a_weight_that_is_no_number_is_damage(tmp_path: Path) -> None:
    VersionStore(tmp_path).add(version(0.1))
    path = tmp_path / "000001.json"
    path.write_bytes(path.read_bytes().replace(b"0.1", b"NaN"))
    assert VersionStore(tmp_path).serving == BASE


def test_a_damaged_word_about_what_serves_leaves_the_newest_serving(tmp_path: Path) -> None:
    store = VersionStore(tmp_path)
    store.add(version(0.1))
    second = store.add(version(0.2))
    (tmp_path / "serving.json").write_bytes(b"{")
    assert VersionStore(tmp_path).serving == second


_WRITER = """
import sys
from pathlib import Path
from tests.unit.predictor.test_versions import version
from corun.predictor.versions import VersionStore
store = VersionStore(Path(sys.argv[1]))
while True:
    store.add(version(0.1))
    print(store.serving.number, flush=True)
"""


@pytest.mark.parametrize("after_seconds", [0.0, 0.013, 0.05])
def test_killing_the_writer_at_any_time_leaves_versions_that_load(tmp_path: Path, after_seconds: float) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(after_seconds)
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split(b"\n")[:-1])])
    store = VersionStore(tmp_path)
    assert store.serving.number >= acknowledged
    assert not list(tmp_path.glob("*.damaged-*"))
    assert store.add(version(0.2)).number > acknowledged
