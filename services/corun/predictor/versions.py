"""Versions of the refined correction on disk: a file of JSON each, and one that names the version that serves.

`versions/<number>.json` holds the fields of `ModelVersion` by name, with `format` (1) and, for each platform in
`corrections`, the weight of each feature by name: the logarithm of the factor is the sum of weights times features
(core/correction.py says what the features are). `versions/serving.json` holds `{"serving": number}`.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from corun.errors import CorunError
from corun.predictor.core.correction import LinearCorrection
from corun.predictor.core.estimators import Method
from corun.predictor.core.version import BASE, ModelVersion
from corun.predictor.core.workload import Platform
from corun.predictor.files import free_name, sync_folder, write_whole

_log = structlog.get_logger(__name__)

_FORMAT = 1
_SERVING = "serving.json"


class UnknownVersion(CorunError):
    """No version has this number."""

    reason = "MODEL_VERSION_NOT_FOUND"

    def __init__(self, number: int, available: list[int]) -> None:
        known = ", ".join(map(str, available))
        super().__init__(
            f"version_number: there is no version {number}; available: {known}",
            field="version_number",
            metadata={"version_number": str(number), "available": known},
        )


class VersionStore:
    """The versions in a folder, which one process holds at a time. Its methods block; call them off the event loop.

    Damaged files are set aside; where the version that served is among them, the newest one before it serves.

    Raises:
        OSError: when the disk refuses.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._versions: dict[int, ModelVersion] = {0: BASE}
        self._highest = 0
        for path in sorted(folder.glob("*.json*")):
            number = path.name.split(".")[0]
            if number.isdecimal():
                # A number that was set aside is not given to another version.
                self._highest = max(self._highest, int(number))
                if path.suffix == ".json":
                    self._read(path, int(number))
        self._serving = self._read_serving()

    @property
    def serving(self) -> ModelVersion:
        """The version that serves."""
        return self._versions[self._serving]

    def all(self) -> list[ModelVersion]:
        """Every version, the newest first; number 0, which is always there, last."""
        return [self._versions[number] for number in sorted(self._versions, reverse=True)]

    def add(self, version: ModelVersion) -> ModelVersion:
        """Puts a version on disk under the next number, and lets it serve."""
        numbered = replace(version, number=self._highest + 1, parent=self._serving)
        self._highest = numbered.number
        write_whole(self._folder / f"{numbered.number:06}.json", _written(numbered))
        self._versions[numbered.number] = numbered
        return self.serve(numbered.number)

    def serve(self, number: int) -> ModelVersion:
        """Lets a version serve, from now on and after restarts.

        Raises:
            UnknownVersion: when there is none of this number.
        """
        if number not in self._versions:
            raise UnknownVersion(number, sorted(self._versions))
        write_whole(self._folder / _SERVING, json.dumps({"serving": number}).encode())
        self._serving = number
        return self._versions[number]

    def _read(self, path: Path, number: int) -> None:
        try:
            version = _read(path.read_bytes())
            if version.number != number:
                raise ValueError(f"it says that it is number {version.number}")  # noqa: TRY301  # set aside like any other damage
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self._set_aside(path, error)
        else:
            self._versions[number] = version

    def _read_serving(self) -> int:
        path = self._folder / _SERVING
        if not path.exists():
            # A crash between the first version and the word that it serves: the word decides.
            return 0
        try:
            wanted = int(json.loads(path.read_bytes())["serving"])
        except (ValueError, TypeError, KeyError) as error:
            self._set_aside(path, error)
            wanted = self._highest
        serving = max((number for number in self._versions if number <= wanted), default=0)
        if serving != wanted:
            _log.error(
                "a version that should serve cannot be read; an older one serves", wanted=wanted, serving=serving
            )
        return serving

    def _set_aside(self, path: Path, error: Exception) -> None:
        aside = free_name(path)
        path.replace(aside)
        sync_folder(self._folder)
        _log.error("a damaged version file is set aside", path=str(path), kept=str(aside), cause=str(error))


def _written(version: ModelVersion) -> bytes:
    assert version.method is not None
    assert version.platform is not None
    fields: dict[str, Any] = {
        "format": _FORMAT,
        "number": version.number,
        "parent": version.parent,
        "method": version.method.value,
        "platform": version.platform.value,
        "created": version.created,
        "record_count": version.record_count,
        "held_out_count": version.held_out_count,
        "error_before": version.error_before,
        "error_after": version.error_after,
        "request_id": version.request_id,
        "corrections": {platform.value: dict(each.weights) for platform, each in version.corrections.items()},
    }
    return json.dumps(fields, indent=1, allow_nan=False).encode() + b"\n"


def _read(content: bytes) -> ModelVersion:
    fields = json.loads(content)
    if fields["format"] != _FORMAT:
        raise ValueError(f"format {fields['format']!r}, of which nothing is known")
    return ModelVersion(
        number=int(fields["number"]),
        parent=int(fields["parent"]),
        method=Method(fields["method"]),
        platform=Platform(fields["platform"]),
        created=_finite(fields["created"]),
        record_count=int(fields["record_count"]),
        held_out_count=int(fields["held_out_count"]),
        error_before=_finite(fields["error_before"]),
        error_after=_finite(fields["error_after"]),
        request_id=str(fields["request_id"]),
        corrections={
            Platform(platform): LinearCorrection({str(name): _finite(weight) for name, weight in weights.items()})
            for platform, weights in fields["corrections"].items()
        },
    )


def _finite(figure: float) -> float:
    if not math.isfinite(figure):
        raise ValueError(f"a figure out of range: {figure}")
    return float(figure)
