"""`corun bench`: how good corun is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corun.cli import options, session
from corun.cli.output import print_json, print_tables

if TYPE_CHECKING:
    from corun.accuracy.core.design import Design

app = typer.Typer(name="bench", help="How good corun is on this machine.")

# Small, of three types, and all of them pretrained.
MODELS = "all-minilm-l6-v2,paraphrase-minilm-l3-v2,efficientnet-lite0,pp-ocr-cls,silero-vad,moonshine-tiny"


@app.command("accuracy")
def accuracy(
    *,
    platform: options.Platform = "wasm",
    engine: options.Engine = None,
    models: Annotated[str, typer.Option("--models", help="NAME,NAME,NAME and more; batch sizes are drawn.")] = MODELS,
    seed: Annotated[int, typer.Option("--seed", help="The same seed draws the same workloads.")] = 1,
    train: Annotated[int, typer.Option("--train", min=3, help="Executions to learn from.")] = 15,
    test: Annotated[int, typer.Option("--test", min=2, help="Held-out workloads; each runs under every strategy.")] = 6,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="Measurements of each point; the median counts.")
    ] = 5,
    plot: Annotated[
        Path | None, typer.Option("--plot", dir_okay=False, help="Draw predicted against measured, as PNG, SVG or PDF.")
    ] = None,
    target: options.Target = None,
    db_path: options.DbPath = None,
    models_folder: options.ModelsFolder = None,
    state_folder: options.StateFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Draw random workloads, predict what was held out, measure it, and print how far apart that was.

    Without --target it starts from nothing: services of its own with a fresh predictor and a temporary database.
    """
    design = _design(models, seed=seed, train=train, test=test)
    _check_plot(plot)
    report = session.finish(
        _measured(
            design,
            platform=platform,
            engine=engine,
            seed=seed,
            repeats=repeats,
            target=target,
            folders={"db_path": db_path, "models_folder": models_folder, "state_folder": state_folder},
        )
    )
    if plot is not None:
        from corun.cli.accuracy_plot import draw

        draw(report, plot)
    if as_json:
        print_json(report)
    else:
        from corun.cli.accuracy_tables import accuracy_tables

        print_tables(accuracy_tables(report))


def _design(models: str, *, seed: int, train: int, test: int) -> Design:
    from corun.accuracy.core.design import draw_design

    names = [name.strip() for name in models.split(",") if name.strip()]
    try:
        return draw_design(names, seed=seed, train_count=train, test_count=test)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--models") from None


def _check_plot(plot: Path | None) -> None:
    """Refuses what could not be written a quarter of an hour later."""
    if plot is None:
        return
    if plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise typer.BadParameter(f"{str(plot)!r} is no .png, .svg or .pdf file", param_hint="--plot")
    if not plot.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {str(plot.absolute().parent)!r}", param_hint="--plot")


async def _measured(
    design: Design,
    *,
    platform: str,
    engine: str | None,
    seed: int,
    repeats: int,
    target: str | None,
    folders: dict[str, Path | None],
) -> dict[str, Any]:
    import psutil

    from corun.accuracy.benchmark import benchmark
    from corun.accuracy.core.duration import expected_seconds
    from corun.accuracy.core.rounds import connections_for
    from corun.accuracy.document import document
    from corun.accuracy.site import find_site
    from corun.cli.accuracy_progress import AccuracyProgress
    from corun.deployment import peers_at
    from corun_client.conversion.names import platform_of
    from corun_client.conversion.preferences import MODEL_TYPES, engine_of

    platform_of(platform)  # what can be refused here is refused before any service is started
    preferences = dict.fromkeys(MODEL_TYPES, engine_of(engine)) if engine else {}
    names = design.model_names
    seconds = expected_seconds(design, model_count=len(names), repeats=repeats)
    connections = connections_for(psutil.virtual_memory().total / 1e6)
    with AccuracyProgress(expected_seconds=seconds) as progress:
        async with (
            session.passing_session(
                target,
                db_path=folders["db_path"],
                models_folder=folders["models_folder"],
                state_folder=folders["state_folder"],
                max_connections=connections,
            ) as client,
            peers_at(client.target) as peers,
        ):
            site = await find_site(
                client, peers, models=names, platform=platform, preferences=preferences, listener=progress
            )
            outcome = await benchmark(site, design, repeats=repeats)
    fresh = target is None and folders["state_folder"] is None
    return document(site, design, outcome, seed=seed, repeats=repeats, fresh=fresh)
