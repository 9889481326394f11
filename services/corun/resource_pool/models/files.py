"""The graphs of a model folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MODEL_FILE = "model.onnx"
ENCODER_FILE, DECODER_FILE = "encoder.onnx", "decoder.onnx"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file for lanes to fetch, and its SHA-256."""

    path: Path
    sha256: str


def graph_files(folder: Path) -> tuple[Path, ...]:
    """`model.onnx`; without one `encoder.onnx` and `decoder.onnx`, in this order; empty where it is no model folder.

    Whatever stands there counts, so that what is no file or leads nowhere is refused, not passed over.
    """
    parts = (folder / ENCODER_FILE, folder / DECODER_FILE)
    for paths in ((folder / MODEL_FILE,), parts):
        if all(os.path.lexists(path) for path in paths):
            return paths
    return ()
