"""Figures from callers, checked before they are sent."""

from __future__ import annotations

from math import isfinite

from corun_client.errors import InvalidArgument

_INT32_MAX = 2**31 - 1


def whole_number(value: object, *, parameter: str, at_least: int = -_INT32_MAX - 1) -> int:
    """An integer that fits the wire. Raises InvalidArgument for anything else, booleans included."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidArgument.of(parameter, f"expected a whole number; received {value!r}")
    if not at_least <= value <= _INT32_MAX:
        raise InvalidArgument.of(
            parameter, f"expected a whole number from {at_least} to {_INT32_MAX}; received {value!r}"
        )
    return value


def error_threshold_of(value: object, *, parameter: str = "error_threshold") -> float:
    """A largest acceptable error, above 0 up to 100 (1 = 100 %). Raises InvalidArgument for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and 0 < value <= 100:
        return float(value)
    raise InvalidArgument.of(parameter, f"expected a number above 0 and up to 100 (0.15 is 15 %); received {value!r}")
