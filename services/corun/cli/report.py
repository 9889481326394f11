"""`corun report`: how good the predictions were, as one page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corun.cli import options, session
from corun.cli.output import print_json

if TYPE_CHECKING:
    from corun.report.data import ReportData


def report(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="HTML file to write.")] = Path(
        "corun-report.html"
    ),
    *,
    target: options.Target = None,
    db_path: options.DbPath = None,
    as_json: options.AsJson = False,
) -> None:
    """Write one HTML page: errors over time, predicted against measured, strategies, refinements."""
    from corun.report.page import render
    from corun_client.whole_file import whole_file

    options.require_database(db_path)

    async def work() -> ReportData:
        from corun.report.data import collect

        async with session.validator_session(target, db_path=db_path) as client:
            return await collect(client)

    data = session.finish(work())
    content = render(data).encode()
    with whole_file(file) as written:
        written.write(content)
    if as_json:
        print_json({"file": str(file), "size_bytes": len(content), "validation_count": data.validation_count})
    else:
        print(f"{data.validation_count:,} validations in {file}, {len(content):,} bytes; open it in a browser")
