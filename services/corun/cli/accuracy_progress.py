"""How far a benchmark is, by time: its steps take from one second to many."""

from __future__ import annotations

from rich.progress import TaskProgressColumn, TextColumn

from corun.cli.live_bar import LiveBar


class AccuracyProgress(LiveBar):
    """A bar that fills with the expected seconds of each step."""

    def __init__(self, *, expected_seconds: float) -> None:
        minutes = TextColumn(f"of about {max(1, round(expected_seconds / 60))} min")
        super().__init__(TaskProgressColumn(), total=expected_seconds, after=(minutes,))
        self._expected = 0.0

    def begin(self, words: str, expected_seconds: float = 0.0) -> None:
        """A step begins; the one before it is done."""
        self._bar.update(self._task, advance=self._expected, description=words)
        self._expected = expected_seconds
