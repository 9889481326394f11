"""Models from the Hugging Face Hub."""

from __future__ import annotations

import json
import math
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from corun.resource_pool.models.facts import MAX_MODEL_BYTES
from corun.resource_pool.models.manifest import (
    ImageInput,
    LogMelInput,
    Manifest,
    Preprocessing,
    TextInput,
    write_manifest,
)

_PROBE_SECONDS = 2.0
# So long it is not asked again after it did not answer.
_SILENCE_SECONDS = 60.0
_METADATA_SECONDS = 5.0
_GRAPHS = ("onnx/model.onnx", "model.onnx", "onnx/encoder_model.onnx")
_SMALL_FILES = ("tokenizer.json", "config.json", "preprocessor_config.json", "LICENSE")
_MAX_SMALL_BYTES = 64_000_000
_RESAMPLING: dict[int, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}


class NotOnHub(Exception):
    """The Hub has no such repository, or none with a graph that can be used."""


class HubUnreachable(Exception):
    """The Hub does not answer."""


@dataclass(frozen=True, slots=True)
class HubModel:
    """A repository at a revision."""

    repository: str
    revision: str = "main"


# Where the guide's names are found as ONNX. Revision `default` of the first has the bare encoder; `main` has the
# head that guesses masked words.
GUIDE_MODELS = {
    "bert-base-uncased": HubModel("Xenova/bert-base-uncased", "default"),
    "vit-base-patch16-224": HubModel("Xenova/vit-base-patch16-224"),
    "whisper-tiny": HubModel("Xenova/whisper-tiny"),
}


class Hub:
    """The Hub, or another server of its kind.

    Once it did not answer it is left alone for a minute, so that being offline costs two seconds now and then.

    Args:
        endpoint: For example of a mirror; by default what `huggingface_hub` is configured for.
        max_bytes: Largest graph that is fetched.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        max_bytes: int = MAX_MODEL_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._clock = clock
        self._answers = False
        self._left_alone_until = -math.inf

    def reachable(self) -> bool:
        """True when the Hub answered; asks it the first time, and again a while after it did not."""
        with self._lock:
            if not self._answers and self._clock() >= self._left_alone_until:
                self._note(not constants.HF_HUB_OFFLINE and self._probe())
            return self._answers

    def fill(self, folder: Path, model: HubModel) -> None:
        """Writes the model folder.

        Raises:
            HubUnreachable: no answer, or one cut short.
            NotOnHub: no such repository, no ONNX graph in it, or a file that is too large.
            ValueError: a configuration that makes no sense.
        """
        if not self.reachable():
            raise HubUnreachable(f"{self._endpoint} does not answer")
        try:
            self._fill(folder, model)
        except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError) as error:
            raise NotOnHub(f"{model.repository} at {model.revision} cannot be read: {error}") from error
        except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
            with self._lock:
                self._note(False)
            raise HubUnreachable(f"{model.repository} could not be fetched: {error}") from error

    def _note(self, answers: bool) -> None:
        self._answers = answers
        self._left_alone_until = self._clock() + _SILENCE_SECONDS

    def _probe(self) -> bool:
        # A thread, because looking up a name has no timeout of its own.
        answered = threading.Event()

        def ask() -> None:
            try:
                httpx.head(self._endpoint, timeout=_PROBE_SECONDS)
            except httpx.HTTPError:
                return
            answered.set()

        asking = threading.Thread(target=ask, name="corun-hub-probe", daemon=True)
        asking.start()
        asking.join(_PROBE_SECONDS)
        return answered.is_set()

    def _fill(self, folder: Path, model: HubModel) -> None:
        api = HfApi(endpoint=self._endpoint)
        info = api.model_info(model.repository, revision=model.revision, timeout=_METADATA_SECONDS, files_metadata=True)
        sizes = {each.rfilename: each.size or 0 for each in info.siblings or []}
        graph = next((each for each in _GRAPHS if each in sizes), None)
        if graph is None:
            raise NotOnHub(f"{model.repository} has none of {', '.join(_GRAPHS)}")
        if sizes[graph] > self._max_bytes:
            raise NotOnHub(f"{graph} of {model.repository} has {sizes[graph]} bytes; the limit is {self._max_bytes}")
        small = [each for each in _SMALL_FILES if each in sizes]
        for name in small:
            if sizes[name] > _MAX_SMALL_BYTES:
                raise NotOnHub(f"{name} of {model.repository} has {sizes[name]} bytes; the limit is {_MAX_SMALL_BYTES}")
        fetched = {}
        for name in (graph, *small):
            fetched[name] = hf_hub_download(
                model.repository,
                name,
                revision=info.sha or model.revision,
                local_dir=folder / ".download",
                endpoint=self._endpoint,
                etag_timeout=_METADATA_SECONDS,
            )
            shutil.move(fetched[name], folder / ("model.onnx" if name == graph else Path(name).name))
        shutil.rmtree(folder / ".download")
        licence = str(info.card_data.get("license") or "") if info.card_data else ""
        source = f"Hugging Face Hub {model.repository} at {(info.sha or model.revision)[:12]}, {graph}"
        encoder_only = graph.endswith("encoder_model.onnx")
        try:
            _describe(folder, source=source, license_name=licence, encoder_only=encoder_only)
        except (TypeError, KeyError, OverflowError, RecursionError) as error:
            raise ValueError(f"the configuration of {model.repository} makes no sense: {error!r}") from error


def _describe(folder: Path, *, source: str, license_name: str, encoder_only: bool) -> None:
    # What the outputs mean is read off the graph when the model is opened, as for a user's folder.
    config, image = (_read_json(folder / name) for name in ("config.json", "preprocessor_config.json"))
    labels = config.get("id2label")
    if isinstance(labels, dict):
        names = [str(labels.get(str(index), "")).replace("\n", " ") for index in range(len(labels))]
        (folder / "labels.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    manifest = Manifest(
        source=f"{source} (encoder only)" if encoder_only else source,
        license=license_name,
        preprocessing=_preprocessing(config, image, has_tokenizer=(folder / "tokenizer.json").is_file()),
    )
    write_manifest(folder, manifest)
    for name in ("config.json", "preprocessor_config.json"):
        (folder / name).unlink(missing_ok=True)


def _preprocessing(config: Mapping[str, Any], image: Mapping[str, Any], *, has_tokenizer: bool) -> Preprocessing | None:
    if config.get("model_type") == "whisper":
        return LogMelInput(mels=int(config.get("num_mel_bins", 80)))
    if "image_mean" in image and not has_tokenizer:
        return _image_input(image)
    if has_tokenizer and "image_mean" not in image:
        return TextInput(max_length=int(config.get("max_position_embeddings", 512)))
    return None


def _image_input(settings: Mapping[str, Any]) -> ImageInput:
    scaled = _sides(settings.get("size", 224))
    crop = bool(settings.get("do_center_crop"))
    return ImageInput(
        size=_sides(settings.get("crop_size", 224)) if crop else scaled,
        fit="crop" if crop else "stretch",
        resize=min(scaled) if crop else 0,
        interpolation=_RESAMPLING.get(int(settings.get("resample", 2)), "bilinear"),
        mean=tuple(settings["image_mean"]),
        std=tuple(settings["image_std"]),
    )


def _sides(size: Any) -> tuple[int, int]:
    if not isinstance(size, dict):
        return int(size), int(size)
    edge = int(size.get("shortest_edge") or 224)
    return int(size.get("height") or edge), int(size.get("width") or edge)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
