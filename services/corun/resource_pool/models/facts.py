"""Remembers what model files were found to be, so that hundreds of megabytes are not hashed at every start."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from corun.errors import ModelRefused
from corun.resource_pool.models.inspection import MAX_MODEL_BYTES, Facts, inspect_model_file
from corun.resource_pool.models.manifest import Manifest
from corun.resource_pool.models.parts import inspect_parts

# Raised whenever Facts or the way they are read changes.
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class _Record:
    stamp: str
    facts: Facts


_adapter: TypeAdapter[_Record] = TypeAdapter(_Record)


class FactsStore:
    """Facts by the path of a model's first file, kept in `folder` as one small JSON file a model.

    A record counts only while each file's device, inode, size, time of change and time of modification and the
    manifest are what they were: a file that was swapped is inspected again even where its modification time
    was put back. A store that cannot be written costs time, nothing else.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_MODEL_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def facts(self, paths: Sequence[Path], *, name: str, manifest: Manifest) -> Facts:
        """Remembered facts of a model's one file or its two parts, or those of an inspection now.

        Raises:
            ModelRefused: as `inspect_model_file` or `inspect_parts`; also when a file changed while it was read.
            OSError: when a file cannot be read.
        """
        stamp = files_stamp(paths, manifest)
        for path in paths:
            if path.stat().st_size > self._max_bytes:
                raise ModelRefused(name, f"the file has {path.stat().st_size} bytes, the limit is {self._max_bytes}")
        record_path = self._folder / (hashlib.sha256(os.fsencode(paths[0].resolve())).hexdigest()[:32] + ".json")
        record = _read(record_path)
        if record is not None and record.stamp == stamp:
            return record.facts
        facts = self._inspect(paths, name, manifest)
        if files_stamp(paths, manifest) != stamp:
            raise ModelRefused(name, "the file changed while it was read; try again when it is complete")
        with contextlib.suppress(OSError):
            _write(record_path, _Record(stamp, facts))
        return facts

    def _inspect(self, paths: Sequence[Path], name: str, manifest: Manifest) -> Facts:
        if len(paths) > 1:
            return inspect_parts(paths, name=name, manifest=manifest, max_bytes=self._max_bytes)
        return inspect_model_file(paths[0], name=name, manifest=manifest, max_bytes=self._max_bytes)


def files_stamp(paths: Sequence[Path], manifest: Manifest) -> str:
    """Changes whenever one of the files or their manifest does. Raises OSError when a file is gone."""
    told = hashlib.sha256(repr(manifest).encode()).hexdigest()[:16]
    stats = [path.stat() for path in paths]
    return " ".join(
        [str(_FORMAT)]
        + [f"{each.st_dev} {each.st_ino} {each.st_size} {each.st_mtime_ns} {each.st_ctime_ns}" for each in stats]
        + [told]
    )


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
