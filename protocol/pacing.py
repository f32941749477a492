"""How fast datagrams may be sent without overrunning the receive buffers of the others (SPEC.md 3.14)."""

from __future__ import annotations

from protocol.limits import BURST_SECONDS, LEAST_BURST_BYTES, LEAST_COST_BYTES


def sending_cost(body_bytes: int) -> int:
    """Bytes that a datagram counts for: its body, and at least what receiving and storing any one takes."""
    return max(body_bytes, LEAST_COST_BYTES)


def burst_at(bytes_per_second: float) -> float:
    """Bytes that may leave at once at that pace."""
    return max(LEAST_BURST_BYTES, bytes_per_second * BURST_SECONDS)


class Pacer:
    """A token bucket: a burst at once after a pause, and a steady rate in the long run.

    The ledger is one number, the time at which all that was admitted will have been sent at the steady rate.
    """

    __slots__ = ("_burst_seconds", "_paid_until", "_per_second")

    def __init__(self, per_second: float, burst: float) -> None:
        """As ``set_pace``."""
        self._paid_until = float("-inf")
        self.set_pace(per_second, burst)

    def set_pace(self, per_second: float, burst: float) -> None:
        """Admit *per_second* from now on, *burst* of it at once. ValueError unless they are above 0 and at least 0."""
        if per_second <= 0 or burst < 0:
            raise ValueError(f"no pace: {per_second} a second in bursts of {burst}")
        self._per_second = per_second
        self._burst_seconds = burst / per_second

    def delay(self, now: float, size: int) -> float:
        """Admit *size*, and tell how many seconds from *now* it has to wait before it leaves.

        Each call is an admission: what is asked for has to be sent after that wait. Calls come in the order
        of time, and the waits that they give keep that order.
        """
        start = max(self._paid_until, now - self._burst_seconds)
        self._paid_until = start + size / self._per_second
        return max(0.0, self._paid_until - now)
