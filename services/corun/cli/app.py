"""The commands put together, and the one place where failures become an exit code and a line."""

from __future__ import annotations

import os
from collections.abc import Sequence

import typer

from corun.cli import (
    bench,
    compare,
    config_command,
    doctor,
    engines,
    executions,
    explain,
    export,
    infer,
    metrics,
    models,
    pool,
    run_command,
    serve,
    sql,
    up,
)
from corun.cli import (
    report as report_page,
)
from corun.cli.failures import failure_of, report

app = typer.Typer(
    name="corun",
    help="Runs several AI models together in real browsers: predicts, chooses a strategy, measures, validates.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from importlib import metadata

        try:
            typer.echo(f"corun {metadata.version('corun')}")
        except metadata.PackageNotFoundError:  # run from the repository without an install
            typer.echo("corun, not installed")
        raise typer.Exit


app.command("run")(run_command.run)
app.command("compare")(compare.compare)
app.command("explain")(explain.explain)
app.command("infer")(infer.infer)
app.command("models")(models.models)
app.command("engines")(engines.engines)
app.command("pool")(pool.pool)
app.command("metrics")(metrics.metrics)
app.command("sql")(sql.sql)
app.command("export")(export.export)
app.command("report")(report_page.report)
app.command("doctor")(doctor.doctor)
app.command("up")(up.up)
app.add_typer(executions.app, name="executions")
app.add_typer(bench.app, name="bench")
app.add_typer(config_command.app, name="config")
app.add_typer(serve.app, name="serve")


def run(arguments: Sequence[str]) -> int:
    """Runs one command; gives its exit code: 0 only on success."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own log lines would mix with ours
    command, words = typer.main.get_command(app), list(arguments) or ["--help"]
    try:
        code = command.main(args=words, prog_name="corun", standalone_mode=False)
    except Exception as error:
        return report(failure_of(error), as_json="--json" in words)
    return code if isinstance(code, int) else 0
