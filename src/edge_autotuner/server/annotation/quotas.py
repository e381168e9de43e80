"""Quotas of clients."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_autotuner.core.clock import Clock, SystemClock

_MINUTE_S = 60.0


@dataclass
class TokenBucket:
    """A token bucket that holds a minute's worth and may be overdrawn.

    The request after an overdraft waits longer: a request that is larger than the whole bucket passes now and then, and
    the mean rate holds.

    Attributes:
        filled_at_s: time of `level`, monotonic seconds.
        level: the rest; negative if overdrawn.
    """

    per_minute: float
    filled_at_s: float
    level: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.per_minute

    def wait_s(self, now_s: float) -> float:
        """Return the time until something may be taken, 0 for now."""
        self._fill(now_s)
        return max(0.0, min(1.0, self.per_minute) - self.level) * _MINUTE_S / self.per_minute

    def take(self, amount: float, now_s: float) -> None:
        """Take something out."""
        self._fill(now_s)
        self.level -= amount

    def _fill(self, now_s: float) -> None:
        passed_s = max(0.0, now_s - self.filled_at_s)
        self.level = min(self.per_minute, self.level + passed_s * self.per_minute / _MINUTE_S)
        self.filled_at_s = max(now_s, self.filled_at_s)


class Quotas:
    """Quotas of requests and pixels per client; pictures from the cache cost no pixels."""

    def __init__(
        self, *, requests_per_minute: float | None, pixels_per_minute: float | None, clock: Clock | None = None
    ) -> None:
        self._per_minute = {"requests": requests_per_minute, "pixels": pixels_per_minute}
        self._clock = clock or SystemClock()
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    def wait_s(self, client: str) -> float:
        """Return how long a client must wait before its next request, 0 for not at all."""
        now_s = self._clock.monotonic_s()
        return max((bucket.wait_s(now_s) for bucket in self._buckets_of(client).values()), default=0.0)

    def take(self, client: str, *, n_requests: int = 0, n_pixels: int = 0) -> None:
        """Count requests and pixels of a client."""
        now_s = self._clock.monotonic_s()
        buckets = self._buckets_of(client)
        for kind, amount in (("requests", n_requests), ("pixels", n_pixels)):
            if kind in buckets and amount:
                buckets[kind].take(amount, now_s)

    def _buckets_of(self, client: str) -> dict[str, TokenBucket]:
        found = {}
        for kind, per_minute in self._per_minute.items():
            if per_minute is not None:
                bucket = self._buckets.get((client, kind))
                if bucket is None:
                    bucket = self._buckets[client, kind] = TokenBucket(per_minute, self._clock.monotonic_s())
                found[kind] = bucket
        return found
