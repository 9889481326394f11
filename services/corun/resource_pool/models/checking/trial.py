"""Whether a model loads in a runtime: the browsers' own, compiled for this machine."""

from __future__ import annotations

from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession
from onnxruntime.capi.onnxruntime_pybind11_state import GraphOptimizationLevel, SessionOptions
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as KernelMissing

from corun.resource_pool.models.checking.contents import Unfit


def load_once(content: bytes) -> None:
    """Returns when onnxruntime takes the ONNX file.

    Nothing is optimised: folding constants would run the file's operators here, outside of a browser's sandbox.
    An operator that the CPU has no kernel for is let through, because a GPU in a browser may have one.

    Raises:
        Unfit: with the runtime's words.
        MemoryError: where the limit of this process does not suffice.
    """
    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    # Weights packed for faster runs would be a second copy of them.
    options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except KernelMissing:
        return
    except MemoryError:
        raise
    except Exception as error:  # its exceptions have no base of their own
        raise Unfit(f"onnxruntime does not load it: {error}") from error
