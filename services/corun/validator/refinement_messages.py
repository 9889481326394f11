"""Refinements and recommendations, from messages and to them."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from corun.errors import InvalidField
from corun.plumbing.names import platform_name
from corun.v1 import validator_service_pb2 as pb
from corun.validation.messages import rates_message, rates_of, signed_message
from corun.validator.core.findings import Findings, Terms
from corun.validator.core.recommendation import Recommendation
from corun.validator.core.refinement import Refinement
from corun.validator.names import method_of, method_value, platform_value, strategy_value


def to_refinement(message: pb.ModelRefinement) -> Refinement:
    """The refinement that a message holds.

    Raises:
        InvalidField: when its time is out of range, or it was judged by more records than it was made of.
    """
    if message.held_out_count > message.record_count:
        raise InvalidField(
            "refinement.held_out_count",
            f"must not be over record_count ({message.record_count}); received {message.held_out_count}",
        )
    return Refinement(
        refinement_id=message.refinement_id,
        platform=platform_name(message.platform) if message.platform else None,
        method=method_of(message.method),
        errors_before=rates_of(message.errors_before),
        errors_after=rates_of(message.errors_after),
        accepted=message.accepted,
        record_count=message.record_count,
        held_out_count=message.held_out_count,
        predictor_version_before=message.predictor_version_before,
        predictor_version_after=message.predictor_version_after,
        reason=message.reason,
        refine_time=_refine_time(message),
    )


def refinement_message(refinement: Refinement) -> pb.ModelRefinement:
    """The message of a refinement on record."""
    message = pb.ModelRefinement(
        refinement_id=refinement.refinement_id,
        platform=platform_value(refinement.platform),
        method=method_value(refinement.method),
        errors_before=rates_message(refinement.errors_before),
        errors_after=rates_message(refinement.errors_after),
        accepted=refinement.accepted,
        record_count=refinement.record_count,
        held_out_count=refinement.held_out_count,
        predictor_version_before=refinement.predictor_version_before,
        predictor_version_after=refinement.predictor_version_after,
        reason=refinement.reason,
    )
    if refinement.refine_time is not None:
        message.refine_time.FromDatetime(refinement.refine_time)
    return message


def recommendation_message(recommendation: Recommendation, terms: Terms) -> pb.GetRefinementRecommendationsResponse:
    """The whole answer of GetRefinementRecommendations."""
    return pb.GetRefinementRecommendationsResponse(
        refinement_needed=recommendation.needed,
        recommended_method=method_value(recommendation.method),
        reason=recommendation.reason,
        affected_platforms=[platform_value(name) for name in recommendation.platforms],
        affected_strategies=[strategy_value(name) for name in recommendation.strategies],
        validation_count=recommendation.validation_count,
        findings=[_findings_message(each) for each in recommendation.findings],
        error_threshold=terms.error_threshold,
        refinement_interval=terms.refinement_interval,
    )


def _findings_message(findings: Findings) -> pb.PlatformFindings:
    return pb.PlatformFindings(
        platform=platform_value(findings.platform),
        validation_count=findings.validation_count,
        recent=rates_message(findings.recent),
        bias=signed_message(findings.bias),
        consistent_biases=findings.consistent_biases,
        drifts=findings.drifts,
        validations_since_attempt=findings.since_attempt,
        refinement_needed=findings.needed,
        method=method_value(findings.method),
        reason=findings.reason,
    )


def _refine_time(message: pb.ModelRefinement) -> datetime | None:
    if not message.HasField("refine_time"):
        return None
    given: Timestamp = message.refine_time
    try:
        return given.ToDatetime(tzinfo=UTC)
    except ValueError as error:
        raise InvalidField("refinement.refine_time", str(error)) from error
