"""Whether holders are still busy with what they were asked for long ago (SPEC.md 4.17)."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

from protocol.limits import MAX_LATE_CHUNKS
from protocol.timing import LATE_KEPT


class Backlog:
    """What came late, from which holders' backlog is seen: they come to old requests before newer ones.

    Times are seconds of a clock that never goes back.
    """

    def __init__(self) -> None:
        # When it came and when it was first asked for; the latter rises too, since a chunk that came later and was
        # asked for earlier says more than the one before it.
        self._came: deque[tuple[float, float]] = deque(maxlen=MAX_LATE_CHUNKS)

    def note_late(self, now: float, asked_at: float) -> None:
        """A chunk came that was first asked for at *asked_at*, and again since then."""
        while self._came and self._came[-1][1] >= asked_at:
            self._came.pop()
        while self._came and self._came[0][0] < now - LATE_KEPT:
            self._came.popleft()
        self._came.append((now, asked_at))

    def may_hold(self, asked_at: float, *, since: float) -> bool:
        """Whether something came from *since* on, and late, that was first asked for no later than *asked_at*."""
        first = bisect_left(self._came, (since,))
        return first < len(self._came) and self._came[first][1] <= asked_at
