"""`corun executions`: what running services have executed, re-attaching to it, and ending it."""

from __future__ import annotations

import sys
from contextlib import aclosing, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from corun.cli import options, session
from corun.cli.failures import Interrupted
from corun.cli.output import print_json, print_json_line, print_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from corun.cli.narration import AnyEvent
    from corun_client.conversion.executions import ExecutionEntry

app = typer.Typer(
    name="executions",
    help="Show executions and comparisons that are kept, the newest first; watch one, or end it.",
    no_args_is_help=False,
    rich_markup_mode=None,
)

ExecutionId = Annotated[str, typer.Argument(metavar="ID", help="As `corun executions` shows it.")]


@app.callback(invoke_without_command=True)
def executions(
    context: typer.Context,
    *,
    state: Annotated[
        str | None,
        typer.Option("--state", help="Only those running, completed, failed, cancelled or interrupted."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="Most to show, 1 to 1000.")] = 100,
    target: options.RunningTarget = options.DEFAULT_TARGET,
    as_json: options.AsJson = False,
) -> None:
    """Show executions and comparisons that are kept, the newest first."""
    if context.invoked_subcommand is not None:
        return
    entries = session.finish(_listed(target, state=state, limit=limit))
    if as_json:
        print_json({"executions": entries})
    else:
        from corun.cli.executions_table import executions_table

        print_tables([executions_table(entries)])


@app.command()
def watch(
    execution_id: ExecutionId,
    *,
    after: Annotated[int, typer.Option("--after", help="Only events after this one.")] = 0,
    target: options.RunningTarget = options.DEFAULT_TARGET,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line, one an event.")] = False,
) -> None:
    """Show what happens in an execution or comparison until it ends, wherever it was started. Ctrl-C only leaves it."""
    with suppress(Interrupted):
        session.finish(_watched(target, execution_id, after=after, as_json=as_json))


@app.command()
def cancel(
    execution_id: ExecutionId,
    *,
    target: options.RunningTarget = options.DEFAULT_TARGET,
    as_json: options.AsJson = False,
) -> None:
    """End an execution or comparison; one that has ended is left as it is."""
    entry = session.finish(_cancelled(target, execution_id))
    if as_json:
        print_json(entry)
    else:
        print(f"{entry['kind']} {entry['execution_id']}: {entry['state']}")


async def _listed(target: str, *, state: str | None, limit: int) -> list[ExecutionEntry]:
    async with session.session(target) as client:
        return await client.executions(limit=limit, state=state)


async def _cancelled(target: str, execution_id: str) -> ExecutionEntry:
    async with session.session(target) as client:
        return await client.cancel_execution(execution_id)


async def _watched(target: str, execution_id: str, *, after: int, as_json: bool) -> None:
    from corun_client.failures import from_event

    async with session.session(target) as client:
        with _shown(as_json=as_json) as show:
            async with aclosing(client.watch_execution(execution_id, after_sequence=after)) as events:
                async for event in events:
                    show(event)
                    if event.HasField("failed"):
                        raise typer.Exit(1) if as_json else from_event(event.failed)


@contextmanager
def _shown(*, as_json: bool) -> Iterator[Callable[[AnyEvent], None]]:
    """Shows events: as documents, on a terminal as words beside a spinner, else as lines; the last one as a line."""
    from corun.cli.narration import outcome_words, words_of
    from corun.cli.progress import Progress

    def document(event: AnyEvent) -> None:
        from google.protobuf.json_format import MessageToDict

        print_json_line(MessageToDict(event, preserving_proto_field_name=True))

    def line(event: AnyEvent) -> None:
        words = outcome_words(event) or words_of(event)
        if words:
            print(f"{event.event_time.ToJsonString()} {words}", flush=True)

    if as_json:
        yield document
    elif not sys.stderr.isatty():
        yield line
    else:
        with Progress(rounds=0) as progress:

            def live(event: AnyEvent) -> None:
                if words := outcome_words(event):
                    progress.print(words)
                else:
                    progress.happened(event)

            yield live
