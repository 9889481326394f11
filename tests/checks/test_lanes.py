"""What every lane must do with models and inputs."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from corun.errors import BrowserLost, StepTimedOut
from corun.resource_pool.browser.frames import TENSOR_TYPES
from corun.resource_pool.browser.lane import Lane
from corun.resource_pool.browser.worker_link import LaneFailed
from corun.resource_pool.contract import BrowserConnection
from tests.checks.small_models import WIDTH
from tests.checks.subjects import STEP_SECONDS, Array, Machine, Subject

# Of the largest value of the reference: single elements near zero have no meaningful relative error.
RELATIVE_TOLERANCE = 1e-3


def rows(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 1, (count, WIDTH)).astype(np.float32)


def assert_equal(outputs: dict[str, Array], expected: dict[str, Array]) -> None:
    assert set(outputs) == set(expected)
    for name, reference in expected.items():
        assert outputs[name].shape == reference.shape
        worst = np.abs(outputs[name].astype(np.float64) - reference).max()
        assert worst <= RELATIVE_TOLERANCE * np.abs(reference).max(), name


async def assert_usable(here: Machine, lane: Lane) -> None:
    assert not lane.spent
    x = rows(1)
    reply = await lane.run("product", tensors={"x": x}, fetch=True, timeout=STEP_SECONDS)
    assert_equal(reply.outputs, here.expected("product", {"x": x}))


@pytest.mark.parametrize("data_type", TENSOR_TYPES)
async def test_tensors_come_back_as_they_were_sent(lane: Lane, data_type: str) -> None:
    rng = np.random.default_rng(4)
    size = np.dtype(data_type).itemsize
    bits: Array = rng.integers(0, 2 if data_type == "bool" else 256, 70_000 * size, np.uint8)
    large = bits.view(data_type)  # more than the 64 kB of a frame, all patterns of bits, NaN among them
    sent = {
        "large": large,
        "small": large[:7].reshape(7, 1),
        "scalar": large[:1].reshape(()),
        "empty": np.zeros((0, 3), data_type),
        "größe 😀": large[1:3],
    }
    received = await lane.echo(sent, timeout=STEP_SECONDS)
    assert set(received) == set(sent)
    for name, tensor in sent.items():
        assert (received[name].dtype, received[name].shape) == (tensor.dtype, tensor.shape)
        assert received[name].tobytes() == tensor.tobytes(), name


async def test_a_lane_says_how_large_its_memory_is(here: Machine, lane: Lane) -> None:
    await here.load(lane, "product")
    # On webnn the runtime starts with the first session, and that is built for the shapes of the first run.
    await lane.run("product", tensors={"x": rows(1)}, fetch=False, timeout=STEP_SECONDS)
    assert lane.wasm_bytes > 0


@pytest.mark.parametrize("batch_size", [1, 3])
async def test_a_model_computes_what_onnxruntime_computes_on_the_cpu(
    here: Machine, lane: Lane, batch_size: int
) -> None:
    await here.load(lane, "product")
    assert lane.model_names == {"product"}
    x = rows(batch_size)
    reply = await lane.run("product", tensors={"x": x}, fetch=True, timeout=STEP_SECONDS)
    assert_equal(reply.outputs, here.expected("product", {"x": x}))
    assert reply.run_time_ms > 0
    assert reply.boundary_bytes == x.nbytes + reply.outputs["y"].nbytes
    assert not reply.zero_copy
    assert reply.kept == ()


async def test_a_transformer_computes_what_onnxruntime_computes_on_the_cpu(here: Machine, lane: Lane) -> None:
    await here.load(lane, "encoder")
    ids = np.arange(10, dtype=np.int64).reshape(2, 5)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    reply = await lane.run("encoder", tensors=inputs, fetch=True, timeout=3 * STEP_SECONDS)
    assert_equal(reply.outputs, here.expected("encoder", inputs))


async def test_outputs_that_nobody_asks_for_stay_where_they_are(here: Machine, lane: Lane) -> None:
    await here.load(lane, "product")
    x = rows(2)
    reply = await lane.run("product", tensors={"x": x}, fetch=False, timeout=STEP_SECONDS)
    assert reply.outputs == {}
    assert reply.boundary_bytes == x.nbytes


async def test_inputs_that_were_put_into_a_slot_are_run_from_there_until_they_are_dropped(
    here: Machine, lane: Lane
) -> None:
    await here.load(lane, "product")
    first, second = rows(1, 1), rows(2, 2)
    await lane.put("s", {"x": first}, timeout=STEP_SECONDS)
    await lane.put("t", {"x": second}, timeout=STEP_SECONDS)
    for slot, x in (("s", first), ("t", second), ("s", first)):
        reply = await lane.run("product", slot, fetch=True, timeout=STEP_SECONDS)
        assert_equal(reply.outputs, here.expected("product", {"x": x}))
        assert reply.boundary_bytes == reply.outputs["y"].nbytes
    await lane.put("s", {"x": second}, timeout=STEP_SECONDS)
    reply = await lane.run("product", "s", fetch=True, timeout=STEP_SECONDS)
    assert_equal(reply.outputs, here.expected("product", {"x": second}))
    await lane.drop("s", timeout=STEP_SECONDS)
    await lane.drop("s", timeout=STEP_SECONDS)
    with pytest.raises(LaneFailed, match="s"):
        await lane.run("product", "s", fetch=True, timeout=STEP_SECONDS)
    await assert_usable(here, lane)


async def test_inputs_that_come_along_take_the_place_of_those_in_the_slot(here: Machine, lane: Lane) -> None:
    await here.load(lane, "pair")
    a, b = np.ones((1, 4), np.float32), np.full((1, 4), 2, np.float32)
    await lane.put("s", {"a": a, "b": a}, timeout=STEP_SECONDS)
    reply = await lane.run("pair", "s", tensors={"b": b}, fetch=True, timeout=STEP_SECONDS)
    assert_equal(reply.outputs, here.expected("pair", {"a": a, "b": b}))


@pytest.mark.parametrize("what", ["model", "slot", "tensor"])
async def test_a_run_of_what_is_not_there_is_refused_and_the_lane_stays_usable(
    here: Machine, lane: Lane, what: str
) -> None:
    await here.load(lane, "product")
    with pytest.raises(LaneFailed, match="nowhere"):
        await lane.run(
            "nowhere" if what == "model" else "product",
            "nowhere" if what == "slot" else None,
            shared={"x": "nowhere"} if what == "tensor" else None,
            fetch=True,
            timeout=STEP_SECONDS,
        )
    await assert_usable(here, lane)


async def load_and_run(lane: Lane, name: str, url: str) -> None:
    """On WebNN a model is fetched and built when the shapes of its inputs are known, elsewhere when it is loaded."""
    await lane.load(name, url, {}, timeout=STEP_SECONDS)
    await lane.run(name, tensors={"x": rows(1)}, fetch=True, timeout=STEP_SECONDS)


async def test_a_broken_model_is_an_error_of_its_lane_which_nobody_should_use_again(here: Machine, lane: Lane) -> None:
    with pytest.raises(LaneFailed, match=r"."):
        await load_and_run(lane, "broken", here.url("broken"))
    assert lane.spent


async def test_a_model_that_cannot_be_fetched_is_an_error_of_its_lane(here: Machine, lane: Lane) -> None:
    with pytest.raises(LaneFailed, match="404"):
        await load_and_run(lane, "gone", here.url("product").replace(".onnx", "0.onnx"))


async def test_inputs_that_do_not_fit_the_model_are_an_error_of_its_lane(here: Machine, lane: Lane) -> None:
    await here.load(lane, "product")
    with pytest.raises(LaneFailed, match=r"."):
        await lane.run("product", tensors={"x": np.ones((1, 3), np.float32)}, fetch=True, timeout=STEP_SECONDS)
    assert lane.spent


async def test_runs_in_a_lane_never_overlap(here: Machine, lane: Lane, heavy: Array) -> None:
    await here.load(lane, "heavy")
    await lane.put("s", {"x": heavy}, timeout=STEP_SECONDS)
    await lane.run("heavy", "s", fetch=False, timeout=STEP_SECONDS)  # the first one compiles
    begin = time.perf_counter()
    replies = await asyncio.gather(*(lane.run("heavy", "s", fetch=False, timeout=STEP_SECONDS) for _ in range(4)))
    wall_ms = (max(reply.arrived_at for reply in replies) - begin) * 1000
    # Were two of them at work at once, their times would add up to more than went by; clocks of browsers are coarse.
    assert sum(reply.run_time_ms for reply in replies) <= wall_ms + 1
    assert [reply.arrived_at for reply in replies] == sorted(reply.arrived_at for reply in replies)


async def test_a_request_that_takes_too_long_times_out_and_spends_the_lane(
    here: Machine, lane: Lane, heavy: Array
) -> None:
    await here.load(lane, "heavy")
    await lane.put("s", {"x": heavy}, timeout=STEP_SECONDS)
    work = [asyncio.ensure_future(lane.run("heavy", "s", fetch=False, timeout=STEP_SECONDS)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(StepTimedOut, match="run in a lane"):
        await lane.run("heavy", "s", fetch=False, timeout=0.002)
    assert lane.spent  # nobody knows what the run did, and when
    await asyncio.gather(*work)


async def test_answers_to_an_older_lease_are_thrown_away_and_counted(
    here: Machine, connection: BrowserConnection, lane: Lane, subject: Subject, heavy: Array
) -> None:
    late = 0

    def count() -> None:
        nonlocal late
        late += 1

    lane.on_late_result = count
    await here.load(lane, "heavy", "product")
    work = [
        asyncio.ensure_future(lane.run("heavy", tensors={"x": heavy}, fetch=True, timeout=STEP_SECONDS))
        for _ in range(2)
    ]
    await asyncio.sleep(0)
    connection.begin_epoch()
    results = await asyncio.gather(*work, return_exceptions=True)
    assert all(isinstance(result, BrowserLost) and "lease ended" in str(result) for result in results)
    x = rows(1)
    reply = await lane.run("product", tensors={"x": x}, fetch=True, timeout=STEP_SECONDS)
    assert_equal(reply.outputs, here.expected("product", {"x": x}))  # nobody got an answer of the others
    assert late == 2
    assert lane.spent
