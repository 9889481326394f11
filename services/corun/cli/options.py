"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Models = Annotated[str, typer.Option("--models", help="NAME:BATCH,NAME:BATCH; BATCH is 1 when left out.")]
Platform = Annotated[str, typer.Option("--platform", help="webgpu, webnn or wasm (cpu is another name of wasm).")]
Goal = Annotated[str, typer.Option("--goal", help="latency, throughput or memory.")]
Iterations = Annotated[int, typer.Option("--iterations", help="How often the whole workload runs.")]
Target = Annotated[
    str | None, typer.Option("--target", metavar="HOST:PORT", help="Running services. Without it they start here.")
]
DEFAULT_TARGET = "127.0.0.1:50051"
RunningTarget = Annotated[
    str, typer.Option("--target", metavar="HOST:PORT", help="Running services, as started by `corun up`.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")]
DbPath = Annotated[
    Path | None, typer.Option("--db-path", dir_okay=False, help="The validator's DuckDB file, for services here.")
]
ModelsFolder = Annotated[
    Path | None,
    typer.Option(
        "--models-folder",
        exists=True,
        file_okay=False,
        help="Your own models, FOLDER/NAME/model.onnx or encoder.onnx and decoder.onnx, for services here.",
    ),
]
StateFolder = Annotated[
    Path | None,
    typer.Option("--state-folder", file_okay=False, help="What the predictor has learnt, for services here."),
]
Browsers = Annotated[
    list[str] | None,
    typer.Option(
        "--browser",
        metavar="TYPE=ENGINE",
        help="Browser to prefer for a type of model, as in vision=firefox; may be given several times. "
        "Types: text, vision, audio and others; engines: chromium, chromium-shell, firefox, chrome, edge.",
    ),
]
Engine = Annotated[
    str | None, typer.Option("--engine", help="Browser to prefer: chromium, chromium-shell, firefox, chrome or edge.")
]
Host = Annotated[str | None, typer.Option("--host", help="Interface to listen on.")]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the services' logs on standard error.")]
MaxConnections = Annotated[int | None, typer.Option("--max-connections", help="Most browsers at once.")]
ErrorThreshold = Annotated[
    float | None, typer.Option("--error-threshold", help="Largest acceptable error; 0.15 is 15 %.")
]
ValidationInterval = Annotated[
    int | None, typer.Option("--validation-interval", help="Validate every n-th execution on a platform.")
]

PredictionRefinement = Annotated[
    bool | None,
    typer.Option(
        "--refine/--no-refine", help="Whether the predictor is refined when its errors are large.", show_default=False
    ),
]
AdaptiveOptimization = Annotated[
    bool | None,
    typer.Option(
        "--adapt/--no-adapt", help="Whether bounds of the choice follow what is measured.", show_default=False
    ),
]
ExplorationRate = Annotated[
    float | None,
    typer.Option("--exploration-rate", help="Share of automatic choices that try an alternative; none by default."),
]


def require_database(db_path: Path | None) -> None:
    """Refuses a database that is not there: to read it, none is made.

    Raises:
        typer.BadParameter: names the option.
    """
    if db_path is not None and not db_path.exists():
        raise typer.BadParameter(f"there is no file {db_path}", param_hint="--db-path")
