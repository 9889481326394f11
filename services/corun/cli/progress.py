"""A live line on standard error while a command works; nothing when nobody is watching."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from corun.cli.narration import comparison_words, execution_words
from corun_client.calls import ComparisonEvent, ExecutionEvent


class Progress:
    """Shows events as they come, and how many of `rounds` are done."""

    def __init__(self, *, rounds: int) -> None:
        self._rounds = rounds
        self._bar = Bar(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=rounds)

    def executed(self, event: ExecutionEvent) -> None:
        """Shows an event of an execution."""
        if event.HasField("pool_event"):
            if event.pool_event.HasField("iteration_finished"):
                self._bar.advance(self._task)
            elif event.pool_event.HasField("retried"):
                self._bar.update(self._task, completed=0)
        self._say(execution_words(event, rounds=self._rounds))

    def compared(self, event: ComparisonEvent) -> None:
        """Shows an event of a comparison."""
        if event.HasField("strategy_measured"):
            self._bar.advance(self._task)
        self._say(comparison_words(event))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _say(self, words: str) -> None:
        if words:
            self._bar.update(self._task, description=words)
