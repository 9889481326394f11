"""What else follows a measurement: teaching the predictor, and warnings. None of it fails an execution."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from corun.errors import PeerUnavailable
from corun.orchestrator.converters import fallbacks_of, runs_of
from corun.orchestrator.core.cautions import cautions
from corun.orchestrator.core.observations import Observation, observed_alone
from corun.orchestrator.executed import engines_of, executed_plan
from corun.orchestrator.forecast import teach
from corun.orchestrator.peers import Peers
from corun.orchestrator.preparation import Preparation
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2

# A plan and what carrying it out measured.
Measured: TypeAlias = tuple[core_pb2.Plan, pool_pb2.Measurement]

# More runs than these are gone through on another thread, so that other calls are not held up.
MANY_RUNS = 500


async def learn(peers: Peers, preparation: Preparation, measured: Sequence[Measured]) -> list[str]:
    """Teaches the predictor every execution, and the runs that had no other beside them, engine by engine; gives
    the reasons of what it did not learn."""
    if sum(len(measurement.runs) for _, measurement in measured) > MANY_RUNS:
        lessons = await asyncio.to_thread(_lessons, measured)
    else:
        lessons = _lessons(measured)
    reasons = []
    for engine, (observations, executions) in lessons.items():
        try:
            ignored = await teach(peers, preparation, observations, engine=engine, executions=executions)
        except (PeerUnavailable, RemoteError) as error:
            reasons.append(error.message)
        else:
            reasons += ignored
    return reasons


def noted(preparation: Preparation, measurements: Sequence[pool_pb2.Measurement]) -> list[str]:
    """A warning for each thing that did not go as foreseen, once."""
    warnings: dict[str, None] = {}
    for measurement in measurements:
        found = cautions(
            predicted_engine=preparation.environment.engine,
            ran_in=((run.model_name, run.engine) for run in runs_of(measurement)),
            fallbacks=fallbacks_of(measurement),
            retry_count=measurement.retry_count,
            run_count=len(measurement.runs),
            changed=preparation.changed(measurement),
        )
        warnings.update(dict.fromkeys(found))
    return list(warnings)


def _lessons(measured: Sequence[Measured]) -> dict[str, tuple[list[Observation], list[predictor_pb2.ExecutedPlan]]]:
    """Runs that were alone, and whole executions, by the engine that ran them."""
    runs = [run for _, measurement in measured for run in runs_of(measurement)]
    lessons: dict[str, tuple[list[Observation], list[predictor_pb2.ExecutedPlan]]] = {
        engine: (observed_alone([run for run in runs if run.engine == engine]), [])
        for engine in dict.fromkeys(run.engine for run in runs)
    }
    for plan, measurement in measured:
        executed = executed_plan(plan, measurement)
        if executed is not None:
            (engine,) = engines_of(measurement)
            lessons.setdefault(engine, ([], []))[1].append(executed)
    return lessons
