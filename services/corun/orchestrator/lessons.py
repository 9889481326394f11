"""Teaching the predictor what executions measured, after they have ended: nobody waits for what the next ones gain."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from corun.orchestrator.afterwards import Measured, learn
from corun.orchestrator.peers import Peers
from corun.orchestrator.preparation import Preparation

_log = structlog.get_logger(__name__)

# A predictor that learns more slowly than is measured, or not at all now, costs what is beyond these: the validator's
# record has it still, and a refinement learns from there.
_MOST_WAITING = 256


@dataclass(frozen=True, slots=True)
class Lesson:
    """One execution: how it was prepared, what it measured, and the event that it has ended."""

    execution_id: str
    preparation: Preparation
    measured: Measured
    ended: asyncio.Event


class Lessons:
    """Gives lessons, one after another, each once its execution has ended. `run` must be running.

    What is not learnt is logged, with the execution's id and the predictor's reason.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._waiting: asyncio.Queue[Lesson] = asyncio.Queue(_MOST_WAITING)

    def add(self, lesson: Lesson) -> None:
        """Takes a lesson, unless too many wait."""
        try:
            self._waiting.put_nowait(lesson)
        except asyncio.QueueFull:
            _note(lesson.execution_id, f"{_MOST_WAITING} executions wait already for the predictor to learn them")

    async def run(self) -> None:
        """Teaches until it is cancelled."""
        while True:
            lesson = await self._waiting.get()
            try:
                await lesson.ended.wait()
                for reason in await learn(self._peers, lesson.preparation, [lesson.measured]):
                    _note(lesson.execution_id, reason)
            except Exception:  # a defect in one lesson must not end all teaching
                _log.exception("an execution is not learnt", execution_id=lesson.execution_id)
            finally:
                self._waiting.task_done()

    async def settle(self, *, within_seconds: float) -> None:
        """Waits until all executions that have ended are taught, but not longer than that."""
        try:
            async with asyncio.timeout(within_seconds):
                await self._waiting.join()
        except TimeoutError:
            _log.warning("executions are not learnt: the service ends", count=self._waiting.qsize())


def _note(execution_id: str, reason: str) -> None:
    _log.warning("an execution is not learnt", execution_id=execution_id, reason=reason)
