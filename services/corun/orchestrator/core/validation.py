"""When a prediction is held against its measurement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ValidationPolicy:
    """Validates every `interval`-th execution on a platform, unless `disabled`.

    `error_threshold` is the largest acceptable error (1 = 100 %); None leaves it to the validator.
    """

    interval: int
    disabled: bool
    error_threshold: float | None

    def is_due(self, execution_number: int) -> bool:
        """Whether the execution of this number, from 1, is to be validated."""
        return not self.disabled and execution_number % self.interval == 0


class ExecutionCounter:
    """Numbers the executions of each platform, from 1; `counts` are those that there were before."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = Counter(counts)

    def next_number(self, platform: str) -> int:
        """Counts one more execution on `platform` and says which it is."""
        self._counts[platform] += 1
        return self._counts[platform]
