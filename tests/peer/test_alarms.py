"""Many calls that are due later, under one timer of the reactor."""

from __future__ import annotations

from random import Random
from typing import cast

import pytest
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface.verify import verifyObject

from peer.alarms import MOST_DEAD, Alarms
from tests.support.clock import SimClock, run_for


@pytest.fixture
def clock() -> SimClock:
    return SimClock()


@pytest.fixture
def alarms(clock: SimClock) -> Alarms:
    return Alarms(clock)


def test_they_are_a_clock_like_any_other(alarms: Alarms) -> None:
    verifyObject(IReactorTime, alarms)
    verifyObject(IDelayedCall, alarms.callLater(1.0, print))


def test_each_rings_at_its_own_time_and_those_of_one_time_in_their_order(
    clock: SimClock, alarms: Alarms
) -> None:
    random = Random(1)
    rung: list[tuple[float, float, int]] = []
    for number in range(500):
        delay = random.choice([random.uniform(0.0, 3.0), 1.0])
        alarms.callLater(delay, lambda due, n: rung.append((clock.seconds(), due, n)), delay, number)
    run_for(clock, 4.0)
    assert [at for at, _, _ in rung] == pytest.approx([due for _, due, _ in rung])
    assert [(due, n) for _, due, n in rung] == sorted((due, n) for _, due, n in rung)
    assert len(rung) == 500


def test_they_take_one_timer_of_the_reactor_and_none_when_nothing_is_due(
    clock: SimClock, alarms: Alarms
) -> None:
    due = [alarms.callLater(delay, lambda: None) for delay in (3.0, 1.0, 2.0)]
    [timer] = clock.getDelayedCalls()
    assert timer.getTime() == 1.0
    for alarm in due:
        alarm.cancel()
    assert not clock.getDelayedCalls()
    assert not alarms.getDelayedCalls()


def test_what_is_cancelled_by_one_that_rings_at_the_same_time_does_not_ring(
    clock: SimClock, alarms: Alarms
) -> None:
    rung: list[str] = []
    alarms.callLater(1.0, lambda: second.cancel())
    second = alarms.callLater(1.0, rung.append, "second")
    third = alarms.callLater(1.0, rung.append, "third")
    run_for(clock, 2.0)
    assert rung == ["third"]
    assert not third.active()
    assert not clock.getDelayedCalls()


def test_what_one_sets_for_now_rings_in_the_next_turn(clock: SimClock, alarms: Alarms) -> None:
    turns: list[str] = []

    def first() -> None:
        turns.append("first")
        alarms.callLater(0.0, turns.append, "third")

    alarms.callLater(0.0, first)
    alarms.callLater(0.0, turns.append, "second")
    run_for(clock, 0.0)
    assert turns == ["first", "second", "third"]


def test_one_that_is_moved_rings_once(clock: SimClock, alarms: Alarms) -> None:
    rung: list[tuple[str, float]] = []
    later = alarms.callLater(1.0, lambda: rung.append(("later", clock.seconds())))
    sooner = alarms.callLater(5.0, lambda: rung.append(("sooner", clock.seconds())))
    later.delay(2.0)
    sooner.reset(2.0)
    assert [alarm.getTime() for alarm in alarms.getDelayedCalls()] == [2.0, 3.0]
    run_for(clock, 6.0)
    assert rung == [("sooner", 2.0), ("later", 3.0)]


def test_what_is_over_can_not_be_cancelled(clock: SimClock, alarms: Alarms) -> None:
    rung, cancelled = alarms.callLater(1.0, lambda: None), alarms.callLater(1.0, lambda: None)
    cancelled.cancel()
    run_for(clock, 1.0)
    with pytest.raises(AlreadyCalled):
        rung.cancel()
    with pytest.raises(AlreadyCancelled):
        cancelled.cancel()


def test_thousands_that_are_cancelled_are_not_kept(alarms: Alarms) -> None:
    """SPEC.md 11.1: each PUTCHUNK sets one that its answer cancels."""
    kept = alarms.callLater(100.0, lambda: None)
    for _ in range(10 * MOST_DEAD):
        alarms.callLater(16.0, lambda: None).cancel()
    assert len(alarms._heap) <= MOST_DEAD + 2
    assert alarms.getDelayedCalls() == [kept]


def test_one_that_fails_is_logged_and_the_next_rings(clock: SimClock, alarms: Alarms) -> None:
    logged: list[LogEvent] = []
    observer = cast(ILogObserver, logged.append)
    rung: list[str] = []
    alarms.callLater(1.0, lambda: 1 / 0)
    alarms.callLater(1.0, rung.append, "next")
    globalLogPublisher.addObserver(observer)
    try:
        run_for(clock, 1.0)
    finally:
        globalLogPublisher.removeObserver(observer)
    assert rung == ["next"]
    [event] = logged
    assert event["log_failure"].check(ZeroDivisionError)
