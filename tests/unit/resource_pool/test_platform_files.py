"""Models rewritten around a runtime's faults compute what they computed before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession

from corun.resource_pool.models.platform_files import name_free_dimensions, pad_convolution_channels
from corun.resource_pool.models.signature import read_inputs


def convolution(channels: int, kernel: tuple[int, ...], *, group: int = 1) -> onnx.ModelProto:
    weight = np.random.default_rng(0).standard_normal((8, channels // group, *kernel), dtype=np.float32)
    spatial = [16] * len(kernel)
    pads = [size // 2 for size in kernel] * 2
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=pads, group=group)],
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, channels, *spatial])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 8, *spatial])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def computed(model: onnx.ModelProto, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    (output,) = InferenceSession(model.SerializeToString()).run(["y"], {"x": x})
    return np.asarray(output, np.float32)


@pytest.mark.parametrize(("channels", "kernel"), [(6, (3,)), (129, (3,)), (9, (3, 3))])
def test_a_convolution_that_webgpu_miscomputes_is_rewritten_to_the_same_function(
    channels: int, kernel: tuple[int, ...]
) -> None:
    model = convolution(channels, kernel)
    x = np.random.default_rng(1).standard_normal((2, channels, *[16] * len(kernel)), dtype=np.float32)
    before = computed(model, x)
    assert pad_convolution_channels(model) == 1
    onnx.checker.check_model(model)
    np.testing.assert_allclose(computed(model, x), before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("channels", "kernel", "group"), [(3, (3, 3), 1), (128, (3,), 1), (9, (1,), 1), (8, (3,), 8)])
def test_other_convolutions_are_left_as_they_are(channels: int, kernel: tuple[int, ...], group: int) -> None:
    model = convolution(channels, kernel, group=group)
    before = model.SerializeToString(deterministic=True)
    assert pad_convolution_channels(model) == 0
    assert model.SerializeToString(deterministic=True) == before


def test_free_dimensions_get_names_of_their_own_where_they_have_none_or_share_one() -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Identity", ["ids"], ["same"])],
        "named",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [-1, 3, "?", "?"]),
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "sequence"]),
        ],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in (("y", 1), ("same", 7))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert name_free_dimensions(model) == 3
    x, ids = read_inputs(model.graph)
    assert x.shape == ("x:0", 3, "x:2", "x:3")
    assert ids.shape == ("batch", "sequence")
    assert name_free_dimensions(model) == 0
