"""Which events of a pool are worth keeping when there are very many."""

from __future__ import annotations

# Of one execution: thousands of iterations would fill the log, and say nothing that the measurement does not.
MAX_REPEATED_EVENTS = 2000

_REPEATED = frozenset({"run_started", "run_finished", "iteration_finished"})


class EventFilter:
    """Lets the first repeated events of an execution pass, and all others."""

    def __init__(self, limit: int = MAX_REPEATED_EVENTS) -> None:
        self._left = limit

    def passes(self, kind: str | None) -> bool:
        """Whether the pool's event of this kind is to be told of; counts it."""
        if kind not in _REPEATED:
            return True
        self._left -= 1
        return self._left >= 0
