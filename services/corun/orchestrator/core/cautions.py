"""What did not go as it should without failing an execution, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Most runs that the validator takes with one execution.
MAX_RECORDED_RUNS = 100_000


@dataclass(frozen=True, slots=True)
class Fallback:
    """An engine that was preferred for a model type, the one that served, and why."""

    model_type: str
    preferred: str
    used: str
    reason: str


def cautions(
    *,
    predicted_engine: str,
    ran_in: Iterable[tuple[str, str]],
    fallbacks: Sequence[Fallback] = (),
    retry_count: int = 0,
    run_count: int = 0,
    changed: Sequence[str] = (),
) -> list[str]:
    """What whoever reads a measurement should know about it; empty when all went as foreseen.

    Args:
        predicted_engine: Engine that the prediction was made for.
        ran_in: Model and engine of every run.
        fallbacks: Preferred engines that could not serve.
        retry_count: Times that the plan started over.
        run_count: Runs that were measured.
        changed: Models that ran from other files than the prediction was made for.
    """
    found = [
        f"{each.model_type or 'the model'} was to run in {each.preferred!r}, but ran in {each.used!r}: {each.reason}"
        for each in fallbacks
    ]
    found += _other_engines(predicted_engine, list(dict.fromkeys(ran_in)))
    if retry_count:
        found.append(f"a browser was lost; the plan started over {retry_count} time(s)")
    found += [f"{name} was changed just before it ran: predicted for the file before" for name in changed]
    if run_count > MAX_RECORDED_RUNS:
        found.append(f"only the first {MAX_RECORDED_RUNS} of {run_count} runs are recorded one by one")
    return found


def _other_engines(predicted_engine: str, ran_in: Sequence[tuple[str, str]]) -> list[str]:
    found = []
    for engine in dict.fromkeys(engine for _, engine in ran_in if engine not in {"", predicted_engine}):
        names = [name for name, each in ran_in if each == engine]
        what = "it" if len(names) == len(ran_in) else ", ".join(names)
        found.append(f"predicted for the engine {predicted_engine!r}, but {what} ran in {engine!r}")
    return found
