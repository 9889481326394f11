"""Puts a finished folder in its place in one step, so that nobody ever sees half of one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

_STAGING = ".staging"
_ABANDONED_SECONDS = 24 * 3600


def publish_folder(target: Path, fill: Callable[[Path], None], *, replace: bool = False) -> None:
    """Has `fill` write into a fresh folder and renames that to `target`.

    Two processes may do it at once: the later finds the folder taken and keeps the earlier one's, or with
    `replace` puts its own in its stead.

    Raises:
        OSError: when the disk refuses.
        Exception: whatever `fill` raises; nothing is left behind then.
    """
    staging = target.parent / _STAGING
    staging.mkdir(parents=True, exist_ok=True)
    _sweep(staging)
    fresh = staging / f"{target.name}-{os.getpid()}-{os.urandom(6).hex()}"
    fresh.mkdir()
    try:
        fill(fresh)
        if replace:
            _set_aside(target, staging)
        try:
            fresh.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _set_aside(target: Path, staging: Path) -> None:
    old = staging / f"{target.name}-old-{os.urandom(6).hex()}"
    try:
        target.rename(old)
    except FileNotFoundError:
        return
    shutil.rmtree(old, ignore_errors=True)


def _sweep(staging: Path) -> None:
    for each in staging.iterdir():
        try:
            abandoned = time.time() - each.stat().st_mtime > _ABANDONED_SECONDS
        except FileNotFoundError:
            continue
        if abandoned:
            shutil.rmtree(each, ignore_errors=True)
