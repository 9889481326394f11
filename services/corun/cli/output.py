"""Standard output: one JSON document, or tables."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PIPED_WIDTH = 120


def print_json(document: object) -> None:
    """Writes one JSON document; a figure that JSON cannot hold becomes null."""
    print(json.dumps(_finite(document), indent=2, allow_nan=False), flush=True)


def print_json_line(document: object) -> None:
    """Writes one JSON document on a line of its own, for streams of them."""
    print(json.dumps(_finite(document), allow_nan=False), flush=True)


def table_console() -> Console:
    """Standard output for tables: coloured on a terminal only, and names stay what they are."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=False)
    if not sys.stdout.isatty():
        console.width = max(console.width, _PIPED_WIDTH)
    return console


def print_tables(parts: Iterable[RenderableType]) -> None:
    """Writes tables and lines."""
    console = table_console()
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
