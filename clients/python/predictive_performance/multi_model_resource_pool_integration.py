"""The guide's import path of `MultiModelResourcePoolIntegration`."""

from __future__ import annotations

from corun_client.integration import MultiModelResourcePoolIntegration

__all__ = ["MultiModelResourcePoolIntegration"]
