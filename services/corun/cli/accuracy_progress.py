"""How far a benchmark is, by time: its steps take from one second to many."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn


class AccuracyProgress:
    """A bar on standard error that fills with the expected seconds of each step; nothing when nobody is watching."""

    def __init__(self, *, expected_seconds: float) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn(f"of about {max(1, round(expected_seconds / 60))} min"),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=expected_seconds)
        self._expected = 0.0

    def begin(self, words: str, expected_seconds: float = 0.0) -> None:
        """A step begins; the one before it is done."""
        self._bar.update(self._task, advance=self._expected, description=words)
        self._expected = expected_seconds

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
