"""What every lane must do with tensors that are shared."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from corun.resource_pool.browser.frames import TENSOR_TYPES
from corun.resource_pool.browser.lane import KeptTensor, Lane
from corun.resource_pool.browser.worker_link import LaneFailed
from corun.resource_pool.contract import BrowserConnection
from tests.checks.small_models import OUTER
from tests.checks.subjects import STEP_SECONDS, Array, Machine, Subject
from tests.checks.test_lanes import assert_equal, rows

SHAPES: list[tuple[int, ...]] = [(), (1,), (3, 5), (70_000,)]


def values(data_type: str, shape: tuple[int, ...]) -> Array:
    size = int(np.prod(shape)) * np.dtype(data_type).itemsize
    bits = np.random.default_rng(size).integers(0, 2 if data_type == "bool" else 256, size, np.uint8)
    return bits.view(data_type).reshape(shape)


@pytest.mark.parametrize("data_type", TENSOR_TYPES)
async def test_a_shared_tensor_is_read_as_it_was_shared(lane: Lane, subject: Subject, data_type: str) -> None:
    for shape in SHAPES:
        sent, name = values(data_type, shape), f"t{shape}"
        kept = await lane.share(name, sent, timeout=STEP_SECONDS)
        assert kept == KeptTensor(name, data_type, shape, sent.nbytes, subject.storage)
        for _ in range(2):
            received = await lane.read(name, timeout=STEP_SECONDS)
            assert (received.dtype, received.shape) == (sent.dtype, sent.shape)
            assert received.tobytes() == sent.tobytes()


async def test_a_name_is_taken_once_in_a_lane_and_free_again_when_it_was_freed(lane: Lane) -> None:
    one, other = values("float32", (2, 2)), values("float32", (3,))
    await lane.share("t", one, timeout=STEP_SECONDS)
    await lane.free("t", timeout=STEP_SECONDS)
    await lane.free("t", timeout=STEP_SECONDS)
    with pytest.raises(LaneFailed, match="t"):
        await lane.read("t", timeout=STEP_SECONDS)
    await lane.share("t", other, timeout=STEP_SECONDS)
    assert (await lane.read("t", timeout=STEP_SECONDS)).tobytes() == other.tobytes()


async def test_a_model_reads_a_shared_tensor_without_its_crossing_the_boundary(
    here: Machine, lane: Lane, subject: Subject
) -> None:
    await here.load(lane, "product")
    x = rows(3)
    await lane.share("t", x, timeout=STEP_SECONDS)
    for _ in range(2):
        reply = await lane.run("product", shared={"x": "t"}, fetch=True, timeout=STEP_SECONDS)
        assert_equal(reply.outputs, here.expected("product", {"x": x}))
        assert reply.zero_copy == subject.on_device
        assert reply.boundary_bytes == reply.outputs["y"].nbytes


async def test_an_output_that_was_kept_feeds_another_model_without_crossing_the_boundary(
    here: Machine, lane: Lane, subject: Subject
) -> None:
    await here.load(lane, "product", "head")
    x = rows(2)
    produced = await lane.run("product", tensors={"x": x}, keep={"y": "embedding"}, fetch=True, timeout=STEP_SECONDS)
    assert produced.outputs == {}
    assert produced.kept == (KeptTensor("embedding", "float32", (2, OUTER), 2 * OUTER * 4, subject.storage),)
    assert produced.boundary_bytes == x.nbytes
    y = here.expected("product", {"x": x})["y"]
    for _ in range(2):  # a consumer does not use it up
        consumed = await lane.run("head", shared={"y": "embedding"}, fetch=True, timeout=STEP_SECONDS)
        assert_equal(consumed.outputs, here.expected("head", {"y": y}))
        assert consumed.zero_copy == subject.on_device
        assert consumed.boundary_bytes == consumed.outputs["z"].nbytes
    assert_equal({"y": await lane.read("embedding", timeout=STEP_SECONDS)}, {"y": y})


async def test_of_two_outputs_one_may_be_kept_and_the_other_brought_back(here: Machine, lane: Lane) -> None:
    await here.load(lane, "pair")
    inputs = {"a": values("uint8", (2, 4)).astype(np.float32), "b": np.ones((2, 4), np.float32)}
    expected = here.expected("pair", inputs)
    reply = await lane.run("pair", tensors=inputs, keep={"sum": "s"}, fetch=True, timeout=STEP_SECONDS)
    assert_equal(reply.outputs, {"difference": expected["difference"]})
    assert reply.boundary_bytes == sum(each.nbytes for each in (*inputs.values(), *reply.outputs.values()))
    assert_equal({"sum": await lane.read("s", timeout=STEP_SECONDS)}, {"sum": expected["sum"]})


async def test_one_tensor_may_feed_two_inputs_and_one_input_may_come_along(
    here: Machine, lane: Lane, subject: Subject
) -> None:
    await here.load(lane, "pair")
    a, b = np.full((1, 4), 3, np.float32), np.full((1, 4), 5, np.float32)
    await lane.share("t", a, timeout=STEP_SECONDS)
    both = await lane.run("pair", shared={"a": "t", "b": "t"}, fetch=True, timeout=STEP_SECONDS)
    assert_equal(both.outputs, here.expected("pair", {"a": a, "b": a}))
    mixed = await lane.run("pair", tensors={"b": b}, shared={"a": "t"}, fetch=True, timeout=STEP_SECONDS)
    assert_equal(mixed.outputs, here.expected("pair", {"a": a, "b": b}))
    assert mixed.zero_copy == subject.on_device
    assert mixed.boundary_bytes == b.nbytes + sum(each.nbytes for each in mixed.outputs.values())


async def test_a_tensor_that_was_freed_is_refused_and_the_lane_stays_usable(here: Machine, lane: Lane) -> None:
    await here.load(lane, "product")
    await lane.share("t", rows(1), timeout=STEP_SECONDS)
    await lane.free("t", timeout=STEP_SECONDS)
    with pytest.raises(LaneFailed, match="t"):
        await lane.run("product", shared={"x": "t"}, fetch=True, timeout=STEP_SECONDS)
    assert not lane.spent
    reply = await lane.run("product", tensors={"x": rows(1)}, fetch=True, timeout=STEP_SECONDS)
    assert_equal(reply.outputs, here.expected("product", {"x": rows(1)}))


async def test_reading_and_freeing_belong_to_no_lease(lane: Lane, connection: BrowserConnection) -> None:
    sent = values("float32", (70_000,))
    await lane.share("t", sent, timeout=STEP_SECONDS)
    reading = asyncio.ensure_future(lane.read("t", timeout=STEP_SECONDS))
    await asyncio.sleep(0)
    connection.begin_epoch()
    assert (await reading).tobytes() == sent.tobytes()
    freeing = asyncio.ensure_future(lane.free("t", timeout=STEP_SECONDS))
    await asyncio.sleep(0)
    connection.begin_epoch()
    await freeing
    assert not lane.spent
