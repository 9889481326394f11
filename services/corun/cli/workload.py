"""The values of --models and --browser."""

from __future__ import annotations

import re
from collections.abc import Sequence

import typer

_WHOLE = re.compile(r"[+-]?[0-9]+")


def parse_models(text: str) -> list[dict[str, object]]:
    """NAME:BATCH,NAME:BATCH to model configs; a batch that is left out is 1.

    Whether a batch size is allowed is the service's to say, so that every client hears the same.

    Raises:
        typer.BadParameter: for an entry that has no name or whose batch is not a whole number.
    """
    return [_model(entry.strip(), text) for entry in text.split(",")]


def parse_browsers(entries: Sequence[str]) -> dict[str, str]:
    """TYPE=ENGINE, each once, to browser preferences. Which names are known is the client's to say.

    Raises:
        typer.BadParameter: for an entry that is no TYPE=ENGINE, or a type that comes twice.
    """
    found: dict[str, str] = {}
    for entry in entries:
        model_type, equals, engine = (part.strip() for part in entry.partition("="))
        if not (model_type and equals and engine):
            raise typer.BadParameter(f"{entry!r} is not TYPE=ENGINE, as in vision=firefox", param_hint="--browser")
        if model_type in found:
            raise typer.BadParameter(f"{model_type!r} is given twice", param_hint="--browser")
        found[model_type] = engine
    return found


def _model(entry: str, text: str) -> dict[str, object]:
    name, colon, batch = (part.strip() for part in entry.rpartition(":"))
    if not colon:
        name, batch = batch, "1"
    if not name:
        raise typer.BadParameter(
            f"an entry of {text!r} has no name; expected NAME:BATCH,NAME:BATCH", param_hint="--models"
        )
    if not _WHOLE.fullmatch(batch):
        raise typer.BadParameter(
            f"the batch size of {entry!r} is {batch!r}; expected a whole number, as in {name}:4", param_hint="--models"
        )
    return {"model_name": name, "batch_size": int(batch)}
