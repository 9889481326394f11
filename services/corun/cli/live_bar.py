"""A bar on standard error while a command works; nothing when nobody is watching."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn


class LiveBar:
    """A spinner, a bar that fills up to `total`, how far it is in `columns`, the time, and words.

    Subclasses move it; it is shown while its context is open.
    """

    def __init__(self, *columns: ProgressColumn, total: float | None, after: tuple[ProgressColumn, ...] = ()) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            *columns,
            TimeElapsedColumn(),
            *after,
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def print(self, words: str) -> None:
        """Writes a line that stays."""
        self._bar.console.print(words, markup=False, highlight=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
