"""Refines the predictor beside executions, whenever the validator recommends it after a validation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from uuid import uuid4

import structlog

from corun.errors import CorunError
from corun.orchestrator.failures import failure_status
from corun.orchestrator.refinement_attempt import in_words
from corun.plumbing.names import platform_name
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import validator_service_pb2 as validator_pb2

_log = structlog.get_logger(__name__)

_SHORTEST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 0.5, 60.0

Attempt: TypeAlias = Callable[
    [predictor_pb2.ExecutionEnvironment, str], Awaitable[validator_pb2.ModelRefinement | None]
]
"""Refines, by an environment and an id, where it is recommended; what is to be put on record."""

Record: TypeAlias = Callable[[validator_pb2.ModelRefinement], Awaitable[None]]
"""Puts an attempt on record, now or later."""


class Refinement:
    """Of one platform: one attempt at a time, after validations. `run` must be running.

    An attempt that could not be made is made again after a pause, which doubles up to a minute, or as soon as
    `resume` says that a service has returned.

    Args:
        platform: The platform.
        attempt: Makes one.
        record: Keeps what came of one.
        tell: Told of every attempt, but of failures in a row only once.
        changed: Called when it begins or ceases to fail.
        pause_seconds: Shortest time from one look to the next.
        limit_seconds: Longest time of one attempt.
    """

    def __init__(
        self,
        platform: core_pb2.Platform.ValueType,
        *,
        attempt: Attempt,
        record: Record,
        tell: Callable[[orchestrator_pb2.ModelRefined], None],
        changed: Callable[[], None],
        pause_seconds: float,
        limit_seconds: float,
    ) -> None:
        self.status = orchestrator_pb2.RefinementStatus(platform=platform)
        self._attempt = attempt
        self._record = record
        self._tell = tell
        self._changed = changed
        self._pause_seconds = pause_seconds
        self._limit_seconds = limit_seconds
        self._environment: predictor_pb2.ExecutionEnvironment | None = None
        self._wanted = asyncio.Event()
        self._resumed = asyncio.Event()

    @property
    def warning(self) -> str:
        """Why the predictor is not refined though it should be; "" where nothing is wrong."""
        if not self.status.failure_count:
            return ""
        platform, cause = platform_name(self.status.platform), self.status.last.failure.message
        return f"the predictor of {platform} could not be refined, what served still does: {cause}"

    def note_validated(self, environment: predictor_pb2.ExecutionEnvironment) -> None:
        """There is something new to look at."""
        self._environment = environment
        self._wanted.set()

    def resume(self) -> None:
        """A service has returned: what could not be made is tried at once."""
        self._resumed.set()

    async def run(self) -> None:
        """Refines until it is cancelled."""
        retry = _SHORTEST_RETRY_SECONDS
        refinement_id = str(uuid4())
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._resumed.clear()
            failure = await self._try(refinement_id)
            if failure is None:
                retry, refinement_id = _SHORTEST_RETRY_SECONDS, str(uuid4())
                await asyncio.sleep(self._pause_seconds)
                continue
            # The same id again: what the predictor did, though nobody heard, is not done twice.
            self._note_failure(refinement_id, failure, retry)
            self._wanted.set()
            try:
                async with asyncio.timeout(retry):
                    await self._resumed.wait()
            except TimeoutError:
                retry = min(_LONGEST_RETRY_SECONDS, retry * 2)

    async def _try(self, refinement_id: str) -> Exception | None:
        """One look; gives why it could not be taken."""
        assert self._environment is not None
        self.status.under_way = True
        try:
            async with asyncio.timeout(self._limit_seconds):
                refinement = await self._attempt(self._environment, refinement_id)
        except TimeoutError:
            return CorunError(f"it was not done within {self._limit_seconds:g} s")
        except Exception as error:  # whatever goes wrong here must not end the service, nor the next refinement
            return error
        finally:
            self.status.under_way = False
        if self.status.failure_count:
            self.status.failure_count = 0
            self._changed()
        if refinement is not None:
            self._note(refinement)
            await self._record(refinement)
        return None

    def _note(self, refinement: validator_pb2.ModelRefinement) -> None:
        _log.info("refinement", words=in_words(refinement), method=refinement.method)
        self.status.accepted_count += refinement.accepted
        self.status.refused_count += not refinement.accepted
        self.status.last.CopyFrom(orchestrator_pb2.ModelRefined(refinement=refinement))
        self._tell(self.status.last)

    def _note_failure(self, refinement_id: str, error: Exception, retry: float) -> None:
        platform = self.status.platform
        status = failure_status(error, subject=f"the refinement of {platform_name(platform)}")
        last = orchestrator_pb2.ModelRefined(
            refinement=validator_pb2.ModelRefinement(refinement_id=refinement_id, platform=platform), failure=status
        )
        last.refinement.refine_time.GetCurrentTime()
        last.retry_time.FromNanoseconds(last.refinement.refine_time.ToNanoseconds() + int(retry * 1e9))
        self.status.failure_count += 1
        self.status.last.CopyFrom(last)
        if self.status.failure_count == 1:
            _log.warning("the predictor could not be refined", platform=platform_name(platform), cause=status.message)
            self._changed()
            self._tell(last)
