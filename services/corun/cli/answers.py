"""Answers to SQL as a table, CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from corun.cli.output import table_console
from corun_client.whole_file import whole_file

# A screen holds no more; CSV and JSON have every row.
_SHOWN_ROWS = 1_000


def print_answer(answer: Any, answer_format: str) -> None:
    """Writes the answer (`pyarrow.Table`) to standard output."""
    if answer_format == "table":
        _print_table(answer)
    else:
        sys.stdout.write(_text(answer, answer_format))
        sys.stdout.flush()


def write_answer(answer: Any, answer_format: str, path: Path) -> None:
    """Writes the answer to a file.

    Raises:
        OSError: when it cannot be written.
    """
    with whole_file(path) as file:
        if answer_format == "parquet":
            import pyarrow.parquet

            pyarrow.parquet.write_table(answer, file, compression="zstd")
        else:
            file.write(_text(answer, "csv" if answer_format == "table" else answer_format).encode())


def _text(answer: Any, answer_format: str) -> str:
    if answer_format == "json":
        rows = [{name: _plain(value) for name, value in zip(*row, strict=True)} for row in _named_rows(answer)]
        document = {"columns": answer.column_names, "row_count": answer.num_rows, "rows": rows}
        return json.dumps(document, indent=2, allow_nan=False) + "\n"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(answer.column_names)
    writer.writerows([_cell(value, nothing="") for value in row] for row in _rows(answer))
    return text.getvalue()


def _print_table(answer: Any) -> None:
    table = Table()
    for field in answer.schema:
        table.add_column(_printable(field.name), justify="right" if _is_number(field.type) else "left")
    for row in _rows(answer.slice(0, _SHOWN_ROWS)):
        table.add_row(*(Text(_printable(_cell(value, nothing="-"))) for value in row))
    console = table_console()
    console.print(table)
    hidden = answer.num_rows - _SHOWN_ROWS
    console.print(f"{answer.num_rows:,} rows" + (f", {hidden:,} of them not shown" if hidden > 0 else ""))


def _rows(answer: Any) -> list[tuple[Any, ...]]:
    # By column: names may be there twice.
    return list(zip(*(column.to_pylist() for column in answer.columns), strict=True))


def _named_rows(answer: Any) -> list[tuple[list[str], tuple[Any, ...]]]:
    names: list[str] = []
    for name in answer.column_names:
        names.append(name if name not in names else f"{name}_{len(names)}")
    return [(names, row) for row in _rows(answer)]


def _plain(value: Any) -> Any:
    """The value as JSON has it; a figure that it cannot hold becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value if isinstance(value, str | int | float | None) else str(value)


def _cell(value: Any, *, nothing: str) -> str:
    if value is None:
        return nothing
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, timedelta | str):
        return str(value)
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _printable(text: str) -> str:
    """Names may come from anybody: none may steer the terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
