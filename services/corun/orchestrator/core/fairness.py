"""Whose turn it is: a place that becomes free goes to the waiting client that has had the least."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, replace
from statistics import median, median_low

_REMEMBERED_TURNS = 32
# Kinds of work whose turns are remembered, and turns of each.
_KINDS, _TURNS_PER_KIND = 256, 63


@dataclass(frozen=True, slots=True)
class _Turn:
    number: int
    client: str
    since: float
    kind: Hashable


class FairQueue:
    """Places shared by clients, decided by attained service; times are seconds of one monotonic clock.

    Each client is charged the time that its turns held a place, running ones included, and the client with the least
    goes first; its own turns in order of arrival. A client that comes anew starts level with the least charged one that
    is there, so that nobody saves up turns by staying away and nobody new is starved (start-time fair queueing, Goyal,
    Vin and Cheng, 1996, with the charge made by what a turn took instead of what it was expected to take).

    A turn that was finished is charged what turns with work of its kind typically take: that the machine was slow or
    quick just then is not its client's doing, and clients that want the same get it equally often.
    """

    def __init__(self, place_count: int) -> None:
        self.place_count = place_count
        self._waiting: dict[int, _Turn] = {}
        self._running: dict[int, _Turn] = {}
        self._attained: dict[str, float] = {}
        self._floor = 0.0
        self._recent: deque[float] = deque(maxlen=_REMEMBERED_TURNS)
        self._taken: dict[Hashable, deque[float]] = {}

    @property
    def waiting_count(self) -> int:
        """Turns that wait."""
        return len(self._waiting)

    @property
    def running_count(self) -> int:
        """Turns that hold a place."""
        return len(self._running)

    def enqueue(self, number: int, client: str, *, now: float, kind: Hashable = None) -> None:
        """A turn waits from now on, with work of a kind; None is like no other. Numbers must be unique and grow."""
        self._settle(now)
        if client not in self._present():
            self._attained[client] = max(self._attained.get(client, 0.0), self._floor)
        self._waiting[number] = _Turn(number, client, now, kind)

    def grant(self, *, now: float) -> list[int]:
        """The turns that get the free places, the next first."""
        granted = []
        while self._waiting and len(self._running) < self.place_count:
            turn = min(self._waiting.values(), key=lambda each: (self._charge(each.client, now), each.number))
            del self._waiting[turn.number]
            self._running[turn.number] = replace(turn, since=now)
            granted.append(turn.number)
        return granted

    def leave(self, number: int, *, now: float, is_finished: bool = True) -> None:
        """A turn gives its place back, its work finished or not, or waits no longer. Leaving twice is fine."""
        self._waiting.pop(number, None)
        turn = self._running.pop(number, None)
        if turn is not None:
            took = now - turn.since
            is_typical = is_finished and turn.kind is not None
            self._attained[turn.client] += self._typical(turn.kind, took) if is_typical else took
            self._recent.append(took)
        self._settle(now)

    def expected_wait_seconds(self) -> float:
        """How long one more turn would wait: those before it and itself, by the recent median; 1 while nothing is
        known."""
        if not self._recent:
            return 1.0
        return (len(self._waiting) + 1) / max(1, self.place_count) * median(self._recent)

    def _typical(self, kind: Hashable, took: float) -> float:
        """What turns with work of a kind take, the one that has just ended among them."""
        taken = self._taken.pop(kind, None) or deque(maxlen=_TURNS_PER_KIND)
        taken.append(took)
        self._taken[kind] = taken  # as the one that was met last
        if len(self._taken) > _KINDS:
            del self._taken[next(iter(self._taken))]
        return median_low(taken)  # the first of a kind had more to load: the second is not charged for it

    def _charge(self, client: str, now: float) -> float:
        running = (now - each.since for each in self._running.values() if each.client == client)
        # A turn that began just now counts for something: two free places do not go to one of two equal clients.
        return self._attained[client] + sum(max(elapsed, 1e-6) for elapsed in running)

    def _present(self) -> set[str]:
        return {each.client for each in (*self._waiting.values(), *self._running.values())}

    def _settle(self, now: float) -> None:
        """Moves the floor up to the least charged client that is there, and forgets those that it has overtaken."""
        present = self._present()
        if present:
            self._floor = max(self._floor, min(self._charge(client, now) for client in present))
        self._attained = {
            client: attained
            for client, attained in self._attained.items()
            if client in present or attained > self._floor
        }
