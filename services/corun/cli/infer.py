"""`corun infer`: one model on one's own input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corun.cli import options, session
from corun.cli.output import print_json, print_tables
from corun.cli.waiting import waiting

if TYPE_CHECKING:
    from corun_client.conversion.inference import Inference


def infer(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model, as `corun models` lists it.")],
    *,
    text: Annotated[list[str] | None, typer.Option("--text", help="A text; may be given several times.")] = None,
    image: Annotated[
        list[Path] | None, typer.Option("--image", help="An image file; may be given several times.")
    ] = None,
    audio: Annotated[list[Path] | None, typer.Option("--audio", help="A WAV file; may be given several times.")] = None,
    platform: options.Platform = "wasm",
    engine: options.Engine = None,
    target: options.Target = None,
    models_folder: options.ModelsFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Run one model on texts, images or recordings; print what its outputs mean."""
    from corun_client.pool_calls import infer as infer_call

    # Prepared first: what can be refused here is refused before any service is started.
    call = infer_call(
        model,
        platform=platform,
        texts=text or None,
        images=_contents(image, "--image"),
        audio=_contents(audio, "--audio"),
        engine=engine,
    )

    async def work() -> Inference:
        with waiting(f"running {model}"):
            async with session.pool_session(target, models_folder=models_folder) as client:
                return await client.answer(call)

    answer = session.finish(work())
    if as_json:
        print_json(_document(answer, model=model, platform=platform))
    else:
        from corun.cli.inference_tables import inference_tables

        print_tables(inference_tables(answer, model=model, platform=platform))


def _contents(paths: Sequence[Path] | None, option: str) -> list[bytes] | None:
    try:
        return [path.read_bytes() for path in paths] if paths else None
    except OSError as error:
        raise typer.BadParameter(f"{error.filename} cannot be read: {error.strerror}", param_hint=option) from None


def _document(answer: Inference, *, model: str, platform: str) -> dict[str, object]:
    return {
        "model_name": model,
        "platform": platform,
        "engine": answer.engine,
        "adapter": answer.adapter,
        "software_adapter": answer.software_adapter,
        "connection_id": answer.connection_id,
        "weights_origin": answer.weights_origin,
        "run_time_ms": answer.run_time_ms,
        "boundary_bytes": answer.boundary_bytes,
        "fallback": answer.fallback,
        "items": answer.items,
        "outputs": {
            name: {"dtype": array.dtype.name, "shape": list(array.shape)} for name, array in answer.outputs.items()
        },
    }
