"""What was said, from the pool's own result to what a caller of the client reads."""

from __future__ import annotations

from corun.resource_pool.conversion import from_item_result
from corun.resource_pool.models import ItemResult
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client.conversion.inference import inference
from corun_client.conversion.model_results import model_result


def test_a_transcript_reaches_the_caller_and_nothing_else_is_made_up() -> None:
    results = [from_item_result(ItemResult(transcript="Try again.")), from_item_result(ItemResult())]
    answer = inference(pool_pb2.InferResponse(results=results))
    assert list(answer.items) == [{"transcript": "Try again."}, {}]
    report = model_result(answer, model_name="m", model_type="audio", platform="wasm", tensors=None, shared=())
    assert report["transcripts"] == ["Try again.", ""]
