"""Virtual time: a clock for thousands of pending calls, and ways to run it until something has happened."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from heapq import heappop, heappush
from typing import Any, TypeVar

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.python.failure import Failure

T = TypeVar("T")

MAX_CALLS_AT_ONE_INSTANT = 1_000_000
"""Calls run without time passing: more than any test has work for, so that a loop of callLater(0) ends."""


class SimClock(Clock):
    """A Clock on a heap, so that a call costs the logarithm of what is pending, not a sort of it.

    Calls due at the same instant run in the order in which they were made. Unlike Clock, advance() steps from
    one call to the next, so that each runs at the time for which it was set.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.rightNow = start
        self._heap: list[tuple[float, int, DelayedCall]] = []
        self._order = 0

    @property
    def calls(self) -> list[DelayedCall]:  # type: ignore[override]
        """The pending calls, soonest first; Clock has them as an attribute."""
        pending = {call: order for _time, order, call in sorted(self._heap) if call.active()}
        return sorted(pending, key=lambda call: (call.getTime(), pending[call]))

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        """As IReactorTime.callLater."""
        assert delay >= 0, f"{delay} s from now is in the past"
        call = DelayedCall(
            self.rightNow + delay, callable, args, kw, lambda _cancelled: None, self._push, self.seconds
        )
        self._push(call)
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """As IReactorTime.getDelayedCalls."""
        return self.calls

    def next_time(self) -> float | None:
        """When the next call is due, in seconds of this clock; None when nothing is pending."""
        while self._heap:
            time, _order, call = self._heap[0]
            if call.active() and call.getTime() == time:
                return time
            heappop(self._heap)
            # A call that was put off keeps its old place until it comes up there.
            if call.active() and call.delayed_time:
                call.activate_delay()
                self._push(call)
        return None

    def advance(self, amount: float) -> None:
        """Let *amount* seconds pass, running what falls due at the time when it does."""
        end = self.rightNow + amount
        while (due := self.next_time()) is not None and due <= end:
            self.run_next()
        self.rightNow = max(self.rightNow, end)

    def run_next(self) -> bool:
        """Let time pass to the next call and run that one; False if there is none."""
        due = self.next_time()
        if due is None:
            return False
        call = heappop(self._heap)[2]
        self.rightNow = max(self.rightNow, due)
        call.called = 1
        call.func(*call.args, **call.kw)
        return True

    def forget_all(self) -> None:
        """Drop all that is pending: nobody is there any more to whom it would happen."""
        self._heap.clear()

    def _push(self, call: DelayedCall) -> None:
        self._order += 1
        heappush(self._heap, (call.getTime(), self._order, call))


def run_until(clock: Clock, awaited: Deferred[T] | Coroutine[Any, Any, T], limit: float) -> T:
    """Run *clock* from one call to the next until *awaited* has fired.

    Gives the result, or raises what it failed with. AssertionError if it hasn't fired after *limit* seconds
    of the clock's time, or when nothing is pending any more.
    """
    deferred = awaited if isinstance(awaited, Deferred) else Deferred.fromCoroutine(awaited)
    outcome: list[T | Failure] = []
    deferred.addBoth(outcome.append)
    _run(clock, until=clock.seconds() + limit, is_done=lambda: bool(outcome))
    if not outcome:
        deferred.cancel()
        raise AssertionError(f"still waiting at {clock.seconds():.6f} s; due later: {_next_calls(clock)}")
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    return outcome[0]


def run_for(clock: Clock, seconds: float) -> None:
    """Let *seconds* pass on *clock*, from one call to the next, each at its own time."""
    end = clock.seconds() + seconds
    _run(clock, until=end, is_done=lambda: False)
    clock.rightNow = max(clock.rightNow, end)


def _run(clock: Clock, *, until: float, is_done: Callable[[], bool]) -> None:
    calls_at_this_instant = 0
    while not is_done():
        due = _next_time(clock)
        if due is None or due > until:
            return
        calls_at_this_instant = 0 if due > clock.rightNow else calls_at_this_instant + 1
        assert calls_at_this_instant < MAX_CALLS_AT_ONE_INSTANT, f"time stands still at {clock.rightNow} s"
        if isinstance(clock, SimClock):
            clock.run_next()
        else:
            # Set, not added to: adding the difference can fall short of the call by a rounding error.
            clock.rightNow = max(clock.rightNow, due)
            clock.advance(0)


def _next_time(clock: Clock) -> float | None:
    if isinstance(clock, SimClock):
        return clock.next_time()
    return min((call.getTime() for call in clock.getDelayedCalls()), default=None)


def _next_calls(clock: Clock) -> str:
    return ", ".join(f"{call}" for call in clock.getDelayedCalls()[:5]) or "nothing"
