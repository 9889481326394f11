"""Strategy configurations with the origins of their values, for clients and for the disk."""

from __future__ import annotations

from corun.orchestrator.converters import configuration_message, given_values
from corun.orchestrator.core.configuration import FIELDS, Configuration, Origin, Overrides
from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2


def origin_message(origin: Origin) -> orchestrator_pb2.ConfigurationOrigin.ValueType:
    """The enum value of an origin."""
    return orchestrator_pb2.ConfigurationOrigin.Value(f"CONFIGURATION_ORIGIN_{origin.upper()}")


def origin_of(value: orchestrator_pb2.ConfigurationOrigin.ValueType) -> Origin:
    """The origin of an enum value."""
    return Origin(orchestrator_pb2.ConfigurationOrigin.Name(value).removeprefix("CONFIGURATION_ORIGIN_").lower())


def platform_message(
    platform: core_pb2.Platform.ValueType, overrides: Overrides, defaults: Configuration
) -> orchestrator_pb2.PlatformConfiguration:
    """What is in force on a platform."""
    return orchestrator_pb2.PlatformConfiguration(
        platform=platform,
        values=configuration_message(overrides.over(defaults)),
        origins={field: origin_message(overrides.origin_of(field)) for field in FIELDS},
    )


def overrides_of(message: orchestrator_pb2.PlatformConfiguration) -> Overrides:
    """What of it differs from the service's settings; those may have changed since."""
    origins = {field: origin_of(origin) for field, origin in message.origins.items()}
    own = {field: origin for field, origin in origins.items() if origin is not Origin.DEFAULT}
    given = given_values(message.values)
    return Overrides({field: given.get(field) for field in own}, own)


def change_message(
    before: orchestrator_pb2.PlatformConfiguration,
    after: orchestrator_pb2.PlatformConfiguration,
    origin: Origin,
    *,
    reason: str,
    evidence: orchestrator_pb2.AdaptationEvidence | None,
) -> orchestrator_pb2.ConfigurationChange:
    """A change that happens now."""
    change = orchestrator_pb2.ConfigurationChange(
        origin=origin_message(origin), before=before, after=after, reason=reason, evidence=evidence
    )
    change.change_time.GetCurrentTime()
    return change
