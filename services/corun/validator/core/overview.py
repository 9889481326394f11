"""Adds to sums over the record what only shows in validations one by one."""

from __future__ import annotations

from dataclasses import replace

from corun.validator.core.history import History
from corun.validator.core.metrics import ErrorSummary, Metrics
from corun.validator.core.movement import movements


def with_movements(metrics: Metrics, history: History, *, history_size: int) -> Metrics:
    """The metrics with trends and drift of every group.

    Args:
        history: The newest `history_size` validations of each platform.
    """
    return replace(
        metrics,
        overall=_moved(metrics.overall, history.newest(history_size)),
        by_platform={name: _moved(each, history.on_platform(name)) for name, each in metrics.by_platform.items()},
        by_strategy={name: _moved(each, history.with_strategy(name)) for name, each in metrics.by_strategy.items()},
    )


def _moved(summary: ErrorSummary, history: History) -> ErrorSummary:
    return replace(summary, movements=movements(history))
