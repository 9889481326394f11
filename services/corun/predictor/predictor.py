"""Predicting and learning with what is known at the moment, and keeping what is learnt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.learning import Report, corrected, examine, learn
from corun.predictor.core.observation import GraphFeatures, Lesson
from corun.predictor.core.prediction import Prediction, predict
from corun.predictor.core.version import ModelVersion
from corun.predictor.core.workload import Environment, Place, Workload
from corun.predictor.journal import Journal
from corun.predictor.lines import Entry
from corun.predictor.versions import VersionStore

_T = TypeVar("_T")

_log = structlog.get_logger(__name__)

# Generation of the cost model: another one predicts differently from the same lessons.
_GENERATION = 1


@dataclass(frozen=True, slots=True)
class Learned:
    """The version that includes a report, how much of it was learnt, and why the rest was not."""

    version: str
    observation_count: int
    execution_count: int
    doubts: tuple[str, ...]


class Predictor:
    """Holds one immutable `Knowledge` at a time: predictions read it without waiting, learning replaces it.

    Making it reads the journal, which blocks. The journal is borrowed: whoever opened it closes it, after this
    context was left. So are the versions.
    """

    def __init__(self, journal: Journal, versions: VersionStore) -> None:
        self._journal = journal
        self._versions = versions
        entries = journal.read()
        self._number = max((entry.version for entry in entries), default=0)
        known = Knowledge(corrections=versions.serving.corrections)
        self._knowledge = learn(known, [entry.lesson for entry in entries])
        self._turn = asyncio.Lock()
        self._learning: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Waits until what is being learnt is on disk."""
        await asyncio.gather(*self._learning, return_exceptions=True)

    @property
    def version(self) -> str:
        """Changes whenever what is known changes, also over restarts."""
        refined = f"-r{self.serving.number}" if self.serving.number else ""
        return f"{_GENERATION}.{self._number}{refined}"

    @property
    def knowledge(self) -> Knowledge:
        """What is known at the moment."""
        return self._knowledge

    @property
    def serving(self) -> ModelVersion:
        """The refined version that serves."""
        return self._versions.serving

    def versions(self) -> list[ModelVersion]:
        """Every refined version, the newest first, and the unrefined one."""
        return self._versions.all()

    async def adopt(self, version: ModelVersion) -> ModelVersion:
        """Puts a new version on disk and lets it serve; gives it with its number."""
        return await self._uninterrupted(self._switch(lambda: self._versions.add(version)))

    async def serve(self, number: int) -> ModelVersion:
        """Lets a version that is on disk serve.

        Raises:
            UnknownVersion: when there is none of this number.
        """
        return await self._uninterrupted(self._switch(lambda: self._versions.serve(number)))

    async def predict(
        self,
        workload: Workload,
        environment: Environment,
        *,
        batching_size: int,
        features: Mapping[str, GraphFeatures],
    ) -> tuple[Prediction, str]:
        """Predicts every strategy, and says by which version. Features that are new are remembered first.

        Raises:
            ModelNeverObserved: for a model without features and without observations in this place.
        """
        await self.remember(environment.place, features)
        return predict(self._knowledge, workload, environment, batching_size=batching_size), self.version

    async def remember(self, place: Place, features: Mapping[str, GraphFeatures]) -> None:
        """Learns graphs, if there are any new ones."""
        if self._knowledge.is_new(features):
            await self.observe(Report(place, features=features))

    async def observe(self, report: Report) -> Learned:
        """Puts what is plausible of the report on disk and learns it.

        A caller that goes away does not interrupt it: what is on disk is also known.
        """
        return await self._uninterrupted(self._observe(report))

    async def _uninterrupted(self, work: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(work)
        self._learning.add(task)
        task.add_done_callback(self._learning.discard)
        return await asyncio.shield(task)

    async def _switch(self, stored: Callable[[], ModelVersion]) -> ModelVersion:
        async with self._turn:
            version = await asyncio.to_thread(stored)
            self._knowledge = await asyncio.to_thread(corrected, self._knowledge, version.corrections)
            return version

    async def _observe(self, report: Report) -> Learned:
        async with self._turn:
            examined = await asyncio.to_thread(examine, self._knowledge, report)
            if examined.lessons:
                number = self._number + 1
                self._knowledge = await asyncio.to_thread(self._stored, examined.lessons, number)
                self._number = number
            return Learned(
                version=self.version,
                observation_count=sum(len(lesson.observations) for lesson in examined.lessons),
                execution_count=sum(len(lesson.experiences) for lesson in examined.lessons),
                doubts=examined.doubts,
            )

    def _stored(self, lessons: Sequence[Lesson], number: int) -> Knowledge:
        knowledge = learn(self._knowledge, lessons)
        self._journal.append([Entry(number, lesson) for lesson in lessons])
        if self._journal.is_grown():
            try:
                self._journal.compact(knowledge.lessons(), number)
            except OSError:
                _log.exception("the journal was not compacted; nothing is lost, it only stays long")
        return knowledge
