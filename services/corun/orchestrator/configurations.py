"""What bounds the choice of strategies on each platform: in force, changed and kept."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import structlog

from corun.errors import InvalidField
from corun.orchestrator.configuration_messages import change_message, origin_message, overrides_of, platform_message
from corun.orchestrator.converters import given_values
from corun.orchestrator.core.configuration import UNCHANGED, Configuration, Origin, Overrides, Values, in_words
from corun.orchestrator.store.configurations import ConfigurationLog
from corun.plumbing.names import platform_name
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2

_log = structlog.get_logger(__name__)

Platform: TypeAlias = core_pb2.Platform.ValueType

_SHOWN_CHANGES = 100


class Configurations:
    """The service's settings, and over them what was changed on each platform.

    Args:
        log: Where changes are kept.
        defaults: The service's settings.
    """

    def __init__(self, log: ConfigurationLog, defaults: Configuration) -> None:
        self._log = log
        self.defaults = defaults
        self._overrides: dict[Platform, Overrides] = {}
        self._changing = asyncio.Lock()

    async def recover(self) -> None:
        """Takes up what an earlier orchestrator left."""
        for platform in core_pb2.Platform.values()[1:]:
            for payload in await self._log.newest(platform, limit=1):
                change = orchestrator_pb2.ConfigurationChange.FromString(payload)
                self._overrides[platform] = overrides_of(change.after)

    def overrides(self, platform: Platform) -> Overrides:
        """What differs from the settings."""
        return self._overrides.get(platform, UNCHANGED)

    def in_force(self, platform: Platform) -> Configuration:
        """What bounds the choice where a request does not say otherwise."""
        return self.overrides(platform).over(self.defaults)

    def message(self, platform: Platform) -> orchestrator_pb2.PlatformConfiguration:
        """The same for clients, with the origin of each value."""
        return platform_message(platform, self.overrides(platform), self.defaults)

    async def changes(self, platform: Platform) -> list[orchestrator_pb2.ConfigurationChange]:
        """The newest changes, the newest first."""
        payloads = await self._log.newest(platform, limit=_SHOWN_CHANGES)
        return [orchestrator_pb2.ConfigurationChange.FromString(payload) for payload in payloads]

    async def set_by_hand(
        self, platform: Platform, values: predictor_pb2.StrategyConfiguration
    ) -> orchestrator_pb2.UpdateStrategyConfigurationResponse:
        """Sets the values that are given; they stay until somebody asks for others.

        Raises:
            InvalidField: none is given.
            StoreFailed: the disk refuses; nothing changed then.
        """
        given = given_values(values)
        if not given:
            raise InvalidField("values", "names nothing to set; give at least one value")
        return await self.change(platform, given, Origin.MANUAL, reason=f"set by hand: {in_words(given)}")

    async def reset(self, platform: Platform) -> orchestrator_pb2.UpdateStrategyConfigurationResponse:
        """Goes back to the service's settings.

        Raises:
            StoreFailed: the disk refuses; nothing changed then.
        """
        async with self._changing:
            return await self._change(
                platform, UNCHANGED, Origin.DEFAULT, reason="gone back to the settings of the service"
            )

    async def memory_limit_mb(self, platform: Platform) -> float | None:
        """How much memory may be needed in fact: the threshold that somebody set by hand last, else the settings' one.

        An adapted threshold is held against predictions, so that measurements stay within this.
        """
        for change in await self.changes(platform):
            if change.origin == origin_message(Origin.DEFAULT):
                break
            if change.after.origins["memory_threshold_mb"] == origin_message(Origin.MANUAL):
                return given_values(change.after.values).get("memory_threshold_mb")
        return self.defaults.memory_threshold_mb

    async def change(
        self,
        platform: Platform,
        values: Values,
        origin: Origin,
        *,
        reason: str,
        evidence: orchestrator_pb2.AdaptationEvidence | None = None,
        spare_manual: bool = False,
    ) -> orchestrator_pb2.UpdateStrategyConfigurationResponse:
        """Changes some values, keeps that with what it rests on, and says so. With `spare_manual` those that were set
        by hand meanwhile stay.

        Raises:
            StoreFailed: the disk refuses; nothing changed then.
        """
        async with self._changing:
            overrides = self.overrides(platform)
            spared = overrides.manual if spare_manual else ()
            overrides = overrides.changed({name: each for name, each in values.items() if name not in spared}, origin)
            return await self._change(platform, overrides, origin, reason=reason, evidence=evidence)

    async def _change(
        self,
        platform: Platform,
        overrides: Overrides,
        origin: Origin,
        *,
        reason: str,
        evidence: orchestrator_pb2.AdaptationEvidence | None = None,
    ) -> orchestrator_pb2.UpdateStrategyConfigurationResponse:
        before, after = self.message(platform), platform_message(platform, overrides, self.defaults)
        if after == before:
            return orchestrator_pb2.UpdateStrategyConfigurationResponse(
                configuration=after, reason="it was like this before"
            )
        change = change_message(before, after, origin, reason=reason, evidence=evidence)
        await self._log.add(platform, change.SerializeToString())
        self._overrides[platform] = overrides
        _log.info("strategy configuration changed", platform=platform_name(platform), reason=reason)
        return orchestrator_pb2.UpdateStrategyConfigurationResponse(configuration=after, changed=True, reason=reason)
