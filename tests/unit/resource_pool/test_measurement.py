"""How a plan's figures follow from what was timed."""

from __future__ import annotations

import pytest

from corun.resource_pool.core.measurement import figures


def test_latency_is_the_median_and_throughput_counts_every_item_over_the_wall_time() -> None:
    measured = figures(iteration_latencies_ms=[10.0, 500.0, 20.0], item_count=4, wall_seconds=0.6, memory_mb=7.0)
    assert (measured.latency_ms, measured.memory_mb) == (20.0, 7.0)
    assert measured.throughput_items_per_second == pytest.approx(20.0)


def test_iterations_side_by_side_raise_the_throughput_and_not_the_latency() -> None:
    alone = figures(iteration_latencies_ms=[100.0] * 4, item_count=1, wall_seconds=0.4, memory_mb=0.0)
    both = figures(iteration_latencies_ms=[100.0] * 4, item_count=1, wall_seconds=0.2, memory_mb=0.0)
    assert both.latency_ms == alone.latency_ms
    assert both.throughput_items_per_second == 2 * alone.throughput_items_per_second
