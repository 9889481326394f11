"""How many executions a client may have under way, and all clients together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from corun.errors import TooManyExecutions

_SHORTEST_SECONDS = 0.1


class Admission:
    """Counts executions from before they are prepared until they have ended.

    Args:
        per_client: Most of one client.
        in_total: Most of all.
        expected_wait_seconds: Tells when one that is refused had best come back.
    """

    def __init__(self, *, per_client: int, in_total: int, expected_wait_seconds: Callable[[], float]) -> None:
        self._per_client = per_client
        self._in_total = in_total
        self._expected_wait_seconds = expected_wait_seconds
        self._counts: Counter[str] = Counter()

    def admit(self, client: str) -> Admitted:
        """Lets a client have one more, which counts while it is held.

        Raises:
            TooManyExecutions: there are as many as there may be.
        """
        retry = max(_SHORTEST_SECONDS, self._expected_wait_seconds())
        if self._counts[client] >= self._per_client:
            raise TooManyExecutions(f"you ({client})", self._per_client, retry_after_seconds=retry)
        if self._counts.total() >= self._in_total:
            raise TooManyExecutions("all clients together", self._in_total, retry_after_seconds=retry)
        return Admitted(self._counts, client)


class Admitted:
    """One execution that counts as long as somebody holds it. It is a context; whoever goes on with it afterwards holds
    it once more."""

    def __init__(self, counts: Counter[str], client: str) -> None:
        self._counts = counts
        self.client = client
        self._holder_count = 0

    def hold(self) -> None:
        """It counts until `release`."""
        if self._holder_count == 0:
            self._counts[self.client] += 1
        self._holder_count += 1

    def release(self) -> None:
        """One holder less."""
        self._holder_count -= 1
        if self._holder_count == 0:
            self._counts[self.client] -= 1
            if not self._counts[self.client]:
                del self._counts[self.client]

    def __enter__(self) -> Self:
        self.hold()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
