"""The benchmark from the first profile to the last measurement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from corun.accuracy.core import duration
from corun.accuracy.core.design import Design, Workload
from corun.accuracy.core.points import Execution, HeldOut
from corun.accuracy.held_out import Asked, measured
from corun.accuracy.reading import forecast_of
from corun.accuracy.site import Site
from corun.orchestrator.converters import figures_of, predicted_figures
from corun.orchestrator.core.terms import Strategy
from corun.orchestrator.forecast import Forecast

# In the middle of the batch sizes that are drawn.
_PROFILED_BATCH = 4
# As many models side by side as a workload can have, so that the narrowest lanes are profiled as well.
_PROFILED_COPIES = 6
_CHOICES_EACH = 20
# What an execution measured is learnt a moment after it ended.
_LEARNT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was learnt from and what was held out.

    `alone_mb` is what each model takes alone, megabytes; `choice_ms` the median time to predict and choose.
    """

    training: tuple[Execution, ...]
    held_out: tuple[HeldOut, ...]
    alone_mb: Mapping[str, float]
    choice_ms: float
    duration_seconds: float


async def benchmark(site: Site, design: Design, *, repeats: int) -> Outcome:
    """Profiles every model once, learns from the training, then predicts and measures what was held out.

    Raises:
        CorunError, RemoteError: what a service says that fails.
    """
    begin = time.monotonic()
    alone_mb = {model.name: await _profile(site, model.name) for model in site.everything.models}
    training = [
        await _train(site, workload, strategy, alone_mb, number=f"{index} of {len(design.training)}")
        for index, (workload, strategy) in enumerate(design.training, start=1)
    ]
    await asyncio.sleep(_LEARNT_SECONDS)
    asked = [Asked(workload, workload in design.unseen, site.forecast(workload)) for workload in design.held_out]
    choice_ms = [await _time_to_choose(each.forecast) for each in asked for _ in range(_CHOICES_EACH)]
    held_out = await measured(site, asked, alone_mb, repeats=repeats)
    return Outcome(tuple(training), tuple(held_out), alone_mb, median(choice_ms), time.monotonic() - begin)


async def _profile(site: Site, name: str) -> float:
    """Profiles a model as an execution would that finds it new; gives its memory alone, megabytes."""
    site.listener.begin(f"profiling {name}", duration.PROFILE_SECONDS)
    await site.forecast(((name, _PROFILED_BATCH),) * _PROFILED_COPIES).ask_informed()
    alone = site.forecast(((name, _PROFILED_BATCH),))
    await alone.ask()
    return predicted_figures(alone.prediction_of(Strategy.SEQUENTIAL)).memory_mb


async def _train(
    site: Site, workload: Workload, strategy: Strategy, alone_mb: Mapping[str, float], *, number: str
) -> Execution:
    """Learns from a workload as from any user's."""
    site.listener.begin(f"training {number}: {len(workload)} models {strategy}", duration.TRAIN_SECONDS)
    result = await site.execute(workload, strategy)
    return Execution(
        workload, forecast_of(result.predicted, workload, alone_mb), figures_of(result.measured.performance)
    )


async def _time_to_choose(forecast: Forecast) -> float:
    begin = time.perf_counter()
    await forecast.ask()
    return (time.perf_counter() - begin) * 1000
