"""Standard output: one JSON document, or tables."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

_PIPED_WIDTH = 120


def print_json(document: object) -> None:
    """Writes one JSON document; a figure that JSON cannot hold becomes null."""
    print(json.dumps(_finite(document), indent=2, allow_nan=False), flush=True)


def print_tables(parts: Iterable[RenderableType]) -> None:
    """Writes tables and lines, coloured on a terminal only."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=False)
    if not sys.stdout.isatty():
        console.width = max(console.width, _PIPED_WIDTH)
    for part in parts:
        console.print(part)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
