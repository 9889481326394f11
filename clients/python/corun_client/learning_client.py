"""The blocking client's calls about what the orchestrator learns."""

from __future__ import annotations

from collections.abc import Mapping

from corun_client import learning_calls
from corun_client.calling import Caller
from corun_client.conversion.configuration import (
    AdaptiveConfigurationReport,
    ConfigurationReport,
    RefinementStatusReport,
    UpdateReport,
)


class LearningClient(Caller):
    """Bounds of the choice of strategies, and refinement of the predictor."""

    def strategy_configuration(self, platform: str, *, timeout_seconds: float | None = None) -> ConfigurationReport:
        """What bounds the choice on a platform, where each value comes from, and the newest changes."""
        return self.answer(learning_calls.strategy_configuration(platform, timeout_seconds))

    def adaptive_configuration(
        self, platform: str, *, timeout_seconds: float | None = None
    ) -> AdaptiveConfigurationReport:
        """The values that an adaptive update would set on a platform, with the evidence; nothing changes.

        Where there is too little on record, they are those in force, and `reason` says how much there is.
        """
        return self.answer(learning_calls.adaptive_configuration(platform, timeout_seconds))

    def update_strategy_configuration(
        self, platform: str, config: Mapping[str, object] | None = None, *, timeout_seconds: float | None = None
    ) -> UpdateReport:
        """Changes what bounds the choice on a platform, for all clients and after restarts.

        Args:
            platform: webgpu, webnn or wasm.
            config: Some of `parallel_threshold`, `sequential_threshold`, `batching_size` and `memory_threshold`
                (megabytes), set by hand and kept until somebody asks for others. None adapts all of them to what was
                measured, by one bounded step.
            timeout_seconds: Deadline.
        """
        return self.answer(learning_calls.update_strategy_configuration(platform, config, timeout_seconds))

    def reset_strategy_configuration(self, platform: str, *, timeout_seconds: float | None = None) -> UpdateReport:
        """Goes back to the service's settings on a platform."""
        return self.answer(learning_calls.reset_strategy_configuration(platform, timeout_seconds))

    def refinement_status(self, *, timeout_seconds: float | None = None) -> list[RefinementStatusReport]:
        """How refinement of the predictor goes on each platform; empty where the service is set not to refine."""
        return self.answer(learning_calls.refinement_status(timeout_seconds))
