"""What it is worth that tensors stay in the browser: a question is embedded, then compared with a stored matrix.

With sharing the matrix was brought to the lane once and the embedding never leaves it. Without, the embedding comes
back and goes out again, and so does the matrix with every question. Both go through the contract and take turns.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from corun.resource_pool.config import Settings
from corun.resource_pool.conversion import from_array
from corun.v1 import resource_pool_service_pb2 as messages
from tests.bench.report import show
from tests.browser.running import serve_pool
from tests.browser.test_sharing import EMBEDDING, HEAD, ON_THE_DEVICE, TEXT, WIDTH, embed, output, platform_of

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

ROW_COUNT = 20_000
MATRIX = "matrix"


@dataclass(frozen=True, slots=True)
class Case:
    """Where the chain runs, and how often. A run on a software adapter takes long."""

    engine: str
    platform: str
    storage: str
    rounds: int


CASES = (Case("chromium", "wasm", "cpu", 20), Case("firefox", "webgpu", "webgpu", 8))
WARM_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """The scores of a question, the bytes that crossed the page boundary for it, and whether none had to."""

    scores: npt.NDArray[np.float32]
    boundary_bytes: int
    zero_copy: bool


class Chain:
    """Both ways to answer a question in one pool."""

    def __init__(self, pool: ResourcePoolServiceAsyncStub, case: Case) -> None:
        self._pool = pool
        self._case = case
        stored = np.random.default_rng(0).standard_normal((ROW_COUNT, WIDTH), dtype=np.float32)
        self._matrix = from_array(MATRIX, stored)

    async def share_matrix(self) -> None:
        """Brings the matrix to where the models run."""
        shared = await self._pool.ShareTensor(
            messages.ShareTensorRequest(
                tensor=self._matrix,
                producer_model=TEXT,
                consumer_models=[HEAD],
                storage_type=self._case.storage,
                engine=self._case.engine,
            )
        )
        assert shared.tensor.storage_type == self._case.storage

    async def with_sharing(self, question: str) -> Answer:
        """Nothing but the question goes in and nothing but the scores comes back."""
        case = self._case
        produced = await embed(self._pool, [question], case.engine, case.platform, keep_as=question)
        found = await self._pool.Infer(
            messages.InferRequest(
                model_name=HEAD,
                platform=platform_of(case.platform),
                shared_inputs=[
                    messages.SharedInput(input_name="query", tensor_name=question),
                    messages.SharedInput(input_name="matrix", tensor_name=MATRIX),
                ],
            )
        )
        await self._pool.ReleaseTensor(messages.ReleaseTensorRequest(tensor_name=question))
        scores = output(found, "scores")
        assert found.boundary_bytes == scores.nbytes
        assert found.zero_copy == (case.storage in ON_THE_DEVICE)
        return Answer(scores, produced.boundary_bytes + found.boundary_bytes, found.zero_copy)

    async def without_sharing(self, question: str) -> Answer:
        """The embedding and the matrix go through the client."""
        case = self._case
        produced = await embed(self._pool, [question], case.engine, case.platform)
        query = from_array("query", output(produced, EMBEDDING))
        found = await self._pool.Infer(
            messages.InferRequest(
                model_name=HEAD,
                platform=platform_of(case.platform),
                engine=case.engine,
                tensors=[query, self._matrix],
            )
        )
        scores = output(found, "scores")
        assert found.boundary_bytes == scores.nbytes + len(query.content) + len(self._matrix.content)
        assert not found.zero_copy
        return Answer(scores, produced.boundary_bytes + found.boundary_bytes, found.zero_copy)


async def measure(case: Case) -> float:
    """The ratio of the medians, with sharing to without."""
    times: dict[str, list[float]] = {"with sharing": [], "without": []}
    answers: dict[str, Answer] = {}
    async with serve_pool(Settings(max_connections=1, core_count=2)) as pool:
        chain = Chain(pool, case)
        await chain.share_matrix()
        ways = {"with sharing": chain.with_sharing, "without": chain.without_sharing}
        for number in range(WARM_ROUNDS + case.rounds):
            for name in ways if number % 2 else reversed(ways):
                begin = time.perf_counter()
                answers[name] = await ways[name](f"What is number {number}?")
                if number >= WARM_ROUNDS:
                    times[name].append((time.perf_counter() - begin) * 1000)
            shared, brought = answers["with sharing"], answers["without"]
            np.testing.assert_allclose(shared.scores, brought.scores, atol=1e-4)
    ratio = statistics.median(times["with sharing"]) / statistics.median(times["without"])
    show(
        f"{TEXT}, then {HEAD} over {ROW_COUNT:,} x {WIDTH}, {case.platform} in {case.engine}",
        list(times.items()),
        ratio=f"with / without sharing: {ratio:.3f}; across the page boundary {shared.boundary_bytes / 1e6:.3f} MB / "
        f"{brought.boundary_bytes / 1e6:.3f} MB a question; zero copy {shared.zero_copy} / {brought.zero_copy}",
    )
    return ratio


async def bench() -> dict[str, float]:
    """Ratios of the times, with sharing to without, by platform."""
    return {case.platform: await measure(case) for case in CASES}
