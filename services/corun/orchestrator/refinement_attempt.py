"""One refinement of the predictor: the validator's recommendation, its records, the predictor's judgement."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field

from corun.orchestrator.executed import executed_plan_of
from corun.orchestrator.peers import Peers
from corun.plumbing.names import platform_name
from corun.plumbing.status import RemoteError
from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from corun.v1 import validator_service_pb2 as validator_pb2

# The newest: a window is 200, and what is older says little of the machine as it is.
_MAX_RECORDS = 2000

# Refusals of the predictor's that may be none a little later; others would be the same again.
_PASSING = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED"})


@dataclass(slots=True)
class _Records:
    plans: list[predictor_pb2.ExecutedPlan] = field(default_factory=list)
    count: int = 0
    predictor_version: str = ""


async def attempt(
    peers: Peers, environment: predictor_pb2.ExecutionEnvironment, refinement_id: str, *, error_threshold: float | None
) -> validator_pb2.ModelRefinement | None:
    """Refines the predictor of the environment's platform where the validator recommends it; None where not.

    Gives what is to be put on record: what was judged, or why the predictor refused for good.

    Args:
        peers: Validator and predictor.
        environment: Where records ran that do not say it themselves.
        refinement_id: Tells the predictor a repetition from another attempt.
        error_threshold: Largest acceptable error; None leaves it to the validator.

    Raises:
        PeerUnavailable: one of them does not answer; nothing changed.
        RemoteError: a refusal that may be none a little later; nothing changed.
    """
    request = validator_pb2.GetRefinementRecommendationsRequest(error_threshold=error_threshold)
    recommendation = await peers.refinement_recommendations(request)
    method = _method(recommendation, environment.platform)
    if method is None:
        return None
    # Only the weighted method makes use of other platforms' records.
    everywhere = method == predictor_pb2.REFINEMENT_METHOD_WEIGHTED
    records = await _records(peers, core_pb2.PLATFORM_UNSPECIFIED if everywhere else environment.platform)
    refinement = validator_pb2.ModelRefinement(
        refinement_id=refinement_id,
        platform=environment.platform,
        method=method,
        predictor_version_before=records.predictor_version,
        predictor_version_after=records.predictor_version,
    )
    refinement.refine_time.GetCurrentTime()
    if not records.plans:
        refinement.reason = f"none of {records.count} records can be used: none says which plan it carried out"
        return refinement
    options = predictor_pb2.RefinementOptions(environment=environment, method=method, request_id=refinement_id)
    try:
        response = await peers.refine(options, records.plans)
    except RemoteError as error:
        if error.code in _PASSING:
            raise
        refinement.reason = f"the predictor refused: {error.message}"
        return refinement
    _judge(refinement, response)
    return refinement


def _method(
    recommendation: validator_pb2.GetRefinementRecommendationsResponse, platform: core_pb2.Platform.ValueType
) -> predictor_pb2.RefinementMethod.ValueType | None:
    """The method for one platform: weighted is a matter of all of them, the others of each one's own pattern."""
    if platform not in recommendation.affected_platforms:
        return None
    if recommendation.recommended_method == predictor_pb2.REFINEMENT_METHOD_WEIGHTED:
        return recommendation.recommended_method
    return next(each.method for each in recommendation.findings if each.platform == platform)


async def _records(peers: Peers, platform: core_pb2.Platform.ValueType) -> _Records:
    request = validator_pb2.GenerateValidationDatasetRequest(
        platform=platform, max_record_count=_MAX_RECORDS, with_unvalidated=True
    )
    found = _Records()
    async with aclosing(peers.dataset(request)) as executions:
        async for execution in executions:
            found.count += 1
            found.predictor_version = execution.predictor_version or found.predictor_version
            plan = executed_plan_of(execution)
            if plan is not None:
                found.plans.append(plan)
    return found


def _judge(refinement: validator_pb2.ModelRefinement, response: predictor_pb2.RefineModelResponse) -> None:
    refinement.accepted, refinement.reason = response.accepted, response.reason
    refinement.record_count, refinement.held_out_count = response.record_count, response.held_out_count
    refinement.predictor_version_after = response.predictor_version
    if response.HasField("error_before"):
        refinement.errors_before.latency = response.error_before
    if response.HasField("error_after"):
        refinement.errors_after.latency = response.error_after


def in_words(refinement: validator_pb2.ModelRefinement) -> str:
    """What came of it, in one sentence."""
    outcome = "refined" if refinement.accepted else "not refined"
    return f"the predictor of {platform_name(refinement.platform)} is {outcome}: {refinement.reason}"
