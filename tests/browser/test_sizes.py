"""Measured latency follows the work: the batch and the depth of a model."""

from __future__ import annotations

from pathlib import Path

from corun.resource_pool.models.graphs.bert import bert_graph
from tests.browser.running import serve_pool, settled_settings
from tests.browser.test_execution import carry_out, request, sequential


def write_models(folder: Path) -> None:
    for name, layers, width, heads in (("two-layers", 2, 128, 2), ("twelve-layers", 12, 384, 6)):
        (folder / name).mkdir(parents=True)
        bert_graph(layers=layers, width=width, heads=heads, vocabulary=1000).save(folder / name / "model.onnx")


async def test_latency_moves_with_the_batch_and_with_the_model_and_repeats_differ_by_noise(tmp_path: Path) -> None:
    write_models(tmp_path)
    async with serve_pool(settled_settings(models_folder=tmp_path)) as pool:

        async def latencies(model_name: str, batch_size: int) -> list[float]:
            events = await carry_out(pool, request(sequential((model_name, batch_size)), iterations=5))
            return list(events[-1].measured.iteration_latencies_ms)

        small = await latencies("two-layers", 1)
        large = await latencies("twelve-layers", 1)
        larger = await latencies("twelve-layers", 8)
    # By count of operations 54 times; overheads of small graphs take some of it. A busy machine only ever adds.
    assert min(large) > 10 * min(small)
    assert min(larger) > 3 * min(large)
    assert len(set(large)) == 5


async def test_a_plan_weighs_no_copy_of_a_models_file(tmp_path: Path) -> None:
    """The runtime's own memory has held the weights three times when a session is there: as file, graph and session."""
    vocabularies = {"few-words": 1_000, "many-words": 81_000}
    width = 256
    for name, vocabulary in vocabularies.items():
        (tmp_path / name).mkdir()
        graph = bert_graph(layers=1, width=width, heads=4, vocabulary=vocabulary)
        graph.save(tmp_path / name / "model.onnx")
    more_mb = (vocabularies["many-words"] - vocabularies["few-words"]) * width * 4 / 1e6
    memory_mb = {}
    for name in vocabularies:
        async with serve_pool(settled_settings(models_folder=tmp_path)) as pool:
            events = await carry_out(pool, request(sequential((name, 1))))
            memory_mb[name] = events[-1].measured.performance.memory_mb
    copies = (memory_mb["many-words"] - memory_mb["few-words"]) / more_mb
    print(f"{memory_mb}: {copies:.2f} copies of {more_mb:.0f} MB")
    assert 2 < copies < 3.5
