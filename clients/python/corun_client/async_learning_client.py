"""The asyncio client's calls about what the orchestrator learns."""

from __future__ import annotations

from collections.abc import Mapping

from corun_client import learning_calls
from corun_client.async_calling import AsyncCaller
from corun_client.conversion.configuration import (
    AdaptiveConfigurationReport,
    ConfigurationReport,
    RefinementStatusReport,
    UpdateReport,
)


class AsyncLearningClient(AsyncCaller):
    """Bounds of the choice of strategies, and refinement of the predictor. Arguments, reports and errors are those of
    `LearningClient`."""

    async def strategy_configuration(
        self, platform: str, *, timeout_seconds: float | None = None
    ) -> ConfigurationReport:
        """What bounds the choice on a platform, where each value comes from, and the newest changes."""
        return await self.answer(learning_calls.strategy_configuration(platform, timeout_seconds))

    async def adaptive_configuration(
        self, platform: str, *, timeout_seconds: float | None = None
    ) -> AdaptiveConfigurationReport:
        """The values that an adaptive update would set on a platform, with the evidence; nothing changes."""
        return await self.answer(learning_calls.adaptive_configuration(platform, timeout_seconds))

    async def update_strategy_configuration(
        self, platform: str, config: Mapping[str, object] | None = None, *, timeout_seconds: float | None = None
    ) -> UpdateReport:
        """Changes what bounds the choice on a platform; without `config` adaptively."""
        return await self.answer(learning_calls.update_strategy_configuration(platform, config, timeout_seconds))

    async def reset_strategy_configuration(
        self, platform: str, *, timeout_seconds: float | None = None
    ) -> UpdateReport:
        """Goes back to the service's settings on a platform."""
        return await self.answer(learning_calls.reset_strategy_configuration(platform, timeout_seconds))

    async def refinement_status(self, *, timeout_seconds: float | None = None) -> list[RefinementStatusReport]:
        """How refinement of the predictor goes on each platform; empty where the service is set not to refine."""
        return await self.answer(learning_calls.refinement_status(timeout_seconds))
