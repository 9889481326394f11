"""Makes model folders in the cache from the sources that are not the user's own folder."""

from __future__ import annotations

import threading
from pathlib import Path

from corun.errors import ModelRefused, ModelUnreachable
from corun.resource_pool.models.files import graph_files
from corun.resource_pool.models.manifest import read_manifest
from corun.resource_pool.models.sources.arithmetic import ARITHMETIC_MODELS
from corun.resource_pool.models.sources.hub import GUIDE_MODELS, Hub, HubModel, HubUnreachable, NotOnHub
from corun.resource_pool.models.sources.names import cache_folder_name, is_repository
from corun.resource_pool.models.sources.packaged import PACKAGED_MODELS
from corun.resource_pool.models.sources.publish import publish_folder
from corun.resource_pool.models.sources.seeded import SEEDED_MODELS
from corun.resource_pool.models.sources.wheels import FetchFailed, WheelStore


class Preparation:
    """Prepared models are folders of `folder` by name. Safe to use from several threads and processes."""

    def __init__(self, folder: Path, *, hub: Hub, wheels: WheelStore) -> None:
        self._folder = folder
        self._hub = hub
        self._wheels = wheels
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def prepared(self, name: str) -> Path | None:
        """The folder, if it is there and of the version that is asked for today."""
        folder = self._folder / cache_folder_name(name)
        if "--" in name or not graph_files(folder):
            return None
        made = PACKAGED_MODELS.get(name) or ARITHMETIC_MODELS.get(name)
        return folder if made is None or _is_current(folder, made.manifest.source) else None

    def prepare(self, name: str, *, refresh: bool = False) -> Path | None:
        """The folder, made if need be; None where no source has the name.

        `refresh` asks the Hub once more for a model that has only seeded weights so far.

        Raises:
            ModelRefused: a source has it but not as it should be, or it cannot be written here.
            ModelUnreachable: a source has it but cannot be reached now.
        """
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            folder = self.prepared(name)
            if folder is not None and not (refresh and name in GUIDE_MODELS and _is_seeded(folder)):
                return folder
            try:
                return self._made(name) or self._from_hub(name) or self._from_seed(name)
            except FetchFailed as error:
                raise ModelUnreachable(name, str(error)) from error
            except (OSError, ValueError) as error:
                raise ModelRefused(name, f"it could not be prepared: {error}") from error

    def _made(self, name: str) -> Path | None:
        target = self._folder / name
        if name in ARITHMETIC_MODELS:
            publish_folder(target, ARITHMETIC_MODELS[name].fill, replace=target.exists())
        elif name in PACKAGED_MODELS:
            packaged = PACKAGED_MODELS[name]
            publish_folder(target, lambda folder: packaged.fill(folder, self._wheels), replace=target.exists())
        else:
            return None
        return target

    def _from_hub(self, name: str) -> Path | None:
        wanted = GUIDE_MODELS.get(name) or (HubModel(name) if is_repository(name) else None)
        if wanted is None:
            return None
        target = self._folder / cache_folder_name(name)
        try:
            publish_folder(target, lambda folder: self._hub.fill(folder, wanted), replace=target.exists())
        except NotOnHub:
            return None
        except HubUnreachable as error:
            if name in SEEDED_MODELS:
                return None
            raise ModelUnreachable(name, str(error)) from error
        return target

    def _from_seed(self, name: str) -> Path | None:
        if name not in SEEDED_MODELS:
            return None
        target = self._folder / name
        if not graph_files(target):
            publish_folder(
                target, lambda folder: SEEDED_MODELS[name].fill(folder, self._wheels), replace=target.exists()
            )
        return target


def _is_current(folder: Path, source: str) -> bool:
    try:
        manifest = read_manifest(folder)
    except (OSError, ValueError):
        return False
    return manifest is not None and manifest.source == source


def _is_seeded(folder: Path) -> bool:
    try:
        manifest = read_manifest(folder)
    except (OSError, ValueError):
        return True
    return manifest is None or manifest.weights_origin == "SEEDED"
