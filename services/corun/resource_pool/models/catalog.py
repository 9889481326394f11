"""Which models there are, and how one becomes ready."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corun.errors import ModelRefused, UnknownModel
from corun.resource_pool.models.facts import FactsStore, file_stamp
from corun.resource_pool.models.guessing import LABELS_FILE, complete_manifest
from corun.resource_pool.models.inspection import MAX_MODEL_BYTES
from corun.resource_pool.models.manifest import Manifest, read_manifest
from corun.resource_pool.models.model import Model
from corun.resource_pool.models.preparation import MODEL_FILE, Preparation
from corun.resource_pool.models.sources.hub import GUIDE_MODELS, Hub
from corun.resource_pool.models.sources.names import is_model_name, name_of_cache_folder
from corun.resource_pool.models.sources.packaged import PACKAGED_MODELS
from corun.resource_pool.models.sources.seeded import SEEDED_MODELS
from corun.resource_pool.models.sources.wheels import Download, WheelStore
from corun.resource_pool.models.text import TOKENIZER_FILE


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A line of the list. `prepared` is true when the file is on this machine."""

    name: str
    model_type: str
    weights_origin: str
    source: str
    license: str
    prepared: bool


class ModelCatalog:
    """The user's folder, then what is prepared in the cache, then packages, the Hub, and seeds.

    Args:
        models_folder: The user's; each folder in it with a `model.onnx` is a model.
        cache_folder: Its sub-folder `models` holds a folder for each prepared model; made when needed.
        hub_endpoint: Of a mirror; by default what `huggingface_hub` is configured for.
        max_model_bytes: Larger files are refused.
        download: Fetches wheels; by default pip does.
    """

    def __init__(
        self,
        *,
        models_folder: Path | None,
        cache_folder: Path,
        hub_endpoint: str | None = None,
        max_model_bytes: int = MAX_MODEL_BYTES,
        download: Download | None = None,
    ) -> None:
        self._models_folder = models_folder
        self._prepared_folder = cache_folder / "models"
        self._facts = FactsStore(self._prepared_folder / ".facts", max_bytes=max_model_bytes)
        hub = Hub(endpoint=hub_endpoint, max_bytes=max_model_bytes)
        wheels = WheelStore(self._prepared_folder / ".packages", download=download)
        self._preparation = Preparation(self._prepared_folder, hub=hub, wheels=wheels)
        # One at a time: an inspection holds a file several times over in memory.
        self._inspecting = threading.Lock()
        self._models: dict[str, tuple[str, Model]] = {}

    def entries(self) -> list[ModelEntry]:
        """Every model by name. Cheap, but for a user's model without a type, which is opened the first time."""
        found = {name: _expected_entry(name) for name in (*PACKAGED_MODELS, *SEEDED_MODELS)}
        for folder in _model_folders(self._prepared_folder):
            name = name_of_cache_folder(folder.name)
            if self._preparation.prepared(name) is not None:
                found[name] = self._entry(name, folder)
        if self._models_folder is not None:
            found |= {folder.name: self._entry(folder.name, folder) for folder in _model_folders(self._models_folder)}
        return [found[name] for name in sorted(found)]

    def resolve(self, name: str, *, field: str = "model_name", refresh: bool = False) -> Model:
        """The model, prepared if need be: that may fetch or write hundreds of megabytes, so keep it off the event loop.

        The same object comes back until the file or its `model.toml` changes. `refresh` asks the Hub once more
        for a model that so far has seeded weights only.

        Raises:
            UnknownModel: no source has the name, or it is no name at all.
            ModelRefused: a source has it but it cannot be had, or failed its checks.
        """
        if not is_model_name(name):
            raise UnknownModel(name, self._names(), field=field)
        try:
            folder = self._users(name) or self._preparation.prepare(name, refresh=refresh)
            if folder is not None:
                return self._open(name, folder)
        except ModelRefused as refused:
            raise ModelRefused(name, refused.problem, field=field) from refused
        except OSError as error:
            raise ModelRefused(name, f"its folder cannot be read: {error}", field=field) from error
        raise UnknownModel(name, self._names(), field=field)

    def _users(self, name: str) -> Path | None:
        if self._models_folder is None or "/" in name:
            return None
        folder = self._models_folder / name
        return folder if (folder / MODEL_FILE).is_file() else None

    def _open(self, name: str, folder: Path) -> Model:
        path = folder / MODEL_FILE
        manifest = _manifest_of(name, folder)
        stamp = f"{file_stamp(path, manifest)} {_companions(folder)}"
        remembered = self._models.get(name)
        if remembered is None or remembered[0] != stamp:
            with self._inspecting:
                remembered = self._models.get(name)
                if remembered is None or remembered[0] != stamp:
                    facts = self._facts.facts(path, name=name, manifest=manifest)
                    manifest = complete_manifest(manifest, facts, folder, name=name)
                    remembered = (stamp, Model(name=name, path=path, manifest=manifest, facts=facts))
                    self._models[name] = remembered
        return remembered[1]

    def _entry(self, name: str, folder: Path) -> ModelEntry:
        try:
            manifest = _manifest_of(name, folder)
            model_type = manifest.type or self._open(name, folder).model_type
        except (ModelRefused, OSError) as error:
            return ModelEntry(name, "", "PRETRAINED", f"{folder}: {error}", "", prepared=False)
        return ModelEntry(name, model_type, manifest.weights_origin, manifest.source, manifest.license, prepared=True)

    def _names(self) -> list[str]:
        return [entry.name for entry in self.entries()]


def install_packaged(
    cache_folder: Path,
    progress: Callable[[str], None],
    *,
    hub_endpoint: str | None = None,
    download: Download | None = None,
) -> list[str]:
    """Prepares all packaged models and the guide's three, and checks them; asks the Hub again for seeded ones.

    `progress` is told of each in words; one that fails does not stop the others. Returns the names that are ready.
    The other arguments are those of `ModelCatalog`.
    """
    catalog = ModelCatalog(models_folder=None, cache_folder=cache_folder, hub_endpoint=hub_endpoint, download=download)
    ready = []
    for name in (*PACKAGED_MODELS, *SEEDED_MODELS):
        try:
            model = catalog.resolve(name, refresh=True)
        except ModelRefused as error:
            progress(f"{name}: {error.message}")
        else:
            progress(f"{name}: {model.weights_origin}, {model.size_bytes / 1e6:.1f} MB, {model.source}")
            ready.append(name)
    return ready


def _manifest_of(name: str, folder: Path) -> Manifest:
    try:
        manifest = read_manifest(folder)
    except ValueError as error:
        raise ModelRefused(name, str(error)) from error
    manifest = manifest or Manifest()
    return manifest if manifest.source else dataclasses.replace(manifest, source=f"folder {folder}")


def _companions(folder: Path) -> list[tuple[str, int, int]]:
    paths = [folder / name for name in (TOKENIZER_FILE, LABELS_FILE)]
    return [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in paths if path.is_file()]


def _model_folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(
        folder for folder in parent.iterdir() if is_model_name(folder.name) and (folder / MODEL_FILE).is_file()
    )


def _expected_entry(name: str) -> ModelEntry:
    if name in PACKAGED_MODELS:
        manifest = PACKAGED_MODELS[name].manifest
        source = f"{manifest.source}; not fetched yet"
    else:
        manifest = SEEDED_MODELS[name].manifest
        repository = GUIDE_MODELS[name].repository
        source = f"not prepared yet: Hugging Face Hub {repository} if it answers, else {manifest.source}"
    return ModelEntry(name, manifest.type or "", manifest.weights_origin, source, manifest.license, prepared=False)
