"""Adapts what bounds the choice of strategies to what is on the validator's record, when asked and by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from corun.errors import CorunError
from corun.orchestrator.config import Settings
from corun.orchestrator.configurations import Configurations, Platform
from corun.orchestrator.converters import configuration_message, measured_of
from corun.orchestrator.core.adaptation import (
    LEAST_CONTESTS,
    LEAST_VALIDATIONS,
    Adaptation,
    Measured,
    adapted,
    contests,
)
from corun.orchestrator.core.configuration import FIELDS, Configuration, Origin
from corun.orchestrator.delivery import Delivery
from corun.orchestrator.peers import Peers
from corun.plumbing.names import platform_name
from corun.plumbing.status import RemoteError
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import validator_service_pb2 as validator_pb2

_log = structlog.get_logger(__name__)

# The newest: older ones say little of the machine and the predictor as they are.
_MAX_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What an adaptive update would set, and what that rests on; `sufficient` when there is enough on record."""

    values: Configuration
    sufficient: bool
    reason: str
    evidence: orchestrator_pb2.AdaptationEvidence


class Adapting:
    """Asks the validator, decides, and leaves it to the configurations to keep it. `run` must be running.

    Args:
        peers: The validator.
        configurations: What is adapted.
        delivery: Tells of validations.
        settings: Whether it adapts by itself, and after how many validations.
    """

    def __init__(self, peers: Peers, configurations: Configurations, delivery: Delivery, settings: Settings) -> None:
        self._peers = peers
        self._configurations = configurations
        self._by_itself = settings.enable_adaptive_optimization
        self._interval = settings.adaptation_interval
        self._limit_seconds = settings.adaptation_timeout_seconds
        self._new: Counter[Platform] = Counter()
        self._due = asyncio.Event()
        delivery.on_validated(self._note_validated)

    async def get(self, platform: Platform) -> orchestrator_pb2.GetAdaptiveConfigurationResponse:
        """The values that an adaptive update would set now.

        Raises:
            PeerUnavailable: the validator does not answer.
            RemoteError: it refuses.
        """
        suggestion = await self._suggestion(platform, fixed=())
        return orchestrator_pb2.GetAdaptiveConfigurationResponse(
            current=self._configurations.message(platform),
            defaults=configuration_message(self._configurations.defaults),
            suggested=configuration_message(suggestion.values),
            sufficient=suggestion.sufficient,
            reason=suggestion.reason,
            evidence=suggestion.evidence,
        )

    async def update(
        self, platform: Platform, *, by_itself: bool = False
    ) -> orchestrator_pb2.UpdateStrategyConfigurationResponse:
        """Sets those values. By itself it leaves alone what was set by hand.

        Raises:
            PeerUnavailable: the validator does not answer; nothing changed.
            RemoteError: it refuses; nothing changed.
            StoreFailed: the disk refuses; nothing changed.
        """
        by_hand = self._configurations.overrides(platform).manual
        current = self._configurations.in_force(platform)
        suggestion = await self._suggestion(platform, fixed=by_hand if by_itself else ())
        handed_over = () if by_itself or not suggestion.sufficient else by_hand
        values = {
            field: getattr(suggestion.values, field)
            for field in FIELDS
            if field in handed_over or getattr(suggestion.values, field) != getattr(current, field)
        }
        response = orchestrator_pb2.UpdateStrategyConfigurationResponse(
            configuration=self._configurations.message(platform), reason=suggestion.reason
        )
        if values:
            response = await self._configurations.change(
                platform,
                values,
                Origin.ADAPTIVE,
                reason=suggestion.reason,
                evidence=suggestion.evidence,
                spare_manual=by_itself,
            )
        response.evidence.CopyFrom(suggestion.evidence)
        return response

    async def run(self) -> None:
        """Adapts now and then, after validations, until it is cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            for platform in [each for each, count in self._new.items() if count >= self._interval]:
                self._new[platform] = 0
                await self._update_by_itself(platform)

    async def _update_by_itself(self, platform: Platform) -> None:
        try:
            async with asyncio.timeout(self._limit_seconds):
                await self.update(platform, by_itself=True)
        except (CorunError, RemoteError, TimeoutError) as error:
            # Nothing changed, and there will be other validations.
            _log.warning("the configuration is not adapted", platform=platform_name(platform), cause=str(error))

    def _note_validated(self, execution: validator_pb2.ExecutionRecord) -> None:
        if self._by_itself:
            self._new[execution.platform] += 1
            if self._new[execution.platform] >= self._interval:
                self._due.set()

    async def _suggestion(self, platform: Platform, *, fixed: Sequence[str]) -> Suggestion:
        current = self._configurations.in_force(platform)
        query = validator_pb2.GetValidationMetricsRequest(platform=platform, without_trends=True)
        count = (await self._peers.validation_metrics(query)).validation_count
        evidence = orchestrator_pb2.AdaptationEvidence(
            validation_count=count,
            needed_validation_count=LEAST_VALIDATIONS,
            needed_workload_count=LEAST_CONTESTS,
        )
        if count < LEAST_VALIDATIONS:
            reason = f"{count} validations on {platform_name(platform)}, {LEAST_VALIDATIONS} are needed"
            return Suggestion(current, False, reason, evidence)
        measured = await self._measured(platform)
        limit = await self._configurations.memory_limit_mb(platform)
        adaptation = await asyncio.to_thread(
            lambda: adapted(
                contests(measured),
                current=current,
                defaults=self._configurations.defaults,
                fixed=fixed,
                memory_limit_mb=limit,
            )
        )
        _tell(evidence, measured, adaptation)
        return Suggestion(adaptation.suggested, adaptation.contest_count >= LEAST_CONTESTS, adaptation.reason, evidence)

    async def _measured(self, platform: Platform) -> list[Measured]:
        request = validator_pb2.GenerateValidationDatasetRequest(
            platform=platform, max_record_count=_MAX_RECORDS, with_unvalidated=True
        )
        async with aclosing(self._peers.dataset(request)) as executions:
            return [measured_of(execution) async for execution in executions]


def _tell(evidence: orchestrator_pb2.AdaptationEvidence, measured: Sequence[Measured], adaptation: Adaptation) -> None:
    evidence.record_count = len(measured)
    evidence.workload_count = adaptation.contest_count
    evidence.largest_memory_mb = max((each.measured.memory_mb for each in measured), default=0.0)
    if adaptation.default_regret is not None:
        evidence.default_regret = adaptation.default_regret
    if adaptation.current_regret is not None:
        evidence.current_regret = adaptation.current_regret
    if adaptation.suggested_regret is not None:
        evidence.suggested_regret = adaptation.suggested_regret
