"""Coming back to a pool that was full."""

from __future__ import annotations

import asyncio
import random
import time

from corun.plumbing.retrying import pause_seconds
from corun.plumbing.status import RemoteError


class Patience:
    """Waits as a full pool says, from one attempt to the next.

    Args:
        seconds: Longest time from now to the last attempt.
    """

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._attempt = 0

    async def wait_after(self, error: RemoteError) -> None:
        """Returns when it is time for the next attempt.

        Raises:
            RemoteError: the same, when the pool was not full or time is up.
        """
        self._attempt += 1
        if error.reason != "POOL_FULL":
            raise error
        pause = pause_seconds(
            error.retry_after_seconds,
            attempt=self._attempt,
            remaining_seconds=self._ends_at - time.monotonic(),
            spread=random.random(),
        )
        if pause is None:
            raise error
        await asyncio.sleep(pause)
