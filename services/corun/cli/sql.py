"""`corun sql`: one SELECT over the record."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from corun.cli import options, session


class AnswerFormat(StrEnum):
    """How the answer is printed or written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def sql(
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT statement of DuckDB's SQL.")],
    *,
    answer_format: Annotated[
        AnswerFormat, typer.Option("--format", help="table, csv, json or parquet.")
    ] = AnswerFormat.TABLE,
    output: Annotated[
        Path | None, typer.Option("--output", dir_okay=False, help="File to write instead of standard output.")
    ] = None,
    max_rows: Annotated[
        int | None, typer.Option("--max-rows", min=1, max=1_000_000, help="More rows are refused; 100000 by default.")
    ] = None,
    target: options.Target = None,
    db_path: options.DbPath = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask the record a question in SQL. Tables: multi_model_validation_metrics and others, as `SHOW TABLES` lists."""
    from corun.cli.answers import print_answer, write_answer

    chosen = AnswerFormat.JSON if as_json else answer_format
    if chosen is AnswerFormat.PARQUET and output is None:
        raise typer.BadParameter("parquet is not for a terminal: give a file", param_hint="--output")
    options.require_database(db_path)

    async def work() -> Any:
        async with session.validator_session(target, db_path=db_path) as client:
            return await client.query(statement, max_rows=max_rows)

    answer = session.finish(work())
    if output is None:
        print_answer(answer, chosen.value)
    else:
        write_answer(answer, chosen.value, output)
        if not as_json:
            print(f"{answer.num_rows:,} rows in {output}")
