"""Remembers what model files were found to be, so that hundreds of megabytes are not checked at every start."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from corun.errors import ModelRefused
from corun.resource_pool.models.checking.checker import CheckUnfinished, ModelChecker
from corun.resource_pool.models.facts import MAX_MODEL_BYTES, Facts
from corun.resource_pool.models.labels import LABELS_FILE
from corun.resource_pool.models.manifest import Manifest
from corun.resource_pool.models.regular_files import check_regular, file_stamp
from corun.resource_pool.models.text import TOKENIZER_FILE

# Raised whenever Facts or the way they are found change.
_FORMAT = 3


@dataclass(frozen=True, slots=True)
class _Record:
    stamp: str
    facts: Facts


_adapter: TypeAdapter[_Record] = TypeAdapter(_Record)


class FactsStore:
    """Facts by model folder, kept in `folder` as one small JSON file a model.

    A record counts only while the files of the model are what they were: one that was swapped is checked again
    even where its modification time was put back. A store that cannot be written costs time, nothing else.
    """

    def __init__(self, folder: Path, *, checker: ModelChecker, max_bytes: int = MAX_MODEL_BYTES) -> None:
        self._folder = folder
        self._checker = checker
        self._max_bytes = max_bytes

    def facts(self, paths: Sequence[Path], *, name: str, manifest: Manifest) -> Facts:
        """Remembered facts of the model whose graphs these are, one or two in a folder, or those of a check now.

        Raises:
            ModelRefused: as `ModelChecker.check`.
            CheckUnfinished: likewise, and when a file changed meanwhile.
            OSError: when a file is not there.
        """
        stamp = files_stamp(paths, manifest)
        size_bytes = sum(self._size_of(path, name) for path in paths)
        model_folder = paths[0].parent.resolve()
        record_path = self._folder / (hashlib.sha256(os.fsencode(model_folder)).hexdigest()[:32] + ".json")
        record = _read(record_path)
        if record is not None and record.stamp == stamp:
            return record.facts
        facts = self._checker.check(
            paths, name=name, manifest=manifest, size_bytes=size_bytes, max_bytes=self._max_bytes
        )
        if files_stamp(paths, manifest) != stamp:
            raise CheckUnfinished(name, "its files changed while they were read; try again when they are complete")
        with contextlib.suppress(OSError):
            _write(record_path, _Record(stamp, facts))
        return facts

    def _size_of(self, path: Path, name: str) -> int:
        try:
            size_bytes = check_regular(path, max_bytes=self._max_bytes)
        except ValueError as error:
            raise ModelRefused(name, str(error)) from error
        if size_bytes == 0:  # so say the files of /proc too, and reading some of those waits
            raise ModelRefused(name, f"{path.name} is empty")
        return size_bytes


def files_stamp(paths: Sequence[Path], manifest: Manifest) -> str:
    """Changes whenever the graphs, their companions or their manifest do. Raises OSError when a graph is gone."""
    told = hashlib.sha256(repr(manifest).encode()).hexdigest()[:16]
    companions = [paths[0].with_name(name) for name in (TOKENIZER_FILE, LABELS_FILE)]
    graphs = [f"{path.name} {file_stamp(path)}" for path in paths]
    return " ".join([str(_FORMAT), told, *graphs, *(file_stamp(path) if path.exists() else "" for path in companions)])


def _read(path: Path) -> _Record | None:
    try:
        return _adapter.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(path: Path, record: _Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    temporary.write_bytes(_adapter.dump_json(record))
    temporary.replace(path)
