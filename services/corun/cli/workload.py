"""The value of --models."""

from __future__ import annotations

import re

import typer

_WHOLE = re.compile(r"[+-]?[0-9]+")


def parse_models(text: str) -> list[dict[str, object]]:
    """NAME:BATCH,NAME:BATCH to model configs; a batch that is left out is 1.

    Whether a batch size is allowed is the service's to say, so that every client hears the same.

    Raises:
        typer.BadParameter: for an entry that has no name or whose batch is not a whole number.
    """
    return [_model(entry.strip(), text) for entry in text.split(",")]


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
