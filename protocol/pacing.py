"""How fast bodies may be sent without overrunning the receive buffers of the others (SPEC.md 3.14)."""

from __future__ import annotations


class Pacer:
    """A token bucket: ``burst_bytes`` at once after a pause, ``bytes_per_second`` in the long run.

    The ledger is one number, the time at which all that was admitted will have been sent at the steady rate.
    """

    __slots__ = ("_burst_seconds", "_bytes_per_second", "_paid_until")

    def __init__(self, bytes_per_second: float, burst_bytes: float) -> None:
        """ValueError unless the rate is above 0 and the burst at least 0."""
        if bytes_per_second <= 0 or burst_bytes < 0:
            raise ValueError(f"no pace: {bytes_per_second} bytes a second in bursts of {burst_bytes} bytes")
        self._bytes_per_second = bytes_per_second
        self._burst_seconds = burst_bytes / bytes_per_second
        self._paid_until = float("-inf")

    def delay(self, now: float, size: int) -> float:
        """Admit ``size`` bytes, and tell how many seconds from ``now`` they have to wait before they leave.

        Each call is an admission: what is asked for has to be sent after that wait. Calls come in the order
        of time, and the waits that they give keep that order.
        """
        start = max(self._paid_until, now - self._burst_seconds)
        self._paid_until = start + size / self._bytes_per_second
        return max(0.0, self._paid_until - now)
