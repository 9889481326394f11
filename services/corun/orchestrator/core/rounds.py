"""How many rounds a comparison needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corun.orchestrator.core.comparison import best_by_median
from corun.orchestrator.core.significance import PairedDifference, is_told_apart, paired_difference
from corun.orchestrator.core.terms import Figures, Goal, Strategy

MIN_ROUND_COUNT = 3
DEFAULT_MAX_ROUND_COUNT = 10

# Stricter than the verdict's: it is looked at after every round, and each look is a chance to be fooled.
_STOPPING_LEVEL = 0.01

# Strategies that differ by less than this, with 95 % confidence, are as good as equal: more rounds would be wasted.
_EQUAL = 0.05


@dataclass(frozen=True, slots=True)
class RoundPolicy:
    """At least `least` rounds and at most `most`; between them it is stopped when the order is clear."""

    least: int
    most: int

    @classmethod
    def asked(cls, rounds: int | None, max_rounds: int | None) -> RoundPolicy:
        """Exactly `rounds` where given, else adaptive up to `max_rounds`."""
        if rounds is not None:
            return cls(rounds, rounds)
        return cls(MIN_ROUND_COUNT, max_rounds or DEFAULT_MAX_ROUND_COUNT)


def reason_to_stop(
    done: int, rounds: Mapping[Strategy, Sequence[Figures]], *, policy: RoundPolicy, goal: Goal
) -> str | None:
    """Why no further round is needed, in words; None while one is.

    Args:
        done: Rounds that were run.
        rounds: Figures of each round of every strategy that has not failed.
        policy: Fewest and most rounds.
        goal: What "best" means.
    """
    if not rounds:
        return "every strategy failed"
    if done < policy.least:
        return None
    if policy.least == policy.most:
        return f"{done} were asked for"
    if len(rounds) == 1:
        return "only one strategy is left"
    best = best_by_median(rounds, goal)
    behind = [paired_difference(rounds[best], rounds[each], goal) for each in rounds if each is not best]
    if all(each is not None and _is_clear(each) for each in behind):
        return f"after {done} the order is clear"
    return f"{done} are the most there may be" if done >= policy.most else None


def _is_clear(difference: PairedDifference) -> bool:
    equal = difference.low > -_EQUAL and difference.high < _EQUAL
    return equal or is_told_apart(difference, level=_STOPPING_LEVEL)
