"""Names of classes: `labels.txt`, one a line."""

from __future__ import annotations

from pathlib import Path

from corun.resource_pool.models.regular_files import read_regular

LABELS_FILE = "labels.txt"
# The largest public vocabularies of classes have some tens of thousands of names.
_MAX_LABELS_BYTES = 4_000_000


def read_labels(folder: Path) -> list[str]:
    """The names in the order of the model's output; none where the folder has no such file.

    Raises:
        ValueError: too large, or not UTF-8.
        OSError: it cannot be read.
    """
    path = folder / LABELS_FILE
    if not path.exists():
        return []
    try:
        return read_regular(path, max_bytes=_MAX_LABELS_BYTES).decode().splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{LABELS_FILE} is not UTF-8: {error}") from error
