"""Executors run blocking calls, in threads and in virtual time alike."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from threading import Event, current_thread, main_thread
from typing import Any
from weakref import finalize

import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, gatherResults
from twisted.internet.interfaces import IReactorFromThreads
from zope.interface.verify import verifyObject

from peer.blocking import IExecutor, Stopped, ThreadExecutor
from tests.support.clock import SimClock, run_until
from tests.support.executor import ClockExecutor
from tests.support.in_reactor import in_reactor

Story = Callable[[IExecutor], Coroutine[Any, Any, None]]


@asynccontextmanager
async def threads() -> AsyncIterator[ThreadExecutor]:
    """Real ones, which would keep the tests from ending if they were left."""
    executor = ThreadExecutor(reactor=IReactorFromThreads(reactor))
    try:
        yield executor
    finally:
        await executor.stop()


async def it_provides_the_interface(executor: IExecutor) -> None:
    assert verifyObject(IExecutor, executor)


async def a_call_gives_its_result_or_what_it_raised(executor: IExecutor) -> None:
    assert await executor.run("disk", divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await executor.run("disk", divmod, 7, 0)


async def no_result_is_there_before_the_caller_has_gone_on(executor: IExecutor) -> None:
    answer = executor.run("disk", str, 1)
    assert not answer.called
    assert await answer == "1"


async def calls_of_a_lane_keep_their_order(executor: IExecutor) -> None:
    made: list[int] = []
    await gatherResults([executor.run("disk", made.append, number) for number in range(50)])
    assert made == list(range(50))


async def stopping_waits_for_every_result_and_then_refuses(executor: IExecutor) -> None:
    told: list[int] = []
    for lane in ("disk", "catalog"):
        for number in range(3):
            executor.run(lane, int, number).addCallback(told.append)
    await executor.stop()

    assert sorted(told) == [0, 0, 1, 1, 2, 2]
    with pytest.raises(Stopped):
        await executor.run("disk", int, 1)
    await executor.stop()


async def a_cancelled_call_is_still_waited_for(executor: IExecutor) -> None:
    made: list[int] = []
    answer = executor.run("disk", made.append, 1)
    answer.addErrback(lambda failure: failure.trap(CancelledError))
    answer.cancel()
    await executor.stop()
    assert made == [1]


EXECUTOR_CONTRACT: list[Story] = [
    it_provides_the_interface,
    a_call_gives_its_result_or_what_it_raised,
    no_result_is_there_before_the_caller_has_gone_on,
    calls_of_a_lane_keep_their_order,
    stopping_waits_for_every_result_and_then_refuses,
    a_cancelled_call_is_still_waited_for,
]


@pytest.mark.parametrize("story", EXECUTOR_CONTRACT, ids=lambda story: story.__name__)
def test_the_virtual_executor_keeps_the_contract(story: Story) -> None:
    clock = SimClock()
    run_until(clock, story(ClockExecutor(clock=clock, random=Random(3))), limit=2.0)


@pytest.mark.parametrize("story", EXECUTOR_CONTRACT, ids=lambda story: story.__name__)
@in_reactor
async def test_the_threads_keep_the_contract(story: Story) -> None:
    async with threads() as executor:
        await story(executor)


def test_the_same_seed_takes_the_same_time() -> None:
    times = []
    for _again in range(2):
        clock = SimClock()
        executor = ClockExecutor(clock=clock, random=Random(9), max_delay=0.01)
        run_until(clock, gatherResults([executor.run("disk", int) for _call in range(20)]), limit=1.0)
        times.append(clock.seconds())
    assert times[0] == times[1]
    assert 0.0 < times[0] < 0.2


def test_virtual_lanes_run_at_the_same_time() -> None:
    clock = SimClock()
    executor = ClockExecutor(clock=clock, random=Random(3), max_delay=0.01)
    run_until(clock, gatherResults([executor.run(f"lane {n}", int) for n in range(50)]), limit=1.0)
    assert clock.seconds() <= 0.01


def test_after_a_crash_nothing_more_is_done_or_told() -> None:
    """What was done without being told is the case that durability has to get right."""
    outcomes = set()
    for seed in range(30):
        clock = SimClock()
        executor = ClockExecutor(clock=clock, random=Random(seed), max_delay=0.01)
        made: list[str] = []
        answer = executor.run("disk", made.append, "first")
        executor.run("disk", made.append, "second")
        clock.advance(0.004)
        executor.crash()
        state = (tuple(made), answer.called)
        clock.advance(1.0)
        assert (tuple(made), answer.called) == state
        outcomes.add(state)
    assert {((), False), (("first",), False), (("first",), True)} <= outcomes


@in_reactor
async def test_calls_run_in_one_thread_a_lane_and_never_in_the_reactors() -> None:
    async with threads() as executor:
        disk, again, catalog = [
            await executor.run(lane, current_thread) for lane in ("disk", "disk", "catalog")
        ]
        assert disk is again
        assert len({disk, catalog, main_thread()}) == 3

    assert not disk.is_alive()
    assert not catalog.is_alive()


@in_reactor
async def test_a_call_that_asks_its_thread_to_end_ends_nothing() -> None:
    async with threads() as executor:
        with pytest.raises(SystemExit):
            await executor.run("disk", sys.exit, 1)
        assert await executor.run("disk", str, 1) == "1"


@in_reactor
async def test_an_idle_thread_keeps_nothing_of_what_it_was_given_or_gave() -> None:
    async with threads() as executor:
        body = _Body()
        are_gone = [_gone(body), _gone(await executor.run("disk", lambda _body: _Body(), body))]
        del body
        # The thread lets go a moment after it has told.
        assert await executor.run("other", lambda: [is_gone.wait(5.0) for is_gone in are_gone]) == [
            True,
            True,
        ]


class _Body:
    """A chunk's bytes can't be asked whether they are still there."""


def _gone(body: _Body) -> Event:
    """Is set when nobody refers to it any more."""
    is_gone = Event()
    finalize(body, is_gone.set)
    return is_gone
