"""What bounds the choice of strategies on each platform: in force, changed and kept."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import structlog

from corun.errors import InvalidField
from corun.orchestrator.configuration_messages import change_message, overrides_of, platform_message
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

    async def change(
        self, platform: Platform, values: Values, origin: Origin, *, reason: str
    ) -> orchestrator_pb2.UpdateStrategyConfigurationResponse:
        """Changes some values, keeps that, and says so.

        Raises:
            StoreFailed: the disk refuses; nothing changed then.
        """
        async with self._changing:
            return await self._change(platform, self.overrides(platform).changed(values, origin), origin, reason=reason)

    async def _change(
        self, platform: Platform, overrides: Overrides, origin: Origin, *, reason: str
    ) -> orchestrator_pb2.UpdateStrategyConfigurationResponse:
        before, after = self.message(platform), platform_message(platform, overrides, self.defaults)
        if after == before:
            return orchestrator_pb2.UpdateStrategyConfigurationResponse(
                configuration=after, reason="it was like this before"
            )
        change = change_message(before, after, origin, reason=reason)
        await self._log.add(platform, change.SerializeToString())
        self._overrides[platform] = overrides
        _log.info("strategy configuration changed", platform=platform_name(platform), reason=reason)
        return orchestrator_pb2.UpdateStrategyConfigurationResponse(configuration=after, changed=True, reason=reason)
