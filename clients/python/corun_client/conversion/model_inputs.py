"""What a caller gives a model, by what the model takes: texts, image files, WAV files or arrays."""

from __future__ import annotations

import io
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TypedDict

from PIL import Image

from corun_client.errors import InvalidArgument

_TAKES = {
    "text": "a str or a list of them",
    "image": "image files as bytes, paths or PIL images, one or a list of them",
    "audio": "WAV files as bytes or paths, one or a list of them",
    "": "a dict of numpy arrays by input name only",
}
# What PNG can hold; anything else is converted to RGB.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")


class ModelInputs(TypedDict, total=False):
    """One kind of input, as `Client.infer` takes it; nothing where all inputs are shared."""

    texts: list[str]
    images: list[bytes]
    audio: list[bytes]
    tensors: Mapping[str, object]


def model_inputs(value: object, *, accepts: str, model_name: str) -> ModelInputs:
    """The caller's input, files read and images encoded.

    Args:
        value: A str, bytes, a path, a PIL image or a list of one of these; a mapping of arrays by input name; None.
        accepts: text, image, audio, or "" where the model takes arrays only.
        model_name: For errors.

    Raises:
        InvalidArgument: for what the model does not take, and files that cannot be read.
    """
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {"tensors": value}
    many = isinstance(value, list | tuple)
    items = list(value) if isinstance(value, list | tuple) else [value]
    takes = f"{model_name} takes {_TAKES[accepts]}"
    if not items or not accepts:
        raise InvalidArgument.of("inputs", f"{takes}; received {value!r}")
    where = [f"inputs[{index}]" if many else "inputs" for index in range(len(items))]
    match accepts:
        case "text":
            return {"texts": [_text(item, at, takes) for item, at in zip(items, where, strict=True)]}
        case "image":
            return {"images": [_image(item, at, takes) for item, at in zip(items, where, strict=True)]}
    return {"audio": [_file(item, at, takes) for item, at in zip(items, where, strict=True)]}


def _text(item: object, where: str, takes: str) -> str:
    if isinstance(item, str):
        return item
    raise InvalidArgument.of(where, f"{takes}; received {type(item).__name__}")


def _image(item: object, where: str, takes: str) -> bytes:
    if not isinstance(item, Image.Image):
        return _file(item, where, takes)
    content = io.BytesIO()
    (item if item.mode in _PNG_MODES else item.convert("RGB")).save(content, format="PNG")
    return content.getvalue()


def _file(item: object, where: str, takes: str) -> bytes:
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    if not isinstance(item, str | PathLike):
        raise InvalidArgument.of(where, f"{takes}; received {type(item).__name__}")
    try:
        return Path(item).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidArgument.of(where, f"{str(item)[:200]!r} cannot be read ({reason}); {takes}") from None
