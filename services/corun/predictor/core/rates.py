"""What a platform is taken to do before anything was observed on it. Sources: measurements on a 2-core x86-64 machine.

BERT-base (22 GFLOP, sequence of 128) took 440-520 ms on wasm with 2 threads and 340-400 ms on webnn; a graph of
6 layers of 384 took 106-120 ms on wasm, 49 ms on webnn, 9,000 ms on SwiftShader and 1,500 ms on lavapipe.
"""

from __future__ import annotations

from dataclasses import dataclass

from corun.predictor.core.observation import GraphFeatures
from corun.predictor.core.workload import Place, Platform

# An empty graph still takes a call, and no graph of absurd size makes a figure infinite.
_SHORTEST_MS, _LONGEST_MS = 0.05, 1e12


@dataclass(frozen=True, slots=True)
class Rates:
    """Speed and size of one place, as first assumed.

    Attributes:
        flops_per_ms: Floating point operations a millisecond, in a lane of one thread.
        bytes_per_ms: Bytes read or written a millisecond, whatever the lane's width.
        operator_ms: Overhead of one operator, milliseconds.
        uncertainty: Factor by which a time from these rates may be wrong, nine times out of ten.
        parallel_fraction: Part of a run that more threads make faster (Amdahl), 0 to 1.
        contention: What each further concurrent run adds to the time of all, as a share.
        one_device: True where all runs take turns on one device, so that lane width does not matter.
        lane_mb: Runtime of a browser's first lane, without its threads, megabytes.
        shared_mb: Part of that which further lanes of the browser do not need again, megabytes.
        shared_sigma_mb: Its standard deviation.
        session_per_shape: True where a session is built for each batch size.
        stacked_share: Part of what a lane's sessions leave behind that others do not use again, 0 to 1.
        stacked_sigma: Its standard deviation.
        overlap_share: Part of the scratch space of all lanes but the largest that is not there at the same time: lanes
            load one after another. 0 to 1.
        overlap_sigma: Its standard deviation.
        thread_mb: What each thread of a lane adds, megabytes.
        weight_factor: Copies of the weights that a session takes at its peak, while it is loaded.
        live_share: Part of all intermediate results that are alive at the same time.
        load_ms_per_mb: Fetching, checking and compiling a model, milliseconds for each megabyte of weights.
    """

    flops_per_ms: float
    bytes_per_ms: float
    operator_ms: float
    uncertainty: float = 3.0
    parallel_fraction: float = 0.8
    contention: float = 0.07
    one_device: bool = False
    lane_mb: float = 90.0
    shared_mb: float = 50.0
    shared_sigma_mb: float = 20.0
    session_per_shape: bool = False
    stacked_share: float = 0.0
    stacked_sigma: float = 0.1
    overlap_share: float = 0.15
    overlap_sigma: float = 0.15
    thread_mb: float = 5.0
    weight_factor: float = 2.0
    live_share: float = 0.2
    load_ms_per_mb: float = 8.0


_WASM = Rates(flops_per_ms=20e6, bytes_per_ms=10e6, operator_ms=0.005)
# The browser holds a second copy of the weights in the process that runs the graph.
_WEBNN = Rates(
    flops_per_ms=35e6,
    bytes_per_ms=10e6,
    operator_ms=0.003,
    weight_factor=2.3,
    lane_mb=95.0,
    session_per_shape=True,
    stacked_share=0.5,
    stacked_sigma=0.4,
)


def _gpu(flops_per_ms: float, *, operator_ms: float, uncertainty: float) -> Rates:
    return Rates(
        flops_per_ms=flops_per_ms,
        bytes_per_ms=flops_per_ms / 2,
        operator_ms=operator_ms,
        uncertainty=uncertainty,
        parallel_fraction=0.0,
        contention=0.03,
        one_device=True,
        lane_mb=110.0,
        weight_factor=2.3,
    )


_SWIFTSHADER = _gpu(0.35e6, operator_ms=0.5, uncertainty=3.0)
_LAVAPIPE = _gpu(2e6, operator_ms=0.3, uncertainty=3.0)
# Adapters from integrated graphics to large cards lie within this factor of each other.
_SOME_GPU = _gpu(200e6, operator_ms=0.05, uncertainty=10.0)
_GPU_BY_ENGINE = {"chromium": _SWIFTSHADER, "chromium-shell": _SWIFTSHADER, "firefox": _LAVAPIPE}


def rates_of(place: Place) -> Rates:
    """The assumed rates; on WebGPU by the adapter that the engine uses where there is no GPU."""
    if place.platform is Platform.WASM:
        return _WASM
    if place.platform is Platform.WEBNN:
        return _WEBNN
    return _GPU_BY_ENGINE.get(place.engine, _SOME_GPU)


def speed_up(parallel_fraction: float, lane_width: int) -> float:
    """How much faster `lane_width` threads are than one (Amdahl 1967)."""
    return 1 / (1 - parallel_fraction + parallel_fraction / lane_width)


def graph_time_ms(graph: GraphFeatures, rates: Rates, *, batch_size: int, lane_width: int) -> float:
    """Time of one run from its arithmetic, the bytes it moves and its operators, milliseconds, above 0."""
    arithmetic = (
        graph.flops_per_item * batch_size / (rates.flops_per_ms * speed_up(rates.parallel_fraction, lane_width))
    )
    # Every intermediate result is written once and read at least once.
    moved = graph.weight_bytes + 2 * graph.activation_bytes_per_item * batch_size
    time_ms = arithmetic + moved / rates.bytes_per_ms + graph.operator_count * rates.operator_ms
    return min(_LONGEST_MS, max(_SHORTEST_MS, time_ms))
