"""A live line on standard error while models run; nothing when nobody is watching."""

from __future__ import annotations

from rich.progress import MofNCompleteColumn

from corun.cli.live_bar import LiveBar
from corun.cli.narration import AnyEvent, comparison_words, execution_words
from corun_client.calls import ComparisonEvent, ExecutionEvent


class Progress(LiveBar):
    """Shows events as they come, and how many of `rounds` are done; 0 where it is not known how many there are."""

    def __init__(self, *, rounds: int) -> None:
        super().__init__(MofNCompleteColumn(), total=rounds or None)
        self._rounds = rounds

    def happened(self, event: AnyEvent) -> None:
        """Shows an event of an execution or a comparison."""
        if isinstance(event, ExecutionEvent):
            self.executed(event)
        else:
            self.compared(event)

    def executed(self, event: ExecutionEvent) -> None:
        """Shows an event of an execution."""
        if event.HasField("pool_event"):
            if event.pool_event.HasField("iteration_finished"):
                self._bar.advance(self._task)
            elif event.pool_event.HasField("measured"):
                self._bar.update(self._task, completed=self._rounds)
            elif event.pool_event.HasField("retried"):
                self._bar.update(self._task, completed=0)
        self._say(execution_words(event, rounds=self._rounds))

    def compared(self, event: ComparisonEvent) -> None:
        """Shows an event of a comparison."""
        if event.HasField("strategy_measured"):
            self._bar.advance(self._task)
        self._say(comparison_words(event))

    def _say(self, words: str) -> None:
        if words:
            self._bar.update(self._task, description=words)
