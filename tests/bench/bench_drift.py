"""What a competing load does to predictions, and how fast they recover; all executions are real.

A predictor learns on a quiet machine. Then another program takes a core, and goes away again. On the same executions
three errors are told: of the version that learnt on the quiet machine and nothing since, of the one that served, and
the noise floor, the error of a single run against the median of its repeats. Afterwards each method of refinement is
given the first so many records since the load came, on top of what was known on the quiet machine, and judged on the
next ones.

`python -m tests.bench.bench_drift [FILE.json.gz]`: a file gets everything that happened, in its order, for
`tests/unit/predictor/test_recorded_drift.py` to learn from again.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import statistics
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

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
from corun.plumbing.logs import configure_logs
from corun.predictor.converters import environment_of
from corun.predictor.core.dataset import dataset_of
from corun.predictor.core.estimators import Method
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.learning import examine, learn
from corun.predictor.core.refinement import ESTIMATORS, mean_error
from corun.predictor.core.workload import Environment
from corun.predictor.executions import execution_of, report_of
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun_client import connect_async
from tests.bench.recording import as_dict, told_meanwhile, write
from tests.load import BUSY, program

MODELS = ("all-minilm-l6-v2", "efficientnet-lite0", "moonshine-tiny", "paraphrase-minilm-l3-v2")
PLATFORM = "wasm"
PROFILED_BATCH, PROFILED_COPIES = 4, 3
QUIET, LOADED, QUIET_AGAIN = "quiet", "a core is taken", "quiet again"
EXECUTIONS = {QUIET: 14, LOADED: 30, QUIET_AGAIN: 22}
REPEATS = 5
WITHIN = 20
JUDGED_ON = 10
LEAST_TARGET, NOISE_ALLOWANCE = 0.10, 1.5
SEED = 5
Told: TypeAlias = Sequence[predictor_pb2.ObserveRequest]


@dataclass(frozen=True, slots=True)
class Trial:
    """An execution: what served expected, what the quiet version expected, and what was measured, milliseconds;
    after how much was told."""

    strategy: Strategy
    asked: predictor_pb2.RecommendStrategyRequest
    served_ms: float
    fixed_ms: float
    measured_ms: float
    version: str
    record: predictor_pb2.ExecutedPlan
    told_count: int

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


async def tried(site: Site, fixed: Site, told: Told, workload: Workload, strategy: Strategy) -> Trial:
    """One execution, predicted by both."""
    expected = (await forecast_of(fixed, workload)).prediction_of(strategy)
    asked = await forecast_of(site, workload)
    told_count = len(told)
    result = await site.execute(workload, strategy)
    record = executed_plan(result.predicted.plan, result.measured)
    assert record is not None
    return Trial(
        strategy,
        asked=asked.request,
        served_ms=result.predicted.latency_ms.value,
        fixed_ms=expected.latency_ms.value,
        measured_ms=result.measured.performance.latency_ms,
        version=asked.recommendation.prediction.predictor_version,
        record=record,
        told_count=told_count,
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


async def phase_of(name: str, site: Site, fixed: Site, told: Told, generator: random.Random) -> Phase:
    """Its executions, and then the noise."""
    trials = [await tried(site, fixed, told, *drawn(generator)) for _ in range(EXECUTIONS[name])]
    return Phase(name, trials, await noise_of(site, generator))


def records_needed(
    environment: Environment, told: Told, method: Method, quiet: Phase, loaded: Phase
) -> tuple[int | None, float]:
    """How many records of the load a method needs to come below the target on the next ones, and the error there.

    It stands on what was known on the quiet machine, and is told the quiet machine's records too.
    """
    knowledge = Knowledge()
    for request in told[: loaded.trials[0].told_count]:
        knowledge = learn(knowledge, examine(knowledge, report_of(request)).lessons)
    records = [execution_of(trial.record, environment) for trial in (*quiet.trials, *loaded.trials)]
    samples = dataset_of(knowledge, [(environment.place, each) for each in records]).samples
    platform = environment.place.platform
    for count in range(2, len(loaded.trials) - JUDGED_ON + 1):
        newest = len(quiet.trials) + count
        refined = ESTIMATORS[method].fit(samples[:newest], platform=platform, start=knowledge.correction(platform))
        error = mean_error(refined, samples[newest : newest + JUDGED_ON])
        if error <= loaded.target:
            return count, error
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


async def measured(site: Site, told: Told, state: Path, snapshot: Path) -> list[Phase]:
    """Profiles, learns, and goes through all conditions."""
    generator = random.Random(SEED)
    for name in MODELS:
        await site.forecast(((name, PROFILED_BATCH),) * PROFILED_COPIES).ask_informed()
    quiet = await phase_of(QUIET, site, site, told, generator)
    shutil.copytree(state, snapshot)
    async with fixed_version(site, snapshot) as fixed:
        with program(BUSY):
            loaded = await phase_of(LOADED, site, fixed, told, generator)
        after = await phase_of(QUIET_AGAIN, site, fixed, told, generator)
    return [quiet, loaded, after]


def report(phases: Sequence[Phase], needed: Mapping[Method, tuple[int | None, float]]) -> dict[str, float]:
    """Prints the errors, and how soon what served and what each method gives had recovered."""
    show(phases)
    console = Console(width=120)
    fixed_quiet, fixed_loaded = (statistics.fmean(each.fixed_error for each in phase.trials) for phase in phases[:2])
    console.print(f"  the fixed version's error went from {fixed_quiet:.1%} to {fixed_loaded:.1%} under the load")
    recovered = {}
    for phase in phases[1:]:
        count = recovered_after(phase)
        words = "never" if count is None else f"after {count} executions"
        console.print(f"  {phase.name}: what served was below {phase.target:.1%} {words} (target: within {WITHIN})")
        recovered[f"{phase.name} recovered"] = float("nan") if count is None else float(count)
    for method, (count, error) in needed.items():
        words = "not within this phase" if count is None else f"with {count} records: {error:.1%} on the next ones"
        console.print(f"  {method}, on what was known before the load, comes below {phases[1].target:.1%} {words}")
    return {"fixed quiet": fixed_quiet, "fixed loaded": fixed_loaded, **recovered}


def steps(told: Told, phases: Sequence[Phase]) -> Iterator[dict[str, Any]]:
    """What happened, in its order: what the predictor was told and asked, and what was measured."""
    passed = 0
    for phase in phases:
        for trial in phase.trials:
            yield from ({"observe": as_dict(each)} for each in told[passed : trial.told_count])
            passed = trial.told_count
            yield {
                "phase": phase.name,
                "asked": as_dict(trial.asked),
                "strategy": trial.strategy.value,
                "measured_ms": trial.measured_ms,
            }
        yield {"phase": phase.name, "noise_floor": phase.noise}


async def bench(file: Path | None = None) -> dict[str, float]:
    """Errors before, under and after the load; executions until the version that served had recovered."""
    with TemporaryDirectory() as folder, told_meanwhile() as told:
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
            phases = await measured(site, told, state, place / "snapshot")
            environment = environment_of(site.everything.environment)
    if file is not None:
        write(file, list(steps(told, phases)))
    needed = {method: records_needed(environment, told, method, *phases[:2]) for method in Method}
    return report(phases, needed)


if __name__ == "__main__":
    configure_logs(verbose=False)
    asyncio.run(bench(*map(Path, sys.argv[1:])))
