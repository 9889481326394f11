"""Records for refining the predictor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from corun.validation.error_rates import ErrorRates, SignedErrors
from corun.validator.core.records import Execution


@dataclass(frozen=True, slots=True)
class DatasetQuery:
    """Which executions are wanted: the newest `max_record_count` of those that everything else allows.

    Attributes:
        platform: Only this one; None: all.
        strategy: Only this one; None: all.
        engine: Only this one; None: all.
        after_time: Only executions that ended later; aware. None: all.
        with_unvalidated: Those that were recorded without a validation too.
    """

    platform: str | None
    strategy: str | None
    engine: str | None
    after_time: datetime | None
    max_record_count: int
    with_unvalidated: bool


@dataclass(frozen=True, slots=True)
class ExecutionOnRecord:
    """All that is on record of an execution. `errors` and `bias` are None where it was not validated."""

    execution: Execution
    errors: ErrorRates | None
    bias: SignedErrors | None
