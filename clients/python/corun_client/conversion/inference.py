"""Requests and answers of Infer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict, TypeVar

from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client.conversion.fallbacks import FallbackReport, fallback_of
from corun_client.conversion.names import origin_name, platform_of
from corun_client.conversion.preferences import engine_of
from corun_client.conversion.sharing import SharedTensorReport, shared_tensor_report
from corun_client.conversion.tensors import Array, array_of, tensor_of
from corun_client.errors import InvalidArgument

_Item = TypeVar("_Item", str, bytes)


class LabelReport(TypedDict):
    """A class and its probability, 0 to 1."""

    name: str
    index: int
    score: float


class ItemReport(TypedDict, total=False):
    """What the outputs mean for one item; only what the model says how to read.

    `embedding` has unit length, `labels` come best first, `speech_segments` are [start, end] in seconds,
    `transcript` is what was said.
    """

    embedding: list[float]
    labels: list[LabelReport]
    speech_segments: list[list[float]]
    transcript: str


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """Outputs of one run of one model.

    Attributes:
        outputs: Every output of the graph by name, without those that were kept.
        items: One an item of input, in order; empty when tensors came in.
        run_time_ms: Inside the lane.
        engine: Browser engine that ran it.
        adapter: Adapter of the platform.
        software_adapter: True when the adapter is software.
        connection_id: The browser.
        weights_origin: PRETRAINED, SEEDED (outputs are not meaningful), NONE (arithmetic without weights) or UNKNOWN.
        boundary_bytes: Bytes of tensors that crossed the page boundary, in and out.
        zero_copy: True when every shared input was read where it lay. False without shared inputs.
        kept: Outputs that stayed in the lane as shared tensors.
        fallback: Present when the engine is not the preferred one.
    """

    outputs: Mapping[str, Array]
    items: Sequence[ItemReport]
    run_time_ms: float
    engine: str
    adapter: str
    software_adapter: bool
    connection_id: str
    weights_origin: str
    boundary_bytes: int
    zero_copy: bool
    kept: Sequence[SharedTensorReport]
    fallback: FallbackReport | None


def infer_request(
    model_name: str,
    *,
    platform: object,
    texts: Sequence[str] | None = None,
    images: Sequence[bytes] | None = None,
    audio: Sequence[bytes] | None = None,
    tensors: Mapping[str, object] | None = None,
    shared: Mapping[str, str] | None = None,
    keep: Mapping[str, str] | None = None,
    owner: str = "",
    engine: object = None,
) -> pool_pb2.InferRequest:
    """Request of Infer. Exactly one kind of input; images and audio are whole files.

    Raises:
        InvalidArgument: for no input or two kinds of it, or for items of a wrong type.
    """
    given = {"texts": texts, "images": images, "audio": audio, "tensors": tensors}
    kinds = [kind for kind, value in given.items() if value is not None]
    if shared and kinds not in ([], ["tensors"]):
        raise InvalidArgument.of(kinds[0], "beside shared inputs the others are given as tensors")
    if not shared and len(kinds) != 1:
        raise InvalidArgument.of(" ".join(kinds) or "input", f"give exactly one of {', '.join(given)}")
    request = pool_pb2.InferRequest(
        model_name=model_name,
        platform=platform_of(platform),
        engine=engine_of(engine),
        owner=owner,
        shared_inputs=[
            pool_pb2.SharedInput(input_name=input_name, tensor_name=tensor_name)
            for input_name, tensor_name in _names(shared, "shared").items()
        ],
        kept_outputs=[
            pool_pb2.KeptOutput(output_name=output_name, tensor_name=tensor_name)
            for output_name, tensor_name in _names(keep, "keep").items()
        ],
    )
    if tensors is not None:
        request.tensors.extend(tensor_of(name, array) for name, array in tensors.items())
    request.items.extend(pool_pb2.InferItem(text=text) for text in _checked(texts, "texts", str))
    request.items.extend(pool_pb2.InferItem(image=image) for image in _checked(images, "images", bytes))
    request.items.extend(pool_pb2.InferItem(audio=sound) for sound in _checked(audio, "audio", bytes))
    return request


def inference(response: pool_pb2.InferResponse) -> Inference:
    """The answer with arrays instead of messages."""
    return Inference(
        outputs={tensor.name: array_of(tensor) for tensor in response.outputs},
        items=[item_report(item) for item in response.results],
        run_time_ms=response.run_time_ms,
        engine=response.engine,
        adapter=response.adapter,
        software_adapter=response.software_adapter,
        connection_id=response.connection_id,
        weights_origin=origin_name(response.weights_origin),
        boundary_bytes=response.boundary_bytes,
        zero_copy=response.zero_copy,
        kept=[shared_tensor_report(tensor) for tensor in response.kept],
        fallback=fallback_of(response),
    )


def _names(names: Mapping[str, str] | None, parameter: str) -> Mapping[str, str]:
    if not isinstance(names, Mapping | None):
        raise InvalidArgument.of(parameter, f"expected a mapping of names to names of tensors; received {names!r}")
    for name, tensor in (names or {}).items():
        if not isinstance(name, str) or not isinstance(tensor, str):
            raise InvalidArgument.of(f"{parameter}[{name!r}]", f"expected the name of a tensor; received {tensor!r}")
    return names or {}


def _checked(items: Sequence[_Item] | None, parameter: str, kind: type[_Item]) -> Sequence[_Item]:
    if isinstance(items, str | bytes):
        raise InvalidArgument.of(parameter, f"expected a list of {kind.__name__}; received one {kind.__name__}")
    for index, item in enumerate(items or ()):
        if not isinstance(item, kind):
            raise InvalidArgument.of(
                f"{parameter}[{index}]", f"expected {kind.__name__}; received {type(item).__name__}"
            )
    return items or ()


def item_report(item: pool_pb2.ItemResult) -> ItemReport:
    """What the outputs mean for one item."""
    report: ItemReport = {}
    if item.embedding:
        report["embedding"] = list(item.embedding)
    if item.labels:
        report["labels"] = [{"name": each.name, "index": each.index, "score": each.score} for each in item.labels]
    if item.speech_segments:
        report["speech_segments"] = [
            [each.start.ToTimedelta().total_seconds(), each.end.ToTimedelta().total_seconds()]
            for each in item.speech_segments
        ]
    if item.transcript:
        report["transcript"] = item.transcript
    return report
