"""A caller's right to some browsers, for as long as it gets on with its work."""

from __future__ import annotations

from dataclasses import dataclass, field

from corun.resource_pool.core.placement import Seat


@dataclass(slots=True)
class LeaseTerm:
    """Times are monotonic seconds. Every step of the holder's work renews the lease; a holder that stops ends it.

    Attributes:
        lease_id: Unique in the life of the pool.
        purpose: In words.
        seats: The browsers, and the lanes in them.
        granted_at: When.
        ttl_seconds: How long it lasts without a sign of its holder.
        expires_at: When it ends unless it is renewed.
        ended: Why it is over; empty while it holds.
    """

    lease_id: str
    purpose: str
    seats: tuple[Seat, ...]
    granted_at: float
    ttl_seconds: float
    expires_at: float = field(init=False)
    ended: str = ""

    def __post_init__(self) -> None:
        self.expires_at = self.granted_at + self.ttl_seconds

    def renew(self, now: float, *, step_seconds: float = 0.0) -> bool:
        """Lets it last for a step that may take so long, and for its time to live after that.

        False when it is over: then its holder must not go on.
        """
        if self.has_expired(now):
            return False
        self.expires_at = max(self.expires_at, now + step_seconds + self.ttl_seconds)
        return True

    def has_expired(self, now: float) -> bool:
        """True once its holder has lost it."""
        return bool(self.ended) or now >= self.expires_at
