"""Which models there are, and how one becomes ready."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from corun.errors import ModelRefused, ModelUnreachable, UnknownModel
from corun.resource_pool.models.checking.checker import CheckUnfinished, ModelChecker
from corun.resource_pool.models.checking.limits import CheckLimits
from corun.resource_pool.models.facts import MAX_MODEL_BYTES
from corun.resource_pool.models.facts_store import FactsStore, files_stamp
from corun.resource_pool.models.files import graph_files
from corun.resource_pool.models.guessing import complete_manifest
from corun.resource_pool.models.labels import read_labels
from corun.resource_pool.models.manifest import Manifest, read_manifest
from corun.resource_pool.models.model import Model
from corun.resource_pool.models.preparation import Preparation
from corun.resource_pool.models.regular_files import file_stamp
from corun.resource_pool.models.sources.arithmetic import ARITHMETIC_MODELS
from corun.resource_pool.models.sources.hub import GUIDE_MODELS, Hub
from corun.resource_pool.models.sources.names import is_model_name, name_of_cache_folder
from corun.resource_pool.models.sources.packaged import PACKAGED_MODELS
from corun.resource_pool.models.sources.seeded import SEEDED_MODELS
from corun.resource_pool.models.sources.wheels import Download, WheelStore

# So long a look at a model's files holds where looking again would keep a run waiting.
_FRESH_SECONDS = 1.0

_OWN_MODELS = (*ARITHMETIC_MODELS, *PACKAGED_MODELS, *SEEDED_MODELS)


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
        models_folder: The user's; each folder in it with a `model.onnx`, or `encoder.onnx` and
            `decoder.onnx`, is a model.
        cache_folder: Its sub-folder `models` holds a folder for each prepared model; made when needed.
        hub_endpoint: Of a mirror; by default what `huggingface_hub` is configured for.
        max_model_bytes: Larger files are refused.
        check_limits: What the check of a model may take of the machine.
        download: Fetches wheels; by default pip does.
    """

    def __init__(
        self,
        *,
        models_folder: Path | None,
        cache_folder: Path,
        hub_endpoint: str | None = None,
        max_model_bytes: int = MAX_MODEL_BYTES,
        check_limits: CheckLimits | None = None,
        download: Download | None = None,
    ) -> None:
        self._models_folder = models_folder
        self._prepared_folder = cache_folder / "models"
        self._checker = ModelChecker(check_limits)
        self._facts = FactsStore(self._prepared_folder / ".facts", checker=self._checker, max_bytes=max_model_bytes)
        hub = Hub(endpoint=hub_endpoint, max_bytes=max_model_bytes)
        wheels = WheelStore(self._prepared_folder / ".packages", download=download)
        self._preparation = Preparation(self._prepared_folder, hub=hub, wheels=wheels)
        # One at a time: a check holds a file several times over in memory.
        self._checking = threading.Lock()
        # By name: the stamp of the files, and what came of them, a model or what is the matter with it.
        self._known: dict[str, tuple[str, Model | str]] = {}
        # By name: when a model was resolved, and to what.
        self._resolved: dict[str, tuple[float, Model]] = {}

    def close(self) -> None:
        """Ends a check that is running; models that were not checked before are refused from now on. Idempotent."""
        self._checker.close()

    def entries(self) -> list[ModelEntry]:
        """Every model by name. Cheap, but for a user's model without a type, which is opened the first time."""
        found = {name: _expected_entry(name) for name in _OWN_MODELS}
        for folder in _model_folders(self._prepared_folder):
            name = name_of_cache_folder(folder.name)
            if self._preparation.prepared(name) is not None:
                found[name] = self._entry(name, folder)
        if self._models_folder is not None:
            found |= {folder.name: self._entry(folder.name, folder) for folder in _model_folders(self._models_folder)}
        return [found[name] for name in sorted(found)]

    def resolve(self, name: str, *, field: str = "model_name", refresh: bool = False) -> Model:
        """The model, prepared if need be: that may fetch or write hundreds of megabytes, so keep it off the event loop.

        The same object comes back until one of the model's files changes. `refresh` asks the Hub once more
        for a model that so far has seeded weights only.

        Raises:
            UnknownModel: no source has the name, or it is no name at all.
            ModelRefused: a source has it, but it failed its checks or cannot be written here.
            ModelUnreachable: a source has it but cannot be reached now.
        """
        if not is_model_name(name):
            raise UnknownModel(name, self._names(), field=field)
        try:
            folder = self._users(name) or self._preparation.prepare(name, refresh=refresh)
            if folder is not None:
                begin = time.monotonic()
                model = self._open(name, folder)
                self._resolved[name] = begin, model
                return model
        except ModelRefused as refused:
            raise ModelRefused(name, refused.problem, field=field) from refused
        except ModelUnreachable as missed:
            raise ModelUnreachable(name, missed.problem, field=field) from missed
        except OSError as error:
            raise ModelRefused(name, f"its folder cannot be read: {error}", field=field) from error
        raise UnknownModel(name, self._names(), field=field)

    def fresh(self, names: Iterable[str]) -> dict[str, Model] | None:
        """Models that were resolved within the last second and whose files are the same; None where one is not so.

        It takes some 10 us a model, so it may be called on the event loop.
        """
        end = time.monotonic() - _FRESH_SECONDS
        models = {}
        for name in names:
            begin, model = self._resolved.get(name, (-math.inf, None))
            if model is None or begin < end or not _is_unchanged(model):
                return None
            models[name] = model
        return models

    def _users(self, name: str) -> Path | None:
        if self._models_folder is None or "/" in name:
            return None
        folder = self._models_folder / name
        return folder if graph_files(folder) else None

    def _open(self, name: str, folder: Path) -> Model:
        paths = graph_files(folder)
        if not paths:
            raise FileNotFoundError(f"{folder} has no graph any more")
        manifest = _manifest_of(name, folder)
        stamp = files_stamp(paths, manifest)
        known = self._known.get(name)
        if known is None or known[0] != stamp:
            with self._checking:
                known = self._known.get(name)
                if known is None or known[0] != stamp:
                    known = self._known[name] = (stamp, self._look_at(name, paths, manifest))
        if isinstance(known[1], str):
            raise ModelRefused(name, known[1])
        return known[1]

    def _look_at(self, name: str, paths: Sequence[Path], manifest: Manifest) -> Model | str:
        folder = paths[0].parent
        stamps = [file_stamp(path) for path in paths]  # first: what changes from here on is noticed
        try:
            facts = self._facts.facts(paths, name=name, manifest=manifest)
            complete = complete_manifest(manifest, facts, folder, name=name)
            labels = read_labels(folder)
            return Model(name=name, paths=paths, stamps=stamps, manifest=complete, facts=facts, labels=labels)
        except CheckUnfinished:
            raise
        except ModelRefused as refused:
            # Remembered, so that a file that takes the whole of its allowance takes it once.
            return refused.problem
        except ValueError as error:
            return str(error)

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
    """Prepares corun's own models: arithmetic, packaged ones, the guide's three. Asks the Hub again for seeded ones.

    `progress` is told of each in words; one that fails does not stop the others. Returns the names that are ready.
    The other arguments are those of `ModelCatalog`.
    """
    catalog = ModelCatalog(models_folder=None, cache_folder=cache_folder, hub_endpoint=hub_endpoint, download=download)
    ready = []
    for name in _OWN_MODELS:
        try:
            model = catalog.resolve(name, refresh=True)
        except (ModelRefused, ModelUnreachable) as error:
            progress(f"{name}: {error.message}")
        else:
            progress(f"{name}: {model.weights_origin}, {model.size_bytes / 1e6:.1f} MB, {model.source}")
            ready.append(name)
    return ready


def _is_unchanged(model: Model) -> bool:
    try:
        model.check_unchanged()
    except ModelRefused:
        return False
    return True


def _manifest_of(name: str, folder: Path) -> Manifest:
    try:
        manifest = read_manifest(folder) or Manifest()
        return manifest if manifest.source else dataclasses.replace(manifest, source=f"folder {folder}")
    except ValueError as error:
        raise ModelRefused(name, str(error)) from error


def _model_folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(folder for folder in parent.iterdir() if is_model_name(folder.name) and graph_files(folder))


def _expected_entry(name: str) -> ModelEntry:
    if name in ARITHMETIC_MODELS:
        manifest = ARITHMETIC_MODELS[name].manifest
        source = f"{manifest.source}; not written yet"
    elif name in PACKAGED_MODELS:
        manifest = PACKAGED_MODELS[name].manifest
        source = f"{manifest.source}; not fetched yet"
    else:
        manifest = SEEDED_MODELS[name].manifest
        repository = GUIDE_MODELS[name].repository
        source = f"not prepared yet: Hugging Face Hub {repository} if it answers, else {manifest.source}"
    return ModelEntry(name, manifest.type or "", manifest.weights_origin, source, manifest.license, prepared=False)
