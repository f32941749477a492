"""Lanes order and merge blocking calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, cast

import pytest
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from peer.blocking import Lane, Stopped
from tests.support.clock import SimClock, run_until
from tests.support.executor import ClockExecutor


@define
class Disk:
    """Remembers the calls made to it, as the storage would get them."""

    calls: list[list[str]] = field(factory=list)

    def put(self, items: list[str]) -> list[str]:
        self.calls.append(["put", *items])
        return [f"{item} is put" for item in items]

    def delete(self, items: list[str]) -> list[str]:
        self.calls.append(["delete", *items])
        return [f"{item} is deleted" for item in items]

    def refuse(self, items: list[str]) -> list[str]:
        raise OSError(f"no room for {len(items)}")

    def forget_one(self, items: list[str]) -> list[str]:
        return items[1:]

    def usage(self, unit: str, *, factor: int = 1) -> str:
        self.calls.append(["usage"])
        return f"{7 * factor} {unit}"


class World:
    """One lane on a virtual executor, and the disk that its calls reach."""

    def __init__(self, **options: Any) -> None:
        self.clock = SimClock()
        self.executor = ClockExecutor(clock=self.clock, random=Random(1))
        self.lane = Lane(self.executor, "disk", **options)
        self.disk = Disk()

    def results(self, *answers: Deferred[str]) -> list[str]:
        return run_until(self.clock, gatherResults(answers, consumeErrors=True), limit=1.0)


class Group:
    """Calls, and what they are made in: tells the story of both."""

    def __init__(self, *, fails: bool = False) -> None:
        self.story: list[str] = []
        self._fails = fails

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.story.append("begin")
        begun = len(self.story)
        yield
        if self._fails:
            raise OSError(f"no room for {len(self.story) - begun}")
        self.story.append("end")

    def note(self, name: str) -> str:
        self.story.append(name)
        return name

    def tell(self, name: str) -> str:
        self.story.append(f"{name} is told")
        return name


def error_of(clock: SimClock, answer: Deferred[Any], kind: type[Exception]) -> str:
    with pytest.raises(kind) as caught:
        run_until(clock, answer, limit=1.0)
    return str(caught.value)


def test_what_gathers_while_a_call_runs_goes_with_the_next_one() -> None:
    world = World()
    answers = [world.lane.submit(world.disk.put, item) for item in "abcd"]

    assert world.results(*answers) == ["a is put", "b is put", "c is put", "d is put"]
    assert world.disk.calls == [["put", "a"], ["put", "b", "c", "d"]]


def test_only_neighbours_of_the_same_call_merge_and_the_order_stays() -> None:
    world = World()
    put, delete = world.disk.put, world.disk.delete
    sequence: list[tuple[Callable[[list[str]], list[str]], str]] = [
        (put, "a"), (put, "b"), (put, "c"), (delete, "b"), (delete, "c"), (put, "b"),
    ]  # fmt: skip
    world.results(*[world.lane.submit(call, item) for call, item in sequence])

    assert world.disk.calls == [["put", "a"], ["put", "b", "c"], ["delete", "b", "c"], ["put", "b"]]


def test_the_same_method_of_another_object_is_another_call() -> None:
    world, other = World(), Disk()
    other.calls.append(["not the same disk"])
    world.results(
        world.lane.submit(world.disk.put, "a"),
        world.lane.submit(world.disk.put, "b"),
        world.lane.submit(other.put, "c"),
    )

    assert world.disk.calls == [["put", "a"], ["put", "b"]]
    assert other.calls[1:] == [["put", "c"]]


def test_a_run_takes_its_turn_among_the_batches() -> None:
    world = World()
    answers = [
        world.lane.submit(world.disk.put, "a"),
        world.lane.submit(world.disk.put, "b"),
        world.lane.run(world.disk.usage, "KByte", factor=2),
        world.lane.submit(world.disk.put, "c"),
    ]

    assert world.results(*answers) == ["a is put", "b is put", "14 KByte", "c is put"]
    assert world.disk.calls == [["put", "a"], ["put", "b"], ["usage"], ["put", "c"]]


def test_a_batch_is_bounded_by_items_and_by_bytes() -> None:
    world = World(max_batch_items=3, max_batch_bytes=10, item_bytes=len)
    items = ["first", "1", "2", "3", "4", "12345678", "a far too large one", "5"]
    world.results(*[world.lane.submit(world.disk.put, item) for item in items])

    assert world.disk.calls == [
        ["put", "first"],
        ["put", "1", "2", "3"],
        ["put", "4", "12345678"],
        ["put", "a far too large one"],
        ["put", "5"],
    ]


def test_what_a_batch_call_raises_reaches_each_of_its_items_and_no_other() -> None:
    world = World()
    first, second = (world.lane.submit(world.disk.put, item) for item in "ab")
    refused = [world.lane.submit(world.disk.refuse, item) for item in "cd"]
    last = world.lane.submit(world.disk.put, "e")

    assert [error_of(world.clock, answer, OSError) for answer in refused] == ["no room for 2"] * 2
    assert world.results(first, second, last) == ["a is put", "b is put", "e is put"]


def test_a_call_that_forgets_an_item_answers_nobody_with_anothers_result() -> None:
    world = World()
    world.lane.submit(world.disk.put, "a")
    answers = [world.lane.submit(world.disk.forget_one, item) for item in "bc"]

    for answer in answers:
        assert "one result for each of 2 items" in error_of(world.clock, answer, ValueError)


class TestCallsMadeTogether:
    """SPEC.md 9.9: what a lane's calls have done is told when what they are made in has ended."""

    def test_those_that_gather_are_made_in_one_and_told_after_its_end(self) -> None:
        group = Group()
        world = World(max_calls_together=9, together=group)
        answers = [world.lane.run(group.note, name).addCallback(group.tell) for name in ("a", "b", "c", "d")]

        world.results(*answers)
        assert group.story == [
            "a", "a is told", "begin", "b", "c", "d", "end", "b is told", "c is told", "d is told"
        ]  # fmt: skip

    def test_one_that_raises_fails_alone(self) -> None:
        group = Group()
        world = World(max_calls_together=9, together=group)
        first, second, third = (world.lane.run(group.note, name) for name in ("a", "b", "c"))
        refused = world.lane.run(world.disk.refuse, ["d"])
        last = world.lane.run(group.note, "e")

        assert error_of(world.clock, refused, OSError) == "no room for 1"
        assert world.results(first, second, third, last) == ["a", "b", "c", "e"]

    def test_all_of_them_fail_if_it_cannot_end(self) -> None:
        group = Group(fails=True)
        world = World(max_calls_together=9, together=group)
        alone, *together = (world.lane.run(group.note, name) for name in ("a", "b", "c"))

        assert [error_of(world.clock, answer, OSError) for answer in together] == ["no room for 2"] * 2
        assert world.results(alone) == ["a"]

    def test_a_cancelled_one_is_not_made(self) -> None:
        group = Group()
        world = World(max_calls_together=9, together=group)
        answers = [world.lane.run(group.note, name) for name in ("a", "b", "c", "d")]
        answers.pop(2).cancel()

        assert world.results(*answers) == ["a", "b", "d"]
        assert group.story == ["a", "begin", "b", "d", "end"]

    def test_one_alone_is_made_as_it_is(self) -> None:
        group = Group()
        world = World(max_calls_together=9, together=group)

        assert world.results(world.lane.run(group.note, "a")) == ["a"]
        assert group.story == ["a"]

    def test_they_are_bounded_and_keep_their_turn_among_the_batches(self) -> None:
        group = Group()
        world = World(max_calls_together=2, together=group)
        answers = [world.lane.run(group.note, name) for name in ("a", "b", "c", "d")]
        answers += [world.lane.submit(world.disk.put, "e"), world.lane.run(group.note, "f")]

        world.results(*answers)
        assert group.story == ["a", "begin", "b", "c", "end", "d", "f"]
        assert world.disk.calls == [["put", "e"]]


def test_the_lane_knows_how_much_waits_in_it() -> None:
    world = World(item_bytes=len)
    for item in ("12345", "678"):
        world.lane.submit(world.disk.put, item)
    world.lane.run(world.disk.usage, "KByte")
    assert (world.lane.queued_items, world.lane.queued_bytes) == (3, 8)

    run_until(world.clock, world.lane.drained(), limit=1.0)
    assert (world.lane.queued_items, world.lane.queued_bytes) == (0, 0)


def test_a_cancelled_item_leaves_the_queue_and_its_neighbours_merge() -> None:
    world = World(item_bytes=len)
    answers = {item: world.lane.submit(world.disk.put, item) for item in "abd"}
    unwanted = world.lane.submit(world.disk.delete, "c")
    answers["e"] = world.lane.submit(world.disk.put, "e")
    unwanted.cancel()

    assert (world.lane.queued_items, world.lane.queued_bytes) == (4, 4)
    error_of(world.clock, unwanted, CancelledError)
    world.results(*answers.values())
    assert world.disk.calls == [["put", "a"], ["put", "b", "d", "e"]]


def test_cancelling_what_runs_drops_the_result_and_disturbs_nobody() -> None:
    world = World(item_bytes=len)
    running = world.lane.submit(world.disk.put, "a")
    following = world.lane.submit(world.disk.put, "b")
    running.cancel()

    error_of(world.clock, running, CancelledError)
    assert world.results(following) == ["b is put"]
    assert world.disk.calls == [["put", "a"], ["put", "b"]]
    assert (world.lane.queued_items, world.lane.queued_bytes) == (0, 0)


def test_an_answer_may_cancel_another_of_its_batch() -> None:
    world = World(item_bytes=len)
    world.lane.submit(world.disk.put, "a")
    first = world.lane.submit(world.disk.put, "b")
    second = world.lane.submit(world.disk.put, "c")
    first.addCallback(lambda _put: second.cancel())

    error_of(world.clock, second, CancelledError)
    assert (world.lane.queued_items, world.lane.queued_bytes) == (0, 0)


def test_the_next_call_has_begun_when_the_answers_of_the_last_are_told() -> None:
    world = World()
    begun: list[int] = []
    first = world.lane.submit(world.disk.put, "a")
    world.lane.submit(world.disk.put, "b")
    first.addCallback(lambda _put: begun.append(len(world.clock.calls)))

    run_until(world.clock, first, limit=1.0)
    assert begun == [1]


def test_a_lane_is_drained_only_after_the_last_answer_has_been_told() -> None:
    world = World()
    told: list[str] = []
    for item in "abc":
        world.lane.submit(world.disk.put, item).addCallback(told.append)
    drained = world.lane.drained()
    drained.addCallback(lambda _none: told.append("drained"))

    run_until(world.clock, drained, limit=1.0)
    assert told == ["a is put", "b is put", "c is put", "drained"]
    assert world.lane.drained().called


def test_a_stopped_lane_does_what_it_has_taken_and_refuses_the_rest() -> None:
    world = World()
    taken = [world.lane.submit(world.disk.put, item) for item in "abc"]
    stopped = world.lane.stop()

    error_of(world.clock, world.lane.submit(world.disk.put, "d"), Stopped)
    error_of(world.clock, world.lane.run(world.disk.usage, "KByte"), Stopped)
    run_until(world.clock, stopped, limit=1.0)
    assert world.results(*taken) == ["a is put", "b is put", "c is put"]
    assert world.disk.calls == [["put", "a"], ["put", "b", "c"]]


def test_what_is_handed_in_is_told_to_a_function_with_what_belongs_to_it() -> None:
    world = World()
    told: list[tuple[Any, ...]] = []

    def note(*all_of_it: Any) -> None:
        told.append(all_of_it)

    world.lane.hand_in(world.disk.put, "a", note)
    world.lane.hand_in(world.disk.put, "b", note, "from", 7)
    world.lane.submit(world.disk.put, "c").addCallback(note)

    run_until(world.clock, world.lane.drained(), limit=1.0)
    assert told == [("a is put",), ("b is put", "from", 7), ("c is put",)]
    assert world.disk.calls == [["put", "a"], ["put", "b", "c"]]


def test_what_is_handed_in_is_told_why_nothing_came_of_it() -> None:
    world = World()
    told: list[Failure] = []
    world.lane.hand_in(world.disk.refuse, "a", told.append)
    run_until(world.clock, world.lane.stop(), limit=1.0)

    world.lane.hand_in(world.disk.put, "b", told.append)
    assert [failure.type for failure in told] == [OSError, Stopped]
    assert world.disk.calls == []


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(1)])
def test_one_who_fails_when_he_is_told_keeps_nobody_else_from_being_told(error: BaseException) -> None:
    world = World()
    told: list[str] = []
    logged: list[LogEvent] = []
    observer = cast(ILogObserver, logged.append)

    def fail(_outcome: object) -> None:
        raise error

    world.lane.hand_in(world.disk.put, "a", fail)
    world.lane.hand_in(world.disk.put, "b", fail)
    world.lane.hand_in(world.disk.put, "c", told.append)
    globalLogPublisher.addObserver(observer)
    try:
        run_until(world.clock, world.lane.stop(), limit=1.0)
        world.lane.hand_in(world.disk.put, "d", fail)
    finally:
        globalLogPublisher.removeObserver(observer)

    assert told == ["c is put"]
    assert [event["log_failure"].value for event in logged] == [error] * 3


def test_a_lane_outlives_a_stopped_executor() -> None:
    world = World()
    run_until(world.clock, world.executor.stop(), limit=1.0)

    error_of(world.clock, world.lane.submit(world.disk.put, "a"), Stopped)
    assert world.lane.queued_items == 0
