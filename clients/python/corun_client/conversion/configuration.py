"""What bounds the choice of strategies, by the guide's names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict

from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun_client.conversion.figures import method_name, moment_of
from corun_client.conversion.names import platform_name
from corun_client.conversion.options import CONFIGURATION


class ConfigurationValues(TypedDict):
    """Bounds of the choice; None bounds nothing. Memory in megabytes."""

    parallel_threshold: int | None
    sequential_threshold: int | None
    batching_size: int | None
    memory_threshold: float | None


class EvidenceReport(TypedDict):
    """What an adaptive update rests on: counts with what is needed, and mean regrets, None where nothing can be told.

    The regret of a configuration is how much worse what it would have let choose was than the best that was measured.
    """

    validation_count: int
    needed_validation_count: int
    record_count: int
    workload_count: int
    needed_workload_count: int
    default_regret: float | None
    current_regret: float | None
    suggested_regret: float | None
    largest_memory: float


class AdaptiveConfigurationReport(ConfigurationValues):
    """The values that an adaptive update would set now, beside those in force and those of the service's settings."""

    hardware_platform: str
    sufficient_data: bool
    reason: str
    current: ConfigurationValues
    defaults: ConfigurationValues
    evidence: EvidenceReport


class ChangeReport(TypedDict):
    """A change of a platform's configuration. `origin` is default (a reset), manual or adaptive."""

    change_time: datetime
    origin: str
    reason: str
    before: ConfigurationValues
    after: ConfigurationValues
    evidence: EvidenceReport | None


class ConfigurationReport(ConfigurationValues):
    """The values in force on a platform. `origins` says of each where it comes from: default, manual or adaptive;
    `changes` are the newest, the newest first."""

    hardware_platform: str
    origins: dict[str, str]
    defaults: ConfigurationValues
    changes: list[ChangeReport]


class UpdateReport(ConfigurationValues):
    """The values in force after an update. `updated` is False when it changed nothing; `reason` says why.

    `evidence` is None unless the update was adaptive.
    """

    hardware_platform: str
    origins: dict[str, str]
    updated: bool
    reason: str
    evidence: EvidenceReport | None


class RefinementStatusReport(TypedDict):
    """How refinement of the predictor goes on one platform, since the service started.

    `last_reason` is None before the first attempt; `failing` says that the last one could not be made.
    """

    hardware_platform: str
    under_way: bool
    accepted_count: int
    refused_count: int
    failing: bool
    last_method: str | None
    last_accepted: bool
    last_reason: str | None


def values_of(message: predictor_pb2.StrategyConfiguration) -> ConfigurationValues:
    """The values that a message holds."""
    given = {field.name: value for field, value in message.ListFields()}
    return {
        "parallel_threshold": given.get("parallel_threshold"),
        "sequential_threshold": given.get("sequential_threshold"),
        "batching_size": given.get("batching_size"),
        "memory_threshold": given.get("memory_threshold_mb"),
    }


def adaptive_report(
    response: orchestrator_pb2.GetAdaptiveConfigurationResponse,
) -> AdaptiveConfigurationReport:
    """What an adaptive update would set."""
    return {
        **values_of(response.suggested),
        "hardware_platform": platform_name(response.current.platform),
        "sufficient_data": response.sufficient,
        "reason": response.reason,
        "current": values_of(response.current.values),
        "defaults": values_of(response.defaults),
        "evidence": _evidence(response.evidence),
    }


def configuration_report(response: orchestrator_pb2.GetStrategyConfigurationResponse) -> ConfigurationReport:
    """What is in force."""
    return {
        **values_of(response.configuration.values),
        "hardware_platform": platform_name(response.configuration.platform),
        "origins": _origins(response.configuration.origins),
        "defaults": values_of(response.defaults),
        "changes": [_change(each) for each in response.changes],
    }


def update_report(response: orchestrator_pb2.UpdateStrategyConfigurationResponse) -> UpdateReport:
    """What came of an update."""
    return {
        **values_of(response.configuration.values),
        "hardware_platform": platform_name(response.configuration.platform),
        "origins": _origins(response.configuration.origins),
        "updated": response.changed,
        "reason": response.reason,
        "evidence": _evidence(response.evidence) if response.HasField("evidence") else None,
    }


def refinement_statuses(response: orchestrator_pb2.GetRefinementStatusResponse) -> list[RefinementStatusReport]:
    """One a platform; none where the service is set not to refine."""
    return [_refinement_status(each) for each in response.platforms]


def _refinement_status(status: orchestrator_pb2.RefinementStatus) -> RefinementStatusReport:
    last = status.last
    reason = last.failure.message if last.HasField("failure") else last.refinement.reason
    return {
        "hardware_platform": platform_name(status.platform),
        "under_way": status.under_way,
        "accepted_count": status.accepted_count,
        "refused_count": status.refused_count,
        "failing": status.failure_count > 0,
        "last_method": method_name(last.refinement.method),
        "last_accepted": last.refinement.accepted,
        "last_reason": reason if status.HasField("last") else None,
    }


def _change(change: orchestrator_pb2.ConfigurationChange) -> ChangeReport:
    return {
        "change_time": moment_of(change.change_time),
        "origin": _origin(change.origin),
        "reason": change.reason,
        "before": values_of(change.before.values),
        "after": values_of(change.after.values),
        "evidence": _evidence(change.evidence) if change.HasField("evidence") else None,
    }


def _origins(origins: Mapping[str, orchestrator_pb2.ConfigurationOrigin.ValueType]) -> dict[str, str]:
    return {name: _origin(origins[field]) for name, field in CONFIGURATION.items() if field in origins}


def _origin(origin: orchestrator_pb2.ConfigurationOrigin.ValueType) -> str:
    return orchestrator_pb2.ConfigurationOrigin.Name(origin).removeprefix("CONFIGURATION_ORIGIN_").lower()


def _evidence(evidence: orchestrator_pb2.AdaptationEvidence) -> EvidenceReport:
    return {
        "validation_count": evidence.validation_count,
        "needed_validation_count": evidence.needed_validation_count,
        "record_count": evidence.record_count,
        "workload_count": evidence.workload_count,
        "needed_workload_count": evidence.needed_workload_count,
        "default_regret": evidence.default_regret if evidence.HasField("default_regret") else None,
        "current_regret": evidence.current_regret if evidence.HasField("current_regret") else None,
        "suggested_regret": evidence.suggested_regret if evidence.HasField("suggested_regret") else None,
        "largest_memory": evidence.largest_memory_mb,
    }
