"""Waiting for one's turn, and for several at once."""

from __future__ import annotations

from functools import partial

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from peer.waiting import TaskGroup, Turnstile, to_its_end
from protocol.window import Window


def turnstile(places: int) -> Turnstile:
    return Turnstile(Window(places))


class TestTurnstile:
    def test_whoever_finds_room_goes_in_at_once(self) -> None:
        room = turnstile(2)
        assert [room.enter().called for _ in range(3)] == [True, True, False]

    def test_a_place_that_is_given_back_goes_to_the_one_that_has_waited_longest(self) -> None:
        room = turnstile(1)
        room.enter()
        order: list[int] = []
        for number in range(3):
            room.enter().addCallback(partial(_note, order, number))
        for served in range(1, 4):
            room.leave()
            assert order == list(range(served))

    def test_nobody_overtakes_those_who_wait(self) -> None:
        room = turnstile(1)
        room.enter()
        order: list[str] = []

        def come_again(_turn: None) -> None:
            order.append("first")
            room.enter().addCallback(lambda _turn: order.append("first again"))
            room.leave()

        room.enter().addCallback(come_again)
        room.enter().addCallback(lambda _turn: order.append("second"))
        room.leave()
        assert order == ["first", "second"]
        room.leave()
        assert order == ["first", "second", "first again"]

    def test_whoever_gives_up_is_passed_over(self) -> None:
        room = turnstile(1)
        room.enter()
        first, second = room.enter(), room.enter()
        first.addErrback(lambda failure: failure.trap(CancelledError))
        first.cancel()
        room.leave()
        assert second.called

    def test_more_places_given_back_than_taken_is_a_mistake(self) -> None:
        room = turnstile(1)
        with pytest.raises(RuntimeError):
            room.leave()


class TestToItsEnd:
    def test_it_is_what_the_task_comes_to(self) -> None:
        task: Deferred[int] = Deferred()
        came: list[int] = []
        Deferred.fromCoroutine(to_its_end(task)).addCallback(came.append)
        task.callback(7)
        assert came == [7]

    def test_it_raises_what_the_task_failed_with(self) -> None:
        task: Deferred[int] = Deferred()
        waiting = Deferred.fromCoroutine(to_its_end(task))
        task.errback(KeyError("the reason"))
        raised: list[type[BaseException] | None] = []
        waiting.addErrback(lambda failure: raised.append(failure.type))
        assert raised == [KeyError]

    @pytest.mark.parametrize("times", [1, 2, 3])
    def test_whoever_waits_is_not_called_off(self, times: int) -> None:
        task: Deferred[int] = Deferred()
        came: list[int] = []
        waiting = Deferred.fromCoroutine(to_its_end(task)).addCallback(came.append)
        for _ in range(times):
            waiting.cancel()
        task.callback(7)
        assert came == [7]


class TestTaskGroup:
    def test_all_are_waited_for(self) -> None:
        group = TaskGroup()
        tasks: list[Deferred[None]] = [Deferred() for _ in range(3)]
        for task in tasks:
            group.add(_until(task))
        joined = Deferred.fromCoroutine(group.join())
        for task in tasks:
            assert not joined.called
            task.callback(None)
        assert joined.called

    def test_those_that_are_added_meanwhile_are_waited_for_too(self) -> None:
        group = TaskGroup()
        first: Deferred[None] = Deferred()
        second: Deferred[None] = Deferred()

        async def one_after_another() -> None:
            await first
            group.add(_until(second))

        group.add(one_after_another())
        joined = Deferred.fromCoroutine(group.join())
        first.callback(None)
        assert not joined.called
        second.callback(None)
        assert joined.called

    def test_the_first_failure_cancels_the_others_and_fails_the_whole(self) -> None:
        group = TaskGroup()
        failing: Deferred[None] = Deferred()
        others: list[Deferred[None]] = [Deferred() for _ in range(2)]
        group.add(_until(others[0]))
        group.add(_until(failing))
        group.add(_until(others[1]))
        joined = Deferred.fromCoroutine(group.join())
        failing.errback(KeyError("the reason"))
        assert [other.called for other in others] == [True, True]
        raised: list[object] = []
        joined.addErrback(lambda failure: raised.append(failure.value))
        assert [type(error) for error in raised] == [KeyError]
        with pytest.raises(KeyError, match="the reason"):
            group.check()

    def test_what_is_added_after_a_failure_is_cancelled_at_once(self) -> None:
        group = TaskGroup()
        failing: Deferred[None] = Deferred()
        group.add(_until(failing))
        failing.errback(KeyError())
        late: Deferred[None] = Deferred()
        group.add(_until(late))
        assert late.called

    def test_what_has_no_deferred_is_waited_for_too(self) -> None:
        group = TaskGroup()
        task: Deferred[None] = Deferred()
        group.add(_until(task))
        group.began()
        joined = Deferred.fromCoroutine(group.join())
        task.callback(None)
        assert not joined.called
        group.ended()
        assert joined.called

    def test_what_has_no_deferred_fails_the_whole_and_is_waited_for_no_more(self) -> None:
        group = TaskGroup()
        task: Deferred[None] = Deferred()
        group.add(_until(task))
        for _ in range(2):
            group.began()
        joined = Deferred.fromCoroutine(group.join())
        group.ended(Failure(KeyError("the reason")))
        assert task.called
        raised: list[object] = []
        joined.addErrback(lambda failure: raised.append(failure.value))
        assert [type(error) for error in raised] == [KeyError]

    def test_a_cancelled_group_has_nothing_under_way(self) -> None:
        group = TaskGroup()
        tasks: list[Deferred[None]] = [Deferred() for _ in range(3)]
        for task in tasks:
            group.add(_until(task))
        group.cancel()
        assert all(task.called for task in tasks)

    def test_an_empty_group_is_done(self) -> None:
        group = TaskGroup()
        assert Deferred.fromCoroutine(group.join()).called
        group.check()


def _note(order: list[int], number: int, _turn: None) -> None:
    order.append(number)


async def _until(task: Deferred[None]) -> None:
    await task
