"""Remembers what model files were found to be, so that hundreds of megabytes are not checked at every start."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from corun.errors import ModelRefused
from corun.resource_pool.models.checking.checker import CheckUnfinished, ModelChecker
from corun.resource_pool.models.facts import MAX_MODEL_BYTES, MODEL_FILE, Facts
from corun.resource_pool.models.labels import LABELS_FILE
from corun.resource_pool.models.manifest import Manifest
from corun.resource_pool.models.regular_files import check_regular, file_stamp
from corun.resource_pool.models.text import TOKENIZER_FILE

# Raised whenever Facts or the way they are found change.
_FORMAT = 2


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

    def facts(self, model_folder: Path, *, name: str, manifest: Manifest) -> Facts:
        """Remembered facts, or those of a check now.

        Raises:
            ModelRefused: as `ModelChecker.check`.
            CheckUnfinished: likewise, and when a file changed meanwhile.
            OSError: when the file is not there.
        """
        stamp = folder_stamp(model_folder, manifest)
        path = model_folder / MODEL_FILE
        size_bytes = self._size_of(path, name)
        record_path = self._folder / (hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32] + ".json")
        record = _read(record_path)
        if record is not None and record.stamp == stamp:
            return record.facts
        facts = self._checker.check(
            model_folder, name=name, manifest=manifest, size_bytes=size_bytes, max_bytes=self._max_bytes
        )
        if folder_stamp(model_folder, manifest) != stamp:
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


def folder_stamp(folder: Path, manifest: Manifest) -> str:
    """Changes whenever the graph, its companions or its manifest do. Raises OSError when the graph is gone."""
    told = hashlib.sha256(repr(manifest).encode()).hexdigest()[:16]
    companions = [folder / name for name in (TOKENIZER_FILE, LABELS_FILE)]
    stamps = [file_stamp(folder / MODEL_FILE), *(file_stamp(path) if path.exists() else "" for path in companions)]
    return " ".join([str(_FORMAT), told, *stamps])


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
