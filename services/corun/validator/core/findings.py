"""What the validations of one platform say about refining the predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corun.validation.error_rates import ErrorRates, SignedErrors
from corun.validator.core.drift import Drift, latest_drift
from corun.validator.core.history import FIGURES, History
from corun.validator.core.refinement import Method
from corun.validator.core.tendency import LEAST_COUNT, is_consistent_bias

# Errors up to so many thresholds are small enough to be worked off record by record.
_SMALL = 2.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What counts as too large and as too soon.

    Attributes:
        error_threshold: Largest acceptable mean error.
        refinement_interval: Validations on a platform between two refinements; errors of the newest so many count.
        with_drift: Whether drifts are looked for.
    """

    error_threshold: float
    refinement_interval: int
    with_drift: bool = True


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one platform.

    Attributes:
        history: Its validations since its last accepted refinement, oldest first.
        since_attempt: Validations since its last attempt to be refined, or ever.
    """

    history: History
    since_attempt: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What the evidence of one platform says.

    Attributes:
        recent: Mean errors of the newest validations.
        bias: Mean signed errors of all of them.
        consistent_biases: Figures whose errors lean to one side.
        drifts: The latest change of level, of figures that had one.
        large: Figures whose recent errors are over the threshold.
        needed: Whether errors are over the threshold and a refinement is due.
        method: The one that suits this platform by itself; None where validations are too few.
        reason: In words with figures.
    """

    platform: str
    validation_count: int
    since_attempt: int
    recent: ErrorRates
    bias: SignedErrors
    consistent_biases: tuple[str, ...]
    drifts: Mapping[str, Drift]
    large: tuple[str, ...]
    needed: bool
    method: Method | None
    reason: str


def find(platform: str, evidence: Evidence, terms: Terms) -> Findings:
    """The pattern of a platform's errors, and the method that suits it."""
    history = evidence.history
    recent = history.newest(max(LEAST_COUNT, terms.refinement_interval)).mean_errors()
    signed = {figure: history.signed_errors(figure) for figure in FIGURES}
    looked_for = FIGURES if terms.with_drift else ()
    drifts = {figure: drift for figure in looked_for if (drift := latest_drift(signed[figure])) is not None}
    biased = tuple(figure for figure in FIGURES if is_consistent_bias(signed[figure]))
    large = tuple(figure for figure in FIGURES if (getattr(recent, figure) or 0.0) > terms.error_threshold)
    bias = history.mean_bias()
    method, reason = _pattern(len(history), recent, bias, biased=biased, drifts=drifts, large=large, terms=terms)
    due = evidence.since_attempt >= terms.refinement_interval
    if method is not None and large and not due:
        reason += (
            f"; not due: {evidence.since_attempt} of {terms.refinement_interval} validations since the last refinement"
        )
    return Findings(
        platform=platform,
        validation_count=len(history),
        since_attempt=evidence.since_attempt,
        recent=recent,
        bias=bias,
        consistent_biases=biased,
        drifts=drifts,
        large=large,
        needed=method is not None and bool(large) and due,
        method=method,
        reason=f"{platform}: {reason}",
    )


def in_words(errors: ErrorRates | SignedErrors, figures: Sequence[str] = FIGURES, *, form: str = ".1%") -> str:
    """Those figures that are known, in percent."""
    known = ((figure, getattr(errors, figure)) for figure in figures)
    return ", ".join(f"{figure} {error:{form}}" for figure, error in known if error is not None)


def _pattern(
    count: int,
    recent: ErrorRates,
    bias: SignedErrors,
    *,
    biased: Sequence[str],
    drifts: Mapping[str, Drift],
    large: Sequence[str],
    terms: Terms,
) -> tuple[Method | None, str]:
    if count < LEAST_COUNT:
        return (
            None,
            f"{count} validation{'' if count == 1 else 's'} since its last refinement, {LEAST_COUNT} are needed",
        )
    figures = in_words(recent)
    if not large:
        return Method.INCREMENTAL, f"recent errors are within {terms.error_threshold:.0%} ({figures})"
    drifted = [_drift_in_words(figure, drifts[figure]) for figure in large if figure in drifts]
    if drifted:
        return Method.WINDOW, f"errors drifted: {' and '.join(drifted)} (recent errors: {figures})"
    leaning = [figure for figure in large if figure in biased]
    if leaning:
        told = in_words(bias, leaning, form="+.1%")
        return Method.WINDOW, f"consistent bias over {count} validations: {told} (recent errors: {figures})"
    if all(getattr(recent, figure) <= _SMALL * terms.error_threshold for figure in large):
        return Method.INCREMENTAL, f"errors are small and lean to no side ({figures})"
    return Method.WINDOW, f"errors are large and lean to no side ({figures})"


def _drift_in_words(figure: str, drift: Drift) -> str:
    return f"{figure} from {drift.before:+.1%} to {drift.after:+.1%} {drift.since} validations ago"
