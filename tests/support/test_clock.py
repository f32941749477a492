"""The virtual clock: each call at its own time, in order, and cheap when thousands are pending."""

from __future__ import annotations

from random import Random

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock, LoopingCall, deferLater
from zope.interface.verify import verifyObject

from tests.support.clock import SimClock, run_for, run_until


@pytest.fixture(params=[Clock, SimClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    clock: Clock = request.param()
    return clock


def test_the_clock_is_one_to_twisted() -> None:
    assert verifyObject(IReactorTime, SimClock())


def test_each_call_runs_at_its_own_time_and_not_at_the_end_of_the_step(clock: Clock) -> None:
    """Trap 7: Clock.advance(5) runs a call due at 1 s at time 5."""
    times: list[float] = []
    for delay in (3.0, 1.0, 2.5):
        clock.callLater(delay, lambda: times.append(clock.seconds()))
    run_for(clock, 5.0)
    assert times == [1.0, 2.5, 3.0]
    assert clock.seconds() == 5.0


def test_advancing_the_virtual_clock_steps_by_itself() -> None:
    clock = SimClock(start=100.0)
    times: list[float] = []
    clock.callLater(1.0, lambda: clock.callLater(1.0, lambda: times.append(clock.seconds())))
    clock.advance(5.0)
    assert times == [102.0]
    assert clock.seconds() == 105.0


def test_run_until_stops_at_the_result(clock: Clock) -> None:
    clock.callLater(7.0, lambda: None)
    assert run_until(clock, deferLater(clock, 2.0, lambda: "done"), limit=10.0) == "done"
    assert clock.seconds() == 2.0


def test_run_until_takes_a_coroutine_and_raises_what_it_raises(clock: Clock) -> None:
    async def fail_later() -> None:
        await deferLater(clock, 1.0)
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        run_until(clock, fail_later(), limit=10.0)


@pytest.mark.parametrize("delay", [None, 30.0])
def test_run_until_says_what_it_was_still_waiting_for(clock: Clock, delay: float | None) -> None:
    never: Deferred[None] = Deferred()
    if delay is not None:
        clock.callLater(delay, never.callback, None)
    with pytest.raises(AssertionError, match="still waiting"):
        run_until(clock, never, limit=10.0)
    assert clock.seconds() <= 10.0


def test_time_that_stands_still_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.clock.MAX_CALLS_AT_ONE_INSTANT", 1_000)
    clock = SimClock()

    def again() -> None:
        clock.callLater(0, again)

    again()
    with pytest.raises(AssertionError, match="time stands still"):
        run_for(clock, 1.0)


def test_calls_of_the_same_instant_keep_their_order() -> None:
    clock = SimClock()
    made: list[int] = []
    for number in range(20):
        clock.callLater(1.0, made.append, number)
    clock.advance(1.0)
    assert made == list(range(20))


def test_any_mix_of_calls_behaves_as_on_twisteds_clock() -> None:
    """Set, cancelled, put off and brought forward: both clocks make the same calls at the same times."""

    def history(clock: Clock, seed: int) -> list[tuple[float, int]]:
        random = Random(seed)
        made: list[tuple[float, int]] = []
        calls: list[IDelayedCall] = []
        for number in range(60):
            # Distinct binary fractions, so that no two fall together and none is rounded.
            delay = (random.randrange(4_000) * 64 + number) / 4_096
            calls.append(clock.callLater(delay, lambda n=number: made.append((clock.seconds(), n))))
        for _change in range(60):
            call = random.choice(calls)
            if call.active():
                seconds = (random.randrange(4_000) * 64 + random.randrange(64)) / 4_096
                if random.random() < 0.25:
                    call.cancel()
                else:
                    random.choice([call.reset, call.delay])(seconds)
            run_for(clock, random.randrange(1_024) / 4_096)
        assert sorted(call.getTime() for call in clock.getDelayedCalls()) == sorted(
            call.getTime() for call in calls if call.active()
        )
        run_for(clock, 1_000.0)
        return sorted(made)

    for seed in range(40):
        expected = history(Clock(), seed)
        assert expected
        assert history(SimClock(), seed) == expected


def test_a_looping_call_loops() -> None:
    clock = SimClock()
    times: list[float] = []
    loop = LoopingCall(lambda: times.append(clock.seconds()))
    loop.clock = clock
    loop.start(0.5)
    clock.advance(2.0)
    loop.stop()
    assert times == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert clock.getDelayedCalls() == []
