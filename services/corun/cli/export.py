"""`corun export`: one table of the record as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corun.cli import options, session
from corun.cli.output import print_json

_SUFFIXES = {".parquet": "parquet", ".csv": "csv"}


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="FILE.parquet or FILE.csv.")],
    *,
    table: Annotated[str, typer.Option("--table", help="Name of the table.")] = "multi_model_validation_metrics",
    file_format: Annotated[str | None, typer.Option("--format", help="parquet or csv; by the file's name.")] = None,
    target: options.Target = None,
    db_path: options.DbPath = None,
    as_json: options.AsJson = False,
) -> None:
    """Write one table of the record to a Parquet or CSV file."""
    chosen = file_format or _SUFFIXES.get(file.suffix.lower())
    if chosen is None:
        raise typer.BadParameter(f"{file.name} does not say which: parquet or csv", param_hint="--format")
    options.require_database(db_path)

    async def work() -> int:
        async with session.validator_session(target, db_path=db_path) as client:
            return await client.export(file, table=table, file_format=chosen)

    size = session.finish(work())
    if as_json:
        print_json({"file": str(file), "table": table, "format": chosen, "size_bytes": size})
    else:
        print(f"{table} in {file}, {size:,} bytes")
