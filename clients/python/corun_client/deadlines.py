"""How long calls may take unless the caller says otherwise, in seconds. No call is without a deadline."""

from __future__ import annotations

from math import isfinite

from corun_client.errors import InvalidArgument

QUICK = 30.0
"""Answers from memory or from the database."""

PROBE = 300.0
"""Starts every browser once to see what it can do."""

PREPARE = 900.0
"""May fetch or make a model, load it and run it."""

EXECUTE = 3600.0
"""Profiles, loads and runs a workload; a large model on a software adapter takes minutes a run."""

COMPARE = 4 * 3600.0
"""Runs a workload under every strategy, several times."""


WATCH = 7 * 24 * 3600.0
"""Watching ends when the caller stops, and in any case after a week."""


def deadline(timeout_seconds: object, default: float) -> float:
    """The caller's deadline, or the default.

    Raises:
        InvalidArgument: when it is not a positive, finite number.
    """
    if timeout_seconds is None:
        return default
    if isinstance(timeout_seconds, int | float) and not isinstance(timeout_seconds, bool):
        seconds = float(timeout_seconds)
        if isfinite(seconds) and seconds > 0:
            return seconds
    raise InvalidArgument.of("timeout_seconds", f"expected a positive number of seconds; received {timeout_seconds!r}")
