"""Refinements of a predictor: judged off the event loop, kept as versions, rolled back."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from corun.predictor.core.dataset import dataset_of, own_samples
from corun.predictor.core.estimators import Method
from corun.predictor.core.execution import Execution
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.refinement import Judgement, refine
from corun.predictor.core.version import ModelVersion
from corun.predictor.core.workload import Place, Platform
from corun.predictor.predictor import Predictor

_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Refined:
    """A judgement, how many records were not usable, and the version that serves after it."""

    judgement: Judgement
    unusable_count: int
    serving: ModelVersion
    predictor_version: str


class Refiner:
    """Refines one predictor, one request after another. Predictions go on meanwhile by the version that serves."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._turn = asyncio.Lock()
        self._answers: OrderedDict[str, Refined] = OrderedDict()

    async def refine(
        self, records: Sequence[tuple[Place, Execution]], *, method: Method, platform: Platform, request_id: str
    ) -> Refined:
        """Judges a refinement and lets it serve if it is better. A request id that is known gets its first answer."""
        async with self._turn:
            if request_id in self._answers:
                return self._answers[request_id]
            refined = await self._refined(records, method, platform, request_id)
            if request_id:
                self._answers[request_id] = refined
                while len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
            return refined

    async def roll_back(self, number: int) -> tuple[ModelVersion, str]:
        """Lets an earlier (or any other) version serve; gives it, and the predictor's version.

        Raises:
            UnknownVersion: when there is none of this number.
        """
        async with self._turn:
            return await self._predictor.serve(number), self._predictor.version

    async def _refined(
        self, records: Sequence[tuple[Place, Execution]], method: Method, platform: Platform, request_id: str
    ) -> Refined:
        serving = self._predictor.serving
        judgement, doubts = await asyncio.to_thread(_judged, self._predictor.knowledge, records, method, platform)
        if judgement.correction is not None:
            version = ModelVersion(
                method=method,
                platform=platform,
                created=time.time(),
                record_count=judgement.record_count,
                held_out_count=judgement.held_out_count,
                error_before=judgement.error_before or 0.0,
                error_after=judgement.error_after or 0.0,
                request_id=request_id,
                corrections={**serving.corrections, platform: judgement.correction},
            )
            serving = await self._predictor.adopt(version)
        return Refined(judgement, len(doubts), serving, self._predictor.version)


def _judged(
    knowledge: Knowledge, records: Sequence[tuple[Place, Execution]], method: Method, platform: Platform
) -> tuple[Judgement, tuple[str, ...]]:
    dataset = dataset_of(knowledge, records)
    if 2 * len(dataset.doubts) > len(records):
        reason = (
            f"{len(dataset.doubts)} of {len(records)} records cannot be used, the first because {dataset.doubts[0]}"
        )
        return Judgement(False, reason, len(dataset.samples)), dataset.doubts
    judgement = refine(
        dataset.samples,
        method=method,
        platform=platform,
        serving=knowledge.correction(platform),
        composed_ms=dataset.composed_ms,
        own=own_samples(knowledge, platform),
    )
    return judgement, dataset.doubts
