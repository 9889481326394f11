"""Image files to pixel tensors."""

from __future__ import annotations

import io
import re

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from corun.errors import InvalidField
from corun.resource_pool.models.manifest import ImageInput

# Formats whose decoders run nothing and fetch nothing; Pillow would hand PostScript to Ghostscript.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_MAX_PIXELS = 64_000_000
_GREY = (128, 128, 128)
_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
}


def encode_image(content: bytes, settings: ImageInput, *, field: str) -> npt.NDArray[np.float32]:
    """Pixels [3, height, width] of the first frame, upright, as `settings` say.

    Raises:
        InvalidField: naming `field`, where this is no image of a known format, or one of over 64 million pixels.
    """
    fitted = _fit(_open(content, field), settings)
    pixels = np.asarray(fitted, dtype=np.float32) / np.float32(255)
    normal = (pixels - np.array(settings.mean, dtype=np.float32)) / np.array(settings.std, dtype=np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1))


def _open(content: bytes, field: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise InvalidField(field, f"{image.width} x {image.height} pixels; at most {_MAX_PIXELS} in all")
            return ImageOps.exif_transpose(image).convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidField(field, f"too many pixels; at most {_MAX_PIXELS}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow's decoders raise on broken files
        raise InvalidField(field, f"not an image in one of {', '.join(_FORMATS)}: {_in_words(error)}") from error


def _in_words(error: Exception) -> str:
    """Without the address of the stream, which tells the caller nothing."""
    return re.sub(r" ?<_io.BytesIO object at 0x[0-9a-f]+>", "", str(error))


def _fit(image: Image.Image, settings: ImageInput) -> Image.Image:
    height, width = settings.size
    resampling = _RESAMPLING[settings.interpolation]
    match settings.fit:
        case "stretch":
            return image.resize((width, height), resampling)
        case "left":
            scaled = image.resize((max(1, min(width, round(image.width * height / image.height))), height), resampling)
            canvas = Image.new("RGB", (width, height), _GREY)
            canvas.paste(scaled, (0, 0))
            return canvas
        case "pad":
            return _pad(image, height, width, resampling)
    shorter = settings.resize or min(height, width)
    scale = max(shorter / min(image.size), height / image.height, width / image.width)
    # Only what is kept is scaled: the whole of a picture one pixel wide would be scaled to gigabytes.
    kept_width, kept_height = width / scale, height / scale
    left, top = (image.width - kept_width) / 2, (image.height - kept_height) / 2
    return image.resize((width, height), resampling, box=(left, top, left + kept_width, top + kept_height))


def _pad(image: Image.Image, height: int, width: int, resampling: Image.Resampling) -> Image.Image:
    scale = min(height / image.height, width / image.width)
    scaled = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), resampling)
    canvas = Image.new("RGB", (width, height))
    canvas.paste(scaled, ((width - scaled.width) // 2, (height - scaled.height) // 2))
    return canvas
