"""`corun models`: what can be run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from corun.cli import options, session
from corun.cli.output import print_json, print_tables

if TYPE_CHECKING:
    from rich.console import RenderableType

    from corun_client.async_client import AsyncClient
    from corun_client.conversion.pool import ModelReport


def models(
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="With --install: only these.")] = None,
    install: Annotated[bool, typer.Option("--install", help="Fetch or make the model files now.")] = False,
    target: options.Target = None,
    models_folder: options.ModelsFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """List the models, with where their weights come from."""
    if names and not install:
        raise typer.BadParameter("names are for --install; without it every model is listed", param_hint="NAME")

    async def work() -> tuple[list[ModelReport], dict[str, str]]:
        async with session.pool_session(target, models_folder=models_folder) as client:
            failed = await _installed(client, names or []) if install else {}
            return await client.list_models(), failed

    listed, failed = session.finish(work())
    if as_json:
        print_json({"models": listed, **({"failed": failed} if install else {})})
    else:
        print_tables(_tables(listed, failed))
    if failed:
        raise typer.Exit(1)


async def _installed(client: AsyncClient, names: Sequence[str]) -> dict[str, str]:
    """Prepares each model by itself, so that one that fails does not keep the others; gives what failed."""
    from corun_client.errors import CorunError

    failed = {}
    for name in names or [model["name"] for model in await client.list_models()]:
        try:
            await client.list_models([name])
        except CorunError as error:
            failed[name] = error.message
    return failed


def _tables(listed: Sequence[ModelReport], failed: dict[str, str]) -> Iterator[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table("model", "type", "takes", "weights", "size", "licence", box=box.SIMPLE_HEAD)
    table.add_column("source", overflow="fold", ratio=1)
    for model in listed:
        seeded = model["weights_origin"] == "SEEDED"
        size = f"{model['size_bytes'] / 1e6:.0f} MB" if model["prepared"] else "not prepared"
        table.add_row(
            model["name"],
            model["model_type"],
            (model["accepts"] or "tensors") if model["prepared"] else "",
            Text(model["weights_origin"], style="bold black on yellow" if seeded else "green"),
            size,
            model["license"],
            model["source"],
        )
    yield table
    for name, problem in failed.items():
        yield Text(f"{name} could not be prepared: {problem}", style="red")
