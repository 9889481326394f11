"""The guide's import path of `MultiModelEmpiricalValidator`."""

from __future__ import annotations

from corun_client.validation import MultiModelEmpiricalValidator

__all__ = ["MultiModelEmpiricalValidator"]
