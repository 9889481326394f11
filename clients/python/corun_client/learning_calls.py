"""Calls of the orchestrator about what it learns: bounds of the choice, and refinement of the predictor."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import empty_pb2

from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun_client import deadlines
from corun_client.calls import ORCHESTRATOR, Call
from corun_client.conversion.configuration import (
    AdaptiveConfigurationReport,
    ConfigurationReport,
    RefinementStatusReport,
    UpdateReport,
    adaptive_report,
    configuration_report,
    refinement_statuses,
    update_report,
)
from corun_client.conversion.names import platform_of
from corun_client.conversion.options import configuration_of


def strategy_configuration(platform: str, timeout_seconds: float | None) -> Call[ConfigurationReport]:
    """What bounds the choice on a platform."""
    request = orchestrator_pb2.GetStrategyConfigurationRequest(platform=_platform(platform))
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(ORCHESTRATOR, "GetStrategyConfiguration", request, seconds, configuration_report)


def adaptive_configuration(platform: str, timeout_seconds: float | None) -> Call[AdaptiveConfigurationReport]:
    """What an adaptive update would set there."""
    request = orchestrator_pb2.GetAdaptiveConfigurationRequest(platform=_platform(platform))
    seconds = deadlines.deadline(timeout_seconds, deadlines.PREPARE)
    return Call(ORCHESTRATOR, "GetAdaptiveConfiguration", request, seconds, adaptive_report)


def update_strategy_configuration(
    platform: str, config: Mapping[str, object] | None, timeout_seconds: float | None
) -> Call[UpdateReport]:
    """Sets values, or without any makes an adaptive update."""
    request = orchestrator_pb2.UpdateStrategyConfigurationRequest(platform=_platform(platform))
    if config is not None:
        request.values.CopyFrom(configuration_of(config, parameter="config"))
    return _update(request, timeout_seconds)


def reset_strategy_configuration(platform: str, timeout_seconds: float | None) -> Call[UpdateReport]:
    """Goes back to the service's settings."""
    request = orchestrator_pb2.UpdateStrategyConfigurationRequest(platform=_platform(platform), reset=empty_pb2.Empty())
    return _update(request, timeout_seconds)


def refinement_status(timeout_seconds: float | None) -> Call[list[RefinementStatusReport]]:
    """How refinement of the predictor goes."""
    request = orchestrator_pb2.GetRefinementStatusRequest()
    seconds = deadlines.deadline(timeout_seconds, deadlines.QUICK)
    return Call(ORCHESTRATOR, "GetRefinementStatus", request, seconds, refinement_statuses)


def _update(
    request: orchestrator_pb2.UpdateStrategyConfigurationRequest, timeout_seconds: float | None
) -> Call[UpdateReport]:
    seconds = deadlines.deadline(timeout_seconds, deadlines.PREPARE)
    return Call(ORCHESTRATOR, "UpdateStrategyConfiguration", request, seconds, update_report)


def _platform(platform: str) -> core_pb2.Platform.ValueType:
    return platform_of(platform, parameter="hardware_platform")
