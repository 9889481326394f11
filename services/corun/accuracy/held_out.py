"""Measuring what was held out, after all of it was predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from corun.accuracy.core import duration
from corun.accuracy.core.design import Workload
from corun.accuracy.core.points import HeldOut, Measured, Point
from corun.accuracy.core.rounds import blocks
from corun.accuracy.reading import forecast_of
from corun.accuracy.site import Site
from corun.orchestrator.core.comparison import rotated
from corun.orchestrator.core.terms import Strategy
from corun.orchestrator.forecast import Forecast


@dataclass(frozen=True, slots=True)
class Asked:
    """A held-out workload, and what the predictor said of it."""

    workload: Workload
    unseen: bool
    forecast: Forecast


@dataclass(frozen=True, slots=True)
class _Series:
    """The measurements of a workload under one strategy so far."""

    asked: Asked
    strategy: Strategy
    rounds: list[Measured] = field(default_factory=list)

    def point(self, alone_mb: Mapping[str, float]) -> Point:
        prediction = self.asked.forecast.prediction_of(self.strategy)
        forecast = forecast_of(prediction, self.asked.workload, alone_mb)
        return Point(self.asked.workload, self.asked.unseen, forecast, tuple(self.rounds))


async def measured(site: Site, asked: Sequence[Asked], alone_mb: Mapping[str, float], *, repeats: int) -> list[HeldOut]:
    """Measures every workload under every strategy, `repeats` times, as many in turn as the pool has browsers for."""
    found = []
    for block in blocks(asked, max_connections=await site.max_connections()):
        found += await _block(site, block, alone_mb, repeats=repeats)
    return found


async def _block(site: Site, block: Sequence[Asked], alone_mb: Mapping[str, float], *, repeats: int) -> list[HeldOut]:
    by_workload = [[_Series(each, strategy) for strategy in Strategy] for each in block]
    everything = [series for own in by_workload for series in own]
    for number in range(repeats):
        expected = duration.REPEATED_RUN_SECONDS if number else duration.FIRST_RUN_SECONDS
        for series in rotated(everything, number):
            words = f"round {number + 1} of {repeats}: {len(series.asked.workload)} models {series.strategy}"
            site.listener.begin(words, expected)
            plan = series.asked.forecast.prediction_of(series.strategy).plan
            series.rounds.append(await site.measure(plan))
    return [
        HeldOut(each.forecast.recommended, tuple(series.point(alone_mb) for series in own))
        for each, own in zip(block, by_workload, strict=True)
    ]
