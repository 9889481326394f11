"""Choices and objections that need no predictor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corun.orchestrator.core.configuration import Configuration, by_thresholds, objections
from corun.orchestrator.core.events import EventFilter
from corun.orchestrator.core.retention import Kept, outdated
from corun.orchestrator.core.terms import Strategy

BOUNDS = Configuration(batching_size=2, parallel_threshold=4, sequential_threshold=10, memory_threshold_mb=6000)


@pytest.mark.parametrize(
    ("strategy", "model_count", "memory_mb", "words"),
    [
        (Strategy.PARALLEL, 4, 6000.0, []),
        (Strategy.PARALLEL, 5, None, ["5 models are over the parallel threshold of 4"]),
        (Strategy.BATCHED, 10, None, []),
        (Strategy.BATCHED, 11, None, ["11 models are over the sequential threshold of 10"]),
        (Strategy.SEQUENTIAL, 64, 6001.0, ["6,001 MB are expected, over the memory threshold of 6,000 MB"]),
    ],
)
def test_objections_name_the_threshold(
    strategy: Strategy, model_count: int, memory_mb: float | None, words: list[str]
) -> None:
    assert objections(strategy, BOUNDS, model_count=model_count, memory_mb=memory_mb) == words


@pytest.mark.parametrize(
    ("model_count", "strategy"),
    [(1, Strategy.PARALLEL), (4, Strategy.PARALLEL), (5, Strategy.BATCHED), (11, Strategy.SEQUENTIAL)],
)
def test_thresholds_alone_choose(model_count: int, strategy: Strategy) -> None:
    assert by_thresholds(BOUNDS, model_count=model_count)[0] is strategy


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 100)), max_size=20), st.integers(0, 500))
def test_what_is_kept_fits_and_nothing_goes_before_what_is_older(ends: list[tuple[float, int]], room: int) -> None:
    kept = [Kept(str(number), end, size) for number, (end, size) in enumerate(ends)]
    gone = set(outdated(kept, now=1000.0, max_age_seconds=500.0, max_bytes=room))
    left = [each for each in kept if each.execution_id not in gone]
    assert sum(each.size_bytes for each in left) <= room
    assert all(1000.0 - each.end_time <= 500.0 for each in left)
    for each in kept:
        if each.execution_id in gone and 1000.0 - each.end_time <= 500.0:
            assert all(each.end_time <= one.end_time for one in left)


def test_only_repeated_events_are_bounded() -> None:
    events = EventFilter(limit=2)
    assert [events.passes(kind) for kind in ("run_started", "leased", "run_finished", "run_started", "measured")] == [
        True,
        True,
        True,
        False,
        True,
    ]
