"""Whether the predictor should be refined, and by which method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corun.validator.core.findings import Evidence, Findings, Terms, find, in_words
from corun.validator.core.history import FIGURES, History
from corun.validator.core.movement import MOST_COUNT
from corun.validator.core.refinement import Method
from corun.validator.core.tendency import LEAST_COUNT, differ


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The verdict over all platforms.

    Attributes:
        needed: Whether a platform's errors are over the threshold and its refinement is due.
        method: The one that suits, also where none is needed; None where validations are too few everywhere.
        reason: In words with figures.
        platforms: Those that need it.
        strategies: Those whose errors there are over the threshold.
        validation_count: Validations that the verdict rests on.
        findings: Of every platform, those with too few validations included.
    """

    needed: bool
    method: Method | None
    reason: str
    platforms: tuple[str, ...]
    strategies: tuple[str, ...]
    validation_count: int
    findings: tuple[Findings, ...]


def recommendation_history(history_size: int) -> int:
    """`history_size`, but no fewer validations than a verdict needs and no more than are looked at."""
    return min(MOST_COUNT, max(LEAST_COUNT, history_size))


def recommend(evidence: Mapping[str, Evidence], terms: Terms) -> Recommendation:
    """The verdict over platforms by their names.

    A refinement is needed where the mean of a platform's newest errors is over the threshold, and as many validations
    as the interval came since the last attempt. The method follows the pattern: weighted where errors differ across
    platforms, window where they drifted or lean to one side, else incremental; window too where errors without a
    pattern are larger than twice the threshold.
    """
    findings = tuple(find(platform, each, terms) for platform, each in sorted(evidence.items()))
    told = [each for each in findings if each.method is not None]
    if not told:
        return Recommendation(False, None, _too_few(findings), (), (), 0, findings)
    concerned = [each for each in told if each.needed] or [each for each in told if each.large]
    method, reason = _verdict(concerned, told, differing=_differing(evidence, told, terms))
    affected = tuple(each.platform for each in told if each.needed)
    return Recommendation(
        needed=bool(affected),
        method=method,
        reason=reason,
        platforms=affected,
        strategies=_strategies([evidence[platform].history for platform in affected], terms),
        validation_count=sum(each.validation_count for each in told),
        findings=findings,
    )


def _verdict(
    concerned: Sequence[Findings], told: Sequence[Findings], *, differing: Sequence[str]
) -> tuple[Method, str]:
    why = "; ".join(each.reason for each in concerned or told)
    if not concerned:
        return Method.INCREMENTAL, why
    if differing:
        means = "; ".join(f"{each.platform} {in_words(each.bias, differing, form='+.1%')}" for each in told)
        return Method.WEIGHTED, f"signed errors differ across platforms ({means}); {why}"
    window = any(each.method is Method.WINDOW for each in concerned)
    return (Method.WINDOW if window else Method.INCREMENTAL), why


def _differing(evidence: Mapping[str, Evidence], told: Sequence[Findings], terms: Terms) -> list[str]:
    """Figures whose signed errors differ across platforms, by more than half a threshold."""
    histories = {each.platform: evidence[each.platform].history for each in told}
    signed = ((figure, {name: each.signed_errors(figure) for name, each in histories.items()}) for figure in FIGURES)
    return [figure for figure, groups in signed if differ(groups, least_spread=terms.error_threshold / 2)]


def _strategies(histories: Sequence[History], terms: Terms) -> tuple[str, ...]:
    """Those with a mean error over the threshold on any of the platforms."""
    over = {
        strategy
        for history in histories
        for strategy in set(history.strategies.tolist())
        for errors in (history.with_strategy(strategy).mean_errors(),)
        if any((getattr(errors, figure) or 0.0) > terms.error_threshold for figure in FIGURES)
    }
    return tuple(sorted(over))


def _too_few(findings: Sequence[Findings]) -> str:
    if not findings:
        return f"too little data: no validations yet, {LEAST_COUNT} on one platform are needed"
    return "too little data: " + "; ".join(each.reason for each in findings)
