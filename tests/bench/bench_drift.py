"""What a competing load does to predictions, and how fast they recover; all executions are real.

A predictor learns on a quiet machine. Then another program takes a core, and goes away again. On the same executions
three errors are told: of the version that learnt on the quiet machine and nothing since, of the one that served, and
the noise floor, the error of a single run against the median of its repeats. Afterwards each method of refinement is
given the first so many records since the load came, on top of the quiet version, and judged on the next ones.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from corun.accuracy.core.design import Workload
from corun.accuracy.core.scoring import noise_floor
from corun.accuracy.site import Site, find_site
from corun.deployment import peers_at
from corun.embedded import embedded_stack, hosted, settings_of
from corun.orchestrator.core.terms import Strategy
from corun.orchestrator.executed import executed_plan
from corun.orchestrator.forecast import Forecast
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun_client import connect_async
from tests.bench.load import competing_load

MODELS = ("all-minilm-l6-v2", "efficientnet-lite0", "moonshine-tiny", "paraphrase-minilm-l3-v2")
PLATFORM = "wasm"
PROFILED_BATCH, PROFILED_COPIES = 4, 3
EXECUTIONS = {"quiet": 18, "a core is taken": 32, "quiet again": 24}
REPEATS = 5
WITHIN = 20
JUDGED_ON = 10
LEAST_TARGET, NOISE_ALLOWANCE = 0.10, 1.5
SEED = 5
METHODS = {
    "incremental": predictor_pb2.REFINEMENT_METHOD_INCREMENTAL,
    "window": predictor_pb2.REFINEMENT_METHOD_WINDOW,
    "weighted": predictor_pb2.REFINEMENT_METHOD_WEIGHTED,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """An execution: what served expected, what the quiet version expected, and what was measured, milliseconds."""

    workload: Workload
    strategy: Strategy
    served_ms: float
    fixed_ms: float
    measured_ms: float
    version: str
    record: predictor_pb2.ExecutedPlan

    @property
    def served_error(self) -> float:
        """Of the version that served."""
        return abs(self.served_ms / self.measured_ms - 1)

    @property
    def fixed_error(self) -> float:
        """Of the version that learnt nothing since."""
        return abs(self.fixed_ms / self.measured_ms - 1)


@dataclass(frozen=True, slots=True)
class Phase:
    """Executions under one condition of the machine, and the noise floor at their end."""

    name: str
    trials: Sequence[Trial]
    noise: float

    @property
    def target(self) -> float:
        """What an error may be."""
        return max(LEAST_TARGET, NOISE_ALLOWANCE * self.noise)


def drawn(generator: random.Random) -> tuple[Workload, Strategy]:
    """Two to four models in batches of one to four, under any strategy."""
    models = [(generator.choice(MODELS), generator.randint(1, 4)) for _ in range(generator.randint(2, 4))]
    return tuple(models), generator.choice(list(Strategy))


async def forecast_of(site: Site, workload: Workload) -> Forecast:
    """What the predictor of a site expects."""
    forecast = site.forecast(workload)
    await forecast.ask()
    return forecast


async def tried(site: Site, fixed: Site, workload: Workload, strategy: Strategy) -> Trial:
    """One execution, predicted by both."""
    expected = (await forecast_of(fixed, workload)).prediction_of(strategy)
    version = (await forecast_of(site, workload)).recommendation.prediction.predictor_version
    result = await site.execute(workload, strategy)
    record = executed_plan(result.predicted.plan, result.measured)
    assert record is not None
    return Trial(
        workload,
        strategy,
        served_ms=result.predicted.latency_ms.value,
        fixed_ms=expected.latency_ms.value,
        measured_ms=result.measured.performance.latency_ms,
        version=version,
        record=record,
    )


async def noise_of(site: Site, generator: random.Random) -> float:
    """The noise floor at the moment: a workload under every strategy, several times."""
    repeats = []
    workload, _ = drawn(generator)
    forecast = await forecast_of(site, workload)
    for strategy in Strategy:
        plan = forecast.prediction_of(strategy).plan
        repeats.append([(await site.measure(plan)).figures.latency_ms for _ in range(REPEATS)])
    return noise_floor(repeats)


class Silent:
    """Nobody looks at single steps."""

    def begin(self, words: str, expected_seconds: float = 0.0) -> None:
        """Says nothing."""


@asynccontextmanager
async def fixed_version(site: Site, snapshot: Path) -> AsyncIterator[Site]:
    """The same site with a predictor of its own, that knows what the snapshot holds."""
    with TemporaryDirectory() as folder:
        state = shutil.copytree(snapshot, Path(folder) / "predictor")
        async with (
            hosted("predictor", settings_of("predictor", port=0, state_folder=state)) as address,
            peers_at(address) as peers,
        ):
            yield replace(site, peers=peers)


async def phase_of(name: str, count: int, site: Site, fixed: Site, generator: random.Random) -> Phase:
    """So many executions, and then the noise."""
    trials = [await tried(site, fixed, *drawn(generator)) for _ in range(count)]
    return Phase(name, trials, await noise_of(site, generator))


async def records_needed(
    site: Site, snapshot: Path, method: str, before: Sequence[Trial], phase: Phase
) -> tuple[int | None, float]:
    """How many records of a phase a method needs to come below its target on the next ones, and the error there."""
    for count in range(4, len(phase.trials) - JUDGED_ON + 1, 2):
        async with fixed_version(site, snapshot) as refined:
            options = predictor_pb2.RefinementOptions(
                environment=site.everything.environment, method=METHODS[method], features=site.everything.features()
            )
            records = [trial.record for trial in (*before, *phase.trials[:count])]
            response = await refined.peers.refine(options, records)
            if not response.accepted:
                continue
            errors = []
            for trial in phase.trials[count : count + JUDGED_ON]:
                expected = (await forecast_of(refined, trial.workload)).prediction_of(trial.strategy).latency_ms.value
                errors.append(abs(expected / trial.measured_ms - 1))
            if statistics.fmean(errors) <= phase.target:
                return count, statistics.fmean(errors)
    return None, float("nan")


def recovered_after(phase: Phase) -> int | None:
    """Executions until the mean error of the next JUDGED_ON that served is below the target; None: never."""
    for count in range(len(phase.trials) - JUDGED_ON + 1):
        if statistics.fmean(trial.served_error for trial in phase.trials[count : count + JUDGED_ON]) <= phase.target:
            return count
    return None


def show(phases: Sequence[Phase]) -> None:
    """Mean errors of five executions at a time."""
    table = Table(title="mean error of latency, %", title_justify="left")
    for heading in ("executions", "version that learnt before the load", "version that served", "noise floor"):
        table.add_column(heading, justify="left" if heading == "executions" else "right")
    for phase in phases:
        for start in range(0, len(phase.trials), 5):
            part = phase.trials[start : start + 5]
            table.add_row(
                f"{phase.name}, {start + 1} to {start + len(part)} ({part[-1].version})",
                f"{statistics.fmean(trial.fixed_error for trial in part):.1%}",
                f"{statistics.fmean(trial.served_error for trial in part):.1%}",
                f"{phase.noise:.1%}",
            )
        table.add_section()
    Console(width=120).print(table)


async def measured(site: Site, state: Path, snapshot: Path) -> list[Phase]:
    """Profiles, learns, and goes through all conditions."""
    generator = random.Random(SEED)
    for name in MODELS:
        await site.forecast(((name, PROFILED_BATCH),) * PROFILED_COPIES).ask_informed()
    names = list(EXECUTIONS)
    quiet = await phase_of(names[0], EXECUTIONS[names[0]], site, site, generator)
    shutil.copytree(state, snapshot)
    async with fixed_version(site, snapshot) as fixed:
        async with competing_load():
            loaded = await phase_of(names[1], EXECUTIONS[names[1]], site, fixed, generator)
        after = await phase_of(names[2], EXECUTIONS[names[2]], site, fixed, generator)
    return [quiet, loaded, after]


async def bench() -> dict[str, float]:
    """Errors before, under and after the load; executions until the version that served had recovered."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        state = place / "state"
        async with (
            embedded_stack(
                max_connections=3,
                db_path=place / "corun.duckdb",
                state_folder=state,
                validation_interval=1,
                error_threshold=LEAST_TARGET,
                refinement_interval=5,
            ) as address,
            connect_async(address) as client,
            peers_at(address) as peers,
        ):
            site = await find_site(client, peers, models=MODELS, platform=PLATFORM, preferences={}, listener=Silent())
            phases = await measured(site, state, place / "snapshot")
            needed = {
                method: await records_needed(site, place / "snapshot", method, phases[0].trials, phases[1])
                for method in METHODS
            }
    _, loaded, after = phases
    show(phases)
    console = Console(width=120)
    fixed_quiet, fixed_loaded = (statistics.fmean(each.fixed_error for each in phase.trials) for phase in phases[:2])
    console.print(f"  the fixed version's error went from {fixed_quiet:.1%} to {fixed_loaded:.1%} under the load")
    for phase in (loaded, after):
        count = recovered_after(phase)
        words = "never" if count is None else f"after {count} executions"
        console.print(f"  {phase.name}: what served was below {phase.target:.1%} {words} (target: within {WITHIN})")
    for method, (count, error) in needed.items():
        words = (
            "not within this phase" if count is None else f"with {count} records, {error:.1%} on the next {JUDGED_ON}"
        )
        console.print(f"  {method} on top of the quiet version comes below {loaded.target:.1%} {words}")
    recovered = {f"{phase.name} recovered": float(recovered_after(phase) or 0) for phase in (loaded, after)}
    return {"fixed quiet": fixed_quiet, "fixed loaded": fixed_loaded, **recovered}


if __name__ == "__main__":
    asyncio.run(bench())
