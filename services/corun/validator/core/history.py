"""Validations in the order they were recorded: their errors as columns, and one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from corun.validation.error_rates import ErrorRates, SignedErrors
from corun.validator.core.records import Performance

FIGURES = ("latency", "throughput", "memory")
"""What is predicted and measured; attributes of ErrorRates and SignedErrors."""


@dataclass(frozen=True, slots=True)
class Validation:
    """One prediction held against its measurement.

    Attributes:
        number: Counts validations in the order they were recorded.
        end_time: Of its execution; aware, UTC.
    """

    number: int
    execution_id: str
    end_time: datetime
    platform: str
    strategy: str
    predictor_version: str
    predicted: Performance
    measured: Performance
    errors: ErrorRates
    bias: SignedErrors


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Errors of validations, oldest first: columns, because there are thousands and they are looked at as series.

    Attributes:
        platforms: Of each validation, [n].
        strategies: Of each validation, [n].
        signed: (predicted - measured) / measured in the order of FIGURES, [n, 3]; NaN where a figure has none.
    """

    platforms: NDArray[np.str_]
    strategies: NDArray[np.str_]
    signed: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, float | None, float | None, float | None]]) -> History:
        """From rows of platform, strategy and signed errors in the order of FIGURES, oldest first."""
        given = list(rows)
        signed = np.array([row[2:] for row in given], dtype=np.float64).reshape(-1, len(FIGURES))
        return cls(np.array([row[0] for row in given], "U16"), np.array([row[1] for row in given], "U16"), signed)

    def __len__(self) -> int:
        return len(self.platforms)

    def newest(self, count: int) -> History:
        """The last `count`, 1 or more."""
        return History(self.platforms[-count:], self.strategies[-count:], self.signed[-count:])

    def newest_of_each_platform(self, count: int) -> History:
        """The last `count` of every platform, 1 or more."""
        kept = np.zeros(len(self), dtype=np.bool_)
        for platform in set(self.platforms.tolist()):
            kept[np.flatnonzero(self.platforms == platform)[-count:]] = True
        return self._where(kept)

    def on_platform(self, platform: str) -> History:
        """Those of one platform."""
        return self._where(self.platforms == platform)

    def with_strategy(self, strategy: str) -> History:
        """Those of one strategy."""
        return self._where(self.strategies == strategy)

    def signed_errors(self, figure: str) -> NDArray[np.float64]:
        """Errors with their signs of one of FIGURES, without those that have none."""
        values = self.signed[:, FIGURES.index(figure)]
        return values[~np.isnan(values)]

    def errors(self, figure: str) -> NDArray[np.float64]:
        """Errors of one of FIGURES, without those that have none."""
        return np.abs(self.signed_errors(figure))

    def mean_errors(self) -> ErrorRates:
        """Means of each figure; None where no validation has one."""
        return ErrorRates(*(_mean(self.errors(figure)) for figure in FIGURES))

    def mean_bias(self) -> SignedErrors:
        """Means with signs of each figure; None where no validation has one."""
        return SignedErrors(*(_mean(self.signed_errors(figure)) for figure in FIGURES))

    def _where(self, chosen: NDArray[np.bool_]) -> History:
        return History(self.platforms[chosen], self.strategies[chosen], self.signed[chosen])


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None
