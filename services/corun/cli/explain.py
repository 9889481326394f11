"""`corun explain`: why a prediction is what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from corun.cli import options, session
from corun.cli.output import print_json, print_tables
from corun.cli.waiting import waiting
from corun.cli.workload import parse_browsers, parse_models

if TYPE_CHECKING:
    from corun.cli.explanation import Explanation
    from corun.v1.orchestrator_service_pb2 import ExecuteWithStrategyRequest


def explain(
    *,
    models: options.Models,
    platform: options.Platform,
    strategy: Annotated[
        str | None, typer.Option("--strategy", help="Only parallel, sequential or batched; default: all three.")
    ] = None,
    goal: options.Goal = "latency",
    profile: Annotated[bool, typer.Option("--profile", help="First measure alone what is not known yet.")] = False,
    browsers: options.Browsers = None,
    target: options.Target = None,
    models_folder: options.ModelsFolder = None,
    state_folder: options.StateFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Predict without running, and print what the prediction is made of and which strategy it favours."""
    from corun_client.conversion.requests import execute_request, workload_of

    # Prepared first: what can be refused here is refused before any service is started.
    request = execute_request(
        workload=workload_of(parse_models(models)),
        platform=platform,
        strategy=strategy,
        goal=goal,
        browser_preferences=parse_browsers(browsers or []),
    )

    async def work() -> Explanation:
        # Nothing is recorded, so no database is kept.
        with waiting("predicting"):
            async with session.passing_session(
                target, models_folder=models_folder, state_folder=state_folder, fresh_predictor=False
            ) as client:
                return await _explained(client.target, request, profile=profile)

    explanation = session.finish(work())
    if as_json:
        print_json(explanation)
    else:
        from corun.cli.explanation_tables import explanation_tables

        print_tables(explanation_tables(explanation))


async def _explained(target: str, request: ExecuteWithStrategyRequest, *, profile: bool) -> Explanation:
    from corun.cli.explanation import explanation
    from corun.deployment import peers_at
    from corun.orchestrator.config import Settings
    from corun.orchestrator.converters import goal_of
    from corun.orchestrator.forecast import Forecast
    from corun.orchestrator.preparation import prepare

    async with peers_at(target) as peers:
        preparation = await prepare(
            peers,
            workload=request.workload,
            platform=request.platform,
            preferences=request.browser_preferences,
        )
        batching_size = Settings().batching_size
        forecast = Forecast(peers, preparation, goal=goal_of(request.goal), batching_size=batching_size)
        if profile:
            await forecast.ask_informed()
        else:
            await forecast.ask()
    return explanation(request, preparation.environment, forecast.recommendation)
