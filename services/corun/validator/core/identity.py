"""Whether two records under one id say the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from corun.errors import CorunError, ExecutionConflict
from corun.validation.error_rates import ErrorRates
from corun.validator.core.records import Comparison, Execution, Performance
from corun.validator.core.refinement import Refinement


@dataclass(frozen=True, slots=True)
class KnownExecution:
    """What is on record under an execution's id.

    Attributes:
        content_sha256: As `execution_digest` gave it.
        predicted: As recorded or validated; None when no prediction has been given yet.
        errors: Of its validation; None when it has not been validated.
    """

    content_sha256: str
    predicted: Performance | None
    errors: ErrorRates | None


class ComparisonConflict(ExecutionConflict):
    """A comparison's id is on record with other figures."""

    def __init__(self, comparison_id: str) -> None:
        CorunError.__init__(
            self,
            f"comparison_id: {comparison_id!r} is on record with other figures",
            field="comparison_id",
            metadata={"comparison_id": comparison_id},
        )


class RefinementConflict(ExecutionConflict):
    """A refinement's id is on record with other figures."""

    def __init__(self, refinement_id: str) -> None:
        CorunError.__init__(
            self,
            f"refinement.refinement_id: {refinement_id!r} is on record with other figures",
            field="refinement.refinement_id",
            metadata={"refinement_id": refinement_id},
        )


def execution_digest(execution: Execution) -> str:
    """SHA-256 of what was run and measured, in hexadecimal.

    The prediction and its version are left out, because a prediction may be given later than the measurement;
    the end time is, because it may be left to the time of recording; both are no figures of the run. What callers need
    not tell counts only where they do.
    """
    later = {"execution_id", "end_time", "predicted", "predictor_version", "runs"}
    content = {name: value for name, value in asdict(execution).items() if name not in later}
    if execution.core_count is None:
        del content["core_count"]
    if not execution.explored:
        del content["explored"]
    runs = [{name: value for name, value in asdict(run).items() if value is not None} for run in execution.runs]
    return _digest({**content, "runs": runs})


def comparison_digest(comparison: Comparison) -> str:
    """SHA-256 of a comparison without its id, in hexadecimal."""
    return _digest({name: value for name, value in asdict(comparison).items() if name != "comparison_id"})


def refinement_digest(refinement: Refinement) -> str:
    """SHA-256 of a refinement without its id and its time, which may be left to the time of recording."""
    later = {"refinement_id", "refine_time"}
    return _digest({name: value for name, value in asdict(refinement).items() if name not in later})


def refuse_contradiction(known: KnownExecution, given: Execution) -> None:
    """Lets a repetition pass.

    Raises:
        ExecutionConflict: when `given` measured or predicted something else than what is `known`.
    """
    contradicted = None not in (known.predicted, given.predicted) and known.predicted != given.predicted
    if contradicted or known.content_sha256 != execution_digest(given):
        raise ExecutionConflict(given.execution_id)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
