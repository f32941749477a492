"""Many calls that are due later, and one timer of the reactor for all of them."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, Final

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

MOST_DEAD: Final = 1_000
"""Entries of cancelled alarms that stay in the heap beside as many of others; most go when their time comes."""


@implementer(IDelayedCall)
class Alarm:
    """One call that is due; see IDelayedCall."""

    __slots__ = ("_alarms", "_was_called", "args", "call", "kw", "when")

    def __init__(self, alarms: Alarms, when: float, call: Callable[..., Any], args: Any, kw: Any) -> None:
        self._alarms = alarms
        self._was_called = False
        self.when = when
        self.call: Callable[..., Any] | None = call
        """None once it won't ring any more."""
        self.args = args
        self.kw = kw

    def getTime(self) -> float:
        """See IDelayedCall."""
        return self.when

    def active(self) -> bool:
        """See IDelayedCall."""
        return self.call is not None

    def cancel(self) -> None:
        """See IDelayedCall."""
        self._check()
        self.call = self.args = self.kw = None
        self._alarms.note_cancelled()

    def delay(self, seconds_later: float) -> None:
        """See IDelayedCall."""
        self._check()
        self._alarms.move(self, self.when + seconds_later)

    def reset(self, seconds_from_now: float) -> None:
        """See IDelayedCall."""
        self._check()
        self._alarms.move(self, self._alarms.seconds() + seconds_from_now)

    def ring(self) -> None:
        """Make the call."""
        call, args, kw = self.call, self.args, self.kw
        assert call is not None, "an alarm that is over rings"
        self.call = self.args = self.kw = None
        self._was_called = True
        call(*args, **kw)

    def _check(self) -> None:
        if self.call is None:
            raise AlreadyCalled if self._was_called else AlreadyCancelled


@implementer(IReactorTime)
class Alarms:
    """A clock that has thousands of calls due at the price of one: those that the chunks in flight wait for.

    Nothing is rounded: each call is made as soon after its time as the reactor comes to it, those that are due
    together in the order of their times. The reactor's own timer runs only while a call is due.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.seconds: Callable[[], float] = clock.seconds
        # Tuples are compared without any Python; the number tells alarms of one time apart, first come first.
        self._heap: list[tuple[float, int, Alarm]] = []
        self._numbered = 0
        self._live = 0
        self._timer: IDelayedCall | None = None

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> Alarm:
        """See IReactorTime."""
        alarm = Alarm(self, self.seconds() + delay, callable, args, kw)
        self._live += 1
        self._push(alarm, delay)
        return alarm

    def getDelayedCalls(self) -> list[Alarm]:
        """See IReactorTime."""
        return [entry[2] for entry in self._heap if _rings(entry)]

    def move(self, alarm: Alarm, when: float) -> None:
        """Have *alarm* ring at another time."""
        alarm.when = when
        self._push(alarm, when - self.seconds())

    def note_cancelled(self) -> None:
        """One alarm less will ring."""
        self._live -= 1
        if not self._live:
            self._heap.clear()
            self._arm()
        elif len(self._heap) > 2 * self._live + MOST_DEAD:
            self._heap = [entry for entry in self._heap if _rings(entry)]
            heapify(self._heap)

    def _push(self, alarm: Alarm, delay: float) -> None:
        self._numbered += 1
        heappush(self._heap, (alarm.when, self._numbered, alarm))
        if self._heap[0][1] == self._numbered:
            self._arm(delay)

    def _arm(self, delay: float | None = None) -> None:
        """Have the reactor wake us for the first alarm, in *delay* seconds if that is known already."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            first = self._heap[0][0] - self.seconds() if delay is None else delay
            self._timer = self._clock.callLater(max(0.0, first), self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self.seconds()
        due = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heappop(self._heap))
        # Before any of the calls: what these want at once has its turn when the reactor has looked at all else.
        self._arm()
        for entry in due:
            if _rings(entry):
                self._live -= 1
                try:
                    entry[2].ring()
                except Exception:
                    # As in the reactor: what one call does to itself is no concern of the next.
                    self._log.failure("a call that was due failed")
        if not self._live and self._heap:
            self._heap.clear()
            self._arm()


def _rings(entry: tuple[float, int, Alarm]) -> bool:
    """Whether the alarm of an entry is due then: neither cancelled nor moved."""
    when, _, alarm = entry
    return alarm.call is not None and alarm.when == when
