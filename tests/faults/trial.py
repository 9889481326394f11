"""Puts hostile model folders before a real catalog, and looks at what that cost."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from corun.errors import ModelRefused
from corun.resource_pool.models.checking.limits import CheckLimits
from tests.unit.resource_pool.model_folders import COUNTING_RECIPE, offline_catalog, write_tiny_bert

# What the check of a small file may take by the clock, and more than this process grows by while it waits.
BOUND_SECONDS = CheckLimits().allowance(0).wall_seconds
BOUND_BYTES = 64_000_000
# Of a model in parts, without a type: what has one is listed without being opened.
RECIPE = COUNTING_RECIPE.replace('type = "audio"\n', "")
CHECK = "corun.resource_pool.models.checking.child"


class Trial:
    """A models folder with one good model, and a catalog that has opened it."""

    def __init__(self, place: Path, *, check_limits: CheckLimits | None = None) -> None:
        self.folder = place / "mine"
        self.catalog = offline_catalog(place, models_folder=self.folder, check_limits=check_limits)
        write_tiny_bert(self.folder / "good")
        self._count = 0

    def new_folder(self) -> Path:
        """An empty model folder."""
        self._count += 1
        folder = self.folder / f"hostile-{self._count}"
        folder.mkdir(parents=True)
        return folder

    def refusal_of(self, content: bytes) -> str:
        """Why a `model.onnx` of this content is refused."""
        folder = self.new_folder()
        (folder / "model.onnx").write_bytes(content)
        return self.refusal(folder)

    def refusal(self, folder: Path) -> str:
        """Why the model in the folder is refused: in time, at no cost to this process, leaving nothing behind."""
        before = psutil.Process().memory_info().rss
        begin = time.monotonic()
        with pytest.raises(ModelRefused) as raised:
            self.catalog.resolve(folder.name, field="the.field")
        assert time.monotonic() - begin < BOUND_SECONDS
        assert psutil.Process().memory_info().rss - before < BOUND_BYTES
        assert checks_of(psutil.Process()) == []
        assert raised.value.field == "the.field"
        assert raised.value.metadata["model_name"] == folder.name
        assert len(raised.value.message) < 1000
        assert raised.value.message.isprintable()
        assert not next(entry for entry in self.catalog.entries() if entry.name == folder.name).prepared
        assert self.catalog.resolve("good").size_bytes
        return raised.value.problem


def checks_of(process: psutil.Process) -> list[psutil.Process]:
    """Checks that run below a process."""
    found = []
    for child in process.children(recursive=True):
        try:
            if CHECK in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def await_check(process: psutil.Process) -> psutil.Process:
    """The check below a process, once there is one."""
    deadline = time.monotonic() + BOUND_SECONDS
    while time.monotonic() < deadline:
        if found := checks_of(process):
            return found[0]
        time.sleep(0.01)
    raise AssertionError("no check began")
