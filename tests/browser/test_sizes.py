"""Measured latency follows the work: the batch and the depth of a model."""

from __future__ import annotations

from pathlib import Path

from corun.resource_pool.config import Settings
from corun.resource_pool.models.graphs.bert import bert_graph
from corun.v1 import resource_pool_service_pb2 as messages
from tests.browser.running import serve_pool
from tests.browser.test_execution import carry_out, request, sequential


def write_models(folder: Path) -> None:
    for name, layers, width, heads in (("two-layers", 2, 128, 2), ("twelve-layers", 12, 384, 6)):
        (folder / name).mkdir(parents=True)
        bert_graph(layers=layers, width=width, heads=heads, vocabulary=1000).save(folder / name / "model.onnx")


async def test_latency_moves_with_the_batch_and_with_the_model_and_repeats_differ_by_noise(tmp_path: Path) -> None:
    write_models(tmp_path)
    async with serve_pool(Settings(max_connections=1, core_count=2, models_folder=tmp_path)) as pool:

        async def measured(model_name: str, batch_size: int) -> messages.Measurement:
            events = await carry_out(pool, request(sequential((model_name, batch_size)), iterations=5))
            return events[-1].measured

        small = await measured("two-layers", 1)
        large = await measured("twelve-layers", 1)
        larger = await measured("twelve-layers", 8)
    # By count of operations 54 times; overheads of small graphs take some of it.
    assert large.performance.latency_ms > 10 * small.performance.latency_ms
    assert larger.performance.latency_ms > 3 * large.performance.latency_ms
    assert len(set(large.iteration_latencies_ms)) == 5
