"""Remembers what model files were found to be, so that hundreds of megabytes are not hashed at every start."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from corun.errors import ModelRefused
from corun.resource_pool.models.inspection import MAX_MODEL_BYTES, Facts, inspect_model_file
from corun.resource_pool.models.manifest import Manifest

# Raised whenever Facts or the way they are read changes.
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class _Record:
    stamp: str
    facts: Facts


_adapter: TypeAdapter[_Record] = TypeAdapter(_Record)


class FactsStore:
    """Facts by path, kept in `folder` as one small JSON file a model.

    A record counts only while the file's device, inode, size, time of change and time of modification and the
    manifest are what they were: a file that was swapped is inspected again even where its modification time
    was put back. A store that cannot be written costs time, nothing else.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_MODEL_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def facts(self, path: Path, *, name: str, manifest: Manifest) -> Facts:
        """Remembered facts, or those of an inspection now.

        Raises:
            ModelRefused: as `inspect_model_file`; also when the file changed while it was read.
            OSError: when the file cannot be read.
        """
        stamp = file_stamp(path, manifest)
        if path.stat().st_size > self._max_bytes:
            raise ModelRefused(name, f"the file has {path.stat().st_size} bytes, the limit is {self._max_bytes}")
        record_path = self._folder / (hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32] + ".json")
        record = _read(record_path)
        if record is not None and record.stamp == stamp:
            return record.facts
        facts = inspect_model_file(path, name=name, manifest=manifest, max_bytes=self._max_bytes)
        if file_stamp(path, manifest) != stamp:
            raise ModelRefused(name, "the file changed while it was read; try again when it is complete")
        with contextlib.suppress(OSError):
            _write(record_path, _Record(stamp, facts))
        return facts


def file_stamp(path: Path, manifest: Manifest) -> str:
    """Changes whenever the file or its manifest does. Raises OSError when the file is gone."""
    stat = path.stat()
    told = hashlib.sha256(repr(manifest).encode()).hexdigest()[:16]
    return f"{_FORMAT} {stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {told}"


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
