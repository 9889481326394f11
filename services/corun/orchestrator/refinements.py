"""The refinements of all platforms: what they call, where they are recorded, and who is told."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from corun.errors import CorunError
from corun.orchestrator.config import Settings
from corun.orchestrator.delivery import Delivery, Postponed
from corun.orchestrator.executions import Executions
from corun.orchestrator.peer_health import PeerHealth
from corun.orchestrator.peers import Peers
from corun.orchestrator.refinement_attempt import attempt
from corun.orchestrator.refining import Refinement
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import validator_service_pb2 as validator_pb2

_log = structlog.get_logger(__name__)

PART = "refinement"
"""Its name in the orchestrator's health."""


class Refinements:
    """One a platform; none where the service is set not to refine."""

    def __init__(
        self, peers: Peers, delivery: Delivery, executions: Executions, health: PeerHealth, settings: Settings
    ) -> None:
        self._delivery = delivery
        self._health = health
        self._wait_seconds = settings.peer_timeout_seconds
        self._by_platform = {
            platform: Refinement(
                platform,
                attempt=partial(attempt, peers, error_threshold=settings.error_threshold),
                record=self._record,
                tell=executions.tell_refined,
                changed=self._note_health,
                pause_seconds=settings.refinement_pause_seconds,
                limit_seconds=settings.refinement_timeout_seconds,
            )
            for platform in core_pb2.Platform.values()
            if platform and settings.prediction_refinement
        }
        if self._by_platform:
            self._note_health()
        delivery.on_validated(self._note_validated)
        for service in ("predictor", "validator"):
            health.on_return(service, self._resume)

    def status(self) -> orchestrator_pb2.GetRefinementStatusResponse:
        """How it goes on each platform."""
        return orchestrator_pb2.GetRefinementStatusResponse(
            enabled=bool(self._by_platform), platforms=[each.status for each in self._by_platform.values()]
        )

    def warnings(self, platform: core_pb2.Platform.ValueType) -> list[str]:
        """What whoever executes on a platform should know."""
        refinement = self._by_platform.get(platform)
        return [refinement.warning] if refinement is not None and refinement.warning else []

    async def run(self) -> None:
        """Refines until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for refinement in self._by_platform.values():
                group.create_task(refinement.run())

    def _note_validated(self, execution: validator_pb2.ExecutionRecord) -> None:
        refinement = self._by_platform.get(execution.platform)
        if refinement is not None and execution.engine and execution.HasField("core_count"):
            refinement.note_validated(
                predictor_pb2.ExecutionEnvironment(
                    platform=execution.platform, engine=execution.engine, core_count=execution.core_count
                )
            )

    def _resume(self) -> None:
        for refinement in self._by_platform.values():
            refinement.resume()

    def _note_health(self) -> None:
        failing = any(each.status.failure_count for each in self._by_platform.values())
        self._health.tell(PART, in_order=not failing)

    async def _record(self, refinement: validator_pb2.ModelRefinement) -> None:
        """Keeps it for the validator, and waits a while for it to take it: until then it would recommend the same."""
        try:
            taken = await self._delivery.post(validator_pb2.RecordModelRefinementRequest(refinement=refinement))
            async with asyncio.timeout(self._wait_seconds):
                await asyncio.shield(taken)
        except (TimeoutError, Postponed):
            _log.warning("a refinement is recorded later", refinement_id=refinement.refinement_id)
        except (CorunError, RemoteError) as error:
            _log.error("a refinement is not recorded", refinement_id=refinement.refinement_id, cause=error.message)
