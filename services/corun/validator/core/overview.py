"""Adds to sums over the record what only shows in validations one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from corun.validator.core.history import Validation
from corun.validator.core.metrics import ErrorSummary, Metrics
from corun.validator.core.movement import movements


def with_movements(metrics: Metrics, history: Sequence[Validation], *, history_size: int) -> Metrics:
    """The metrics with trends and drift of every group.

    Args:
        history: The newest `history_size` validations of each platform, oldest first.
    """
    return replace(
        metrics,
        overall=_moved(metrics.overall, history[-history_size:]),
        by_platform=_each_moved(metrics.by_platform, history, lambda validation: validation.platform),
        by_strategy=_each_moved(metrics.by_strategy, history, lambda validation: validation.strategy),
    )


def _each_moved(
    summaries: Mapping[str, ErrorSummary], history: Sequence[Validation], group: Callable[[Validation], str]
) -> dict[str, ErrorSummary]:
    return {
        name: _moved(summary, [each for each in history if group(each) == name]) for name, summary in summaries.items()
    }


def _moved(summary: ErrorSummary, history: Sequence[Validation]) -> ErrorSummary:
    one_platform = len({each.platform for each in history}) == 1
    return replace(summary, movements=movements(history, one_platform=one_platform))
