"""What a model made of its input, as lines and tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from corun.cli.browser_tables import fallback_lines, where
from corun_client.conversion.inference import Inference, ItemReport

_NUMBERS_SHOWN = 4


def inference_tables(answer: Inference, *, model: str, platform: str) -> Iterator[RenderableType]:
    """Where it ran, and for each item what its outputs mean."""
    yield Text(f"{model} on {platform}: {answer.run_time_ms:.1f} ms", style="bold")
    yield where(answer.engine, answer.adapter, software=answer.software_adapter)
    yield f"weights {answer.weights_origin}; {answer.boundary_bytes:,} bytes of tensors crossed the page boundary"
    for number, item in enumerate(answer.items, 1):
        yield from _item(number, item)
    shapes = ", ".join(f"{name} {array.dtype.name} {list(array.shape)}" for name, array in answer.outputs.items())
    yield f"outputs: {shapes}"
    if answer.fallback is not None:
        yield from fallback_lines([answer.fallback])
    if answer.weights_origin == "SEEDED":
        yield Text("SEEDED weights: speed and memory are real, outputs are not meaningful", style="bold yellow")


def _item(number: int, item: ItemReport) -> Iterator[RenderableType]:
    if "embedding" in item:
        shown = ", ".join(f"{value:+.4f}" for value in item["embedding"][:_NUMBERS_SHOWN])
        yield f"item {number}: embedding of {len(item['embedding'])} numbers: {shown}, …"
    if "labels" in item:
        table = Table("class", title=f"item {number}", title_justify="left")
        table.add_column("probability", justify="right")
        for label in item["labels"]:
            table.add_row(label["name"], f"{label['score']:.1%}")
        yield table
    if "speech_segments" in item:
        spans = ", ".join(f"{start:.2f} to {end:.2f} s" for start, end in item["speech_segments"])
        yield f"item {number}: speech {spans}"
    if "transcript" in item:
        yield f"item {number}: “{item['transcript']}”"
