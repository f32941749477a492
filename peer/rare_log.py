"""What may go to the log, so that what comes from outside can't fill the disk with its own description."""

from __future__ import annotations

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime

from protocol.limits import DROP_LOG_SPACING, MAX_DROP_LOG_ENTRIES


class RareLog:
    """Says of each subject whether it may be logged now: once a minute each, and in all a bounded number a minute.

    While as many subjects as are remembered have been logged within the minute, a new one isn't: subjects are
    named by whoever sends, and forged ones must grow neither the memory nor the log.
    """

    def __init__(self, *, clock: IReactorTime) -> None:
        self._clock = clock
        # In the order of their times, oldest first.
        self._logged_at: dict[Hashable, float] = {}

    def is_due(self, *subject: Hashable) -> bool:
        """Whether to log about *subject* now; asking counts as logging."""
        now = self._clock.seconds()
        self._forget(now - DROP_LOG_SPACING)
        if subject in self._logged_at or len(self._logged_at) >= MAX_DROP_LOG_ENTRIES:
            return False
        self._logged_at[subject] = now
        return True

    def _forget(self, before: float) -> None:
        while self._logged_at:
            oldest = next(iter(self._logged_at))
            if self._logged_at[oldest] > before:
                return
            del self._logged_at[oldest]
