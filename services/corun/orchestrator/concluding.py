"""The end of a comparison: the verdict, and what is told to the validator and the predictor."""

from __future__ import annotations

from collections.abc import Sequence

from corun.orchestrator.afterwards import Afterwards
from corun.orchestrator.contender import Contender
from corun.orchestrator.converters import goal_message, recorded_performance, strategy_message
from corun.orchestrator.core.comparison import Verdict, judge, median_figures, typical_round
from corun.orchestrator.core.terms import Goal, Strategy
from corun.orchestrator.preparation import Preparation
from corun.plumbing.status import RemoteError
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import validator_service_pb2 as validator_pb2


async def conclude(
    comparison_id: str,
    *,
    preparation: Preparation,
    afterwards: Afterwards,
    contenders: Sequence[Contender],
    recommended: Strategy,
    goal: Goal,
    error_threshold: float | None,
) -> orchestrator_pb2.ComparisonResult:
    """Judges the strategies that did not fail, teaches the predictor, and puts the comparison on record.

    Raises:
        RemoteError: every strategy failed; it carries the first one's status.
    """
    well = [each for each in contenders if each.error is None]
    if not well:
        raise RemoteError(next(each.error for each in contenders if each.error is not None))
    verdict = judge({each.strategy: each.rounds() for each in well}, recommended=recommended, goal=goal)
    measurements = [measurement for each in contenders for measurement in each.measurements]
    afterwards.note(measurements)
    await afterwards.learn([(each.prediction.plan, one) for each in contenders for one in each.measurements])
    await _validate(well, afterwards, goal=goal, error_threshold=error_threshold)
    unfit = _unfit_for_record(well, verdict, recommended)
    if unfit:
        afterwards.warnings.append(f"comparison not recorded: {unfit}")
        recorded = False
    else:
        impact = _impact(comparison_id, preparation, well, verdict=verdict, recommended=recommended, goal=goal)
        recorded = await afterwards.record_impact(impact)
    return orchestrator_pb2.ComparisonResult(
        comparison_id=comparison_id,
        best=strategy_message(verdict.best),
        recommended=strategy_message(recommended),
        tied=map(strategy_message, verdict.tied),
        recommendation_correct=verdict.recommendation_correct,
        improvement_percent=verdict.improvement_percent,
        strategies=[each.outcome(goal) for each in contenders],
        models=preparation.models,
        recorded=recorded,
        warnings=afterwards.warnings,
    )


async def _validate(
    contenders: Sequence[Contender], afterwards: Afterwards, *, goal: Goal, error_threshold: float | None
) -> None:
    # One round stands for its strategy: validating each would count one comparison many times over.
    for contender in contenders:
        record = contender.records.get(typical_round(contender.rounds(), goal))
        if record is not None:
            await afterwards.validate(record, error_threshold=error_threshold)


def _unfit_for_record(well: Sequence[Contender], verdict: Verdict, recommended: Strategy) -> str:
    if not verdict.gain_is_known:
        return f"{recommended}, the recommended strategy, failed, so its gain is not known"
    if len(well) == 1:
        return "only one strategy was measured, so there is nothing that it was better than"
    return ""


def _impact(
    comparison_id: str,
    preparation: Preparation,
    well: Sequence[Contender],
    *,
    verdict: Verdict,
    recommended: Strategy,
    goal: Goal,
) -> validator_pb2.RecordOptimizationImpactRequest:
    outcomes = [
        validator_pb2.StrategyOutcome(
            strategy=strategy_message(each.strategy),
            measured=recorded_performance(median_figures(each.rounds())),
        )
        for each in well
    ]
    return validator_pb2.RecordOptimizationImpactRequest(
        comparison_id=comparison_id,
        workload=preparation.workload,
        platform=preparation.environment.platform,
        goal=goal_message(goal),
        recommended=strategy_message(recommended),
        best=strategy_message(verdict.best),
        recommendation_correct=verdict.recommendation_correct,
        improvement_percent=verdict.improvement_percent,
        outcomes=outcomes,
    )
