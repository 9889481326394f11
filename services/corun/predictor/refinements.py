"""Messages about refinement to the predictor's values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from corun.errors import InvalidField
from corun.predictor import converters
from corun.predictor.core.estimators import Method
from corun.predictor.core.execution import Execution
from corun.predictor.core.version import ModelVersion
from corun.predictor.core.workload import Place
from corun.predictor.executions import environment_of, execution_of
from corun.predictor.refining import Refined
from corun.v1 import predictor_service_pb2 as messages

MOST_RECORDS = 20_000

_METHODS = {
    messages.REFINEMENT_METHOD_INCREMENTAL: Method.INCREMENTAL,
    messages.REFINEMENT_METHOD_WINDOW: Method.WINDOW,
    messages.REFINEMENT_METHOD_WEIGHTED: Method.WEIGHTED,
}


@dataclass(slots=True)
class Order:
    """A stream of requests, put together."""

    options: messages.RefinementOptions
    records: list[tuple[Place, Execution]] = field(default_factory=list)


async def order_of(requests: AsyncIterator[messages.RefineModelRequest]) -> Order:
    """Reads the stream to its end.

    Raises:
        InvalidField: when options do not come first and once, or there are too many records.
    """
    order: Order | None = None
    async for request in requests:
        is_options = request.HasField("options")
        if is_options == (order is not None):
            raise InvalidField("options", "the first message of the stream, and no other, has the options")
        if order is None:
            order = Order(request.options)
            continue
        if len(order.records) == MOST_RECORDS:
            raise InvalidField("record", f"at most {MOST_RECORDS} records a refinement: send the newest")
        environment = environment_of(request.record, converters.environment_of(order.options.environment))
        order.records.append((environment.place, execution_of(request.record, environment)))
    if order is None:
        raise InvalidField("options", "the stream was empty: send options, then records")
    return order


def method_of(method: messages.RefinementMethod.ValueType) -> Method:
    """The method."""
    return _METHODS[method]


def refine_response(refined: Refined) -> messages.RefineModelResponse:
    """The judgement, and what serves after it."""
    judgement = refined.judgement
    return messages.RefineModelResponse(
        accepted=judgement.accepted,
        reason=judgement.reason,
        error_before=judgement.error_before,
        error_after=judgement.error_after,
        record_count=judgement.record_count,
        held_out_count=judgement.held_out_count,
        unusable_count=refined.unusable_count,
        serving=version_message(refined.serving, serving=refined.serving.number),
        predictor_version=refined.predictor_version,
    )


def version_message(version: ModelVersion, *, serving: int) -> messages.ModelVersion:
    """One version; number 0 has neither method nor figures."""
    message = messages.ModelVersion(number=version.number, serving=version.number == serving)
    if version.method is None or version.platform is None:
        return message
    message.parent_number = version.parent
    message.method = next(each for each, method in _METHODS.items() if method is version.method)
    message.platform = converters.platform_message(version.platform)
    message.create_time.FromNanoseconds(round(version.created * 1e9))
    message.record_count, message.held_out_count = version.record_count, version.held_out_count
    message.error_before, message.error_after = version.error_before, version.error_after
    message.request_id = version.request_id
    return message
