"""Sums over parts of the record, put together to groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corun.validation.error_rates import ErrorRates, SignedErrors
from corun.validator.core.history import FIGURES, History
from corun.validator.core.metrics import ErrorSummary


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Validations of one platform and one strategy, in sums.

    Attributes:
        counts: Validations that have an error, in the order of FIGURES, [3].
        error_sums: Sums of errors, [3].
        signed_sums: Sums of signed errors, [3].
        newest_numbers: Of its newest validations, in any order, [k].
        newest: Their signed errors, NaN where there is none, [k, 3].
    """

    platform: str
    strategy: str
    validation_count: int
    counts: NDArray[np.float64]
    error_sums: NDArray[np.float64]
    signed_sums: NDArray[np.float64]
    newest_numbers: NDArray[np.int64]
    newest: NDArray[np.float64]


def summary(parts: Iterable[Part], *, recent_count: int) -> ErrorSummary:
    """Means over all of the parts, over the newest `recent_count` of them, and over as many before those.

    Every part must have its newest 2 x `recent_count`, or all.
    """
    given = list(parts)
    if not given:
        return ErrorSummary(0, ErrorRates(), ErrorRates(), ErrorRates(), SignedErrors(), SignedErrors())
    numbers = np.concatenate([part.newest_numbers for part in given])
    signed = np.concatenate([part.newest for part in given])[np.argsort(-numbers, kind="stable")]
    recent, earlier = signed[:recent_count], signed[recent_count : 2 * recent_count]
    counts = _total([part.counts for part in given])
    return ErrorSummary(
        validation_count=sum(part.validation_count for part in given),
        average=ErrorRates(*_quotients(_total([part.error_sums for part in given]), counts)),
        recent=ErrorRates(*_means(np.abs(recent))),
        earlier=ErrorRates(*_means(np.abs(earlier))),
        bias=SignedErrors(*_quotients(_total([part.signed_sums for part in given]), counts)),
        recent_bias=SignedErrors(*_means(recent)),
    )


def newest_of(parts: Sequence[Part], count: int) -> History:
    """The newest `count` validations of each platform. Every part must have its newest `count`, or all."""
    if not parts:
        return History.of(())
    order = np.argsort(np.concatenate([part.newest_numbers for part in parts]))
    lengths = [len(part.newest) for part in parts]
    history = History(
        platforms=np.repeat([part.platform for part in parts], lengths)[order],
        strategies=np.repeat([part.strategy for part in parts], lengths)[order],
        signed=np.concatenate([part.newest for part in parts])[order],
    )
    return history.newest_of_each_platform(count)


def _total(columns: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.asarray(np.sum(columns, axis=0))


def _means(values: NDArray[np.float64]) -> list[float | None]:
    return _quotients(np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0))


def _quotients(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> list[float | None]:
    return [float(sums[i] / counts[i]) if counts[i] else None for i in range(len(FIGURES))]
