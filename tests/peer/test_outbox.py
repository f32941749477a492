"""Datagrams with bodies leave in their turn, at their pace, and made when their turn has come (SPEC.md 3.14)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import frozen
from twisted.internet.defer import Deferred

from peer.outbox import READ_AHEAD, SOON, Outbox
from protocol.messages import Chunk
from protocol.pacing import Pacer
from protocol.values import VERSION_1_0, FileId, PeerId
from tests.support.clock import SimClock

FILE = FileId(bytes(32))
SIZE = 1_000
RATE = 10_000.0
"""Bytes a second: ten of these messages."""


Make = Callable[[], Chunk | Deferred[Chunk | None] | None]


def message(number: int) -> Chunk:
    return Chunk(VERSION_1_0, PeerId(1), FILE, number, bytes(SIZE))


class World:
    """An outbox with a burst of two messages, and what it has sent at which time."""

    def __init__(self, *other_paces: Pacer) -> None:
        self.clock = SimClock()
        self.sent: list[tuple[float, int]] = []
        self.made: list[int] = []
        self.outbox = Outbox(clock=self.clock, pacers=[Pacer(RATE, 2.0 * SIZE), *other_paces])

    def enqueue(self, number: int) -> None:
        def make() -> Chunk:
            self.made.append(number)
            return message(number)

        self.enqueue_made_by(make)

    def enqueue_made_by(self, make: Make) -> None:
        self.outbox.enqueue(OneMessage(self, make))

    @property
    def numbers(self) -> list[int]:
        return [number for _, number in self.sent]


@frozen
class OneMessage:
    """A Sending."""

    world: World
    maker: Make
    cost: int = SIZE

    def make(self) -> Chunk | Deferred[Chunk | None] | None:
        return self.maker()

    def send(self, made: Chunk) -> None:
        self.world.sent.append((round(self.world.clock.seconds(), 6), made.chunk_no))


def test_a_burst_leaves_at_once_and_the_rest_at_the_pace() -> None:
    world = World()
    for number in range(5):
        world.enqueue(number)
    world.clock.advance(10.0)
    assert world.sent == [(0.0, 0), (0.0, 1), (0.1, 2), (0.2, 3), (0.3, 4)]


def test_after_a_pause_there_is_a_burst_again() -> None:
    world = World()
    for number in range(3):
        world.enqueue(number)
    world.clock.advance(10.0)
    for number in range(3):
        world.enqueue(number)
    world.clock.advance(10.0)
    assert [time for time, _ in world.sent] == [0.0, 0.0, 0.1, 10.0, 10.0, 10.1]


def test_every_pace_is_kept() -> None:
    """SPEC.md 3.14, 7.1: that of the flow control, and that of the user."""
    world = World(Pacer(RATE / 10.0, SIZE))
    for number in range(3):
        world.enqueue(number)
    world.clock.advance(10.0)
    assert world.sent == [(0.0, 0), (1.0, 1), (2.0, 2)]


def test_what_has_to_wait_for_less_than_a_timer_is_worth_leaves_at_once() -> None:
    world = World()
    world.enqueue(0)
    world.enqueue(1)
    world.clock.advance(0.1 - 0.5 * SOON)
    world.enqueue(2)
    world.enqueue(3)
    assert world.numbers == [0, 1, 2]
    world.clock.advance(10.0)
    assert world.sent[3] == (0.2, 3)


def test_only_the_next_messages_are_made_before_their_turn() -> None:
    """What waits costs no memory for bodies."""
    world = World()
    for number in range(100):
        world.enqueue(number)
    assert world.made == [0, 1, 2]
    world.clock.advance(0.15)
    assert world.made == list(range(3 + READ_AHEAD))


def test_some_are_made_at_once_and_leave_in_their_order() -> None:
    """A disk answers late, and many at a time."""
    world = World()
    bodies = [Deferred[Chunk | None]() for _ in range(READ_AHEAD)]
    for body in bodies:
        world.enqueue_made_by(lambda body=body: body)  # type: ignore[misc]
    for number, body in reversed(list(enumerate(bodies))):
        assert world.sent == []
        body.callback(message(number))
    world.clock.advance(10.0)
    assert world.numbers == list(range(READ_AHEAD))


def test_one_that_takes_long_to_make_does_not_lose_its_turn() -> None:
    world = World()
    slow: Deferred[Chunk | None] = Deferred()
    world.enqueue_made_by(lambda: slow)
    world.enqueue(2)
    world.clock.advance(1.0)
    assert world.sent == []
    slow.callback(message(1))
    assert world.numbers == [1, 2]


def test_one_that_is_no_longer_wanted_takes_neither_turn_nor_pace() -> None:
    world = World()

    for _unwanted in range(10):
        world.enqueue_made_by(lambda: None)
    world.enqueue(1)
    assert world.sent == [(0.0, 1)]


def test_one_that_cannot_be_made_does_not_keep_the_others() -> None:
    world = World()

    async def impossible() -> Chunk | None:
        raise KeyError("a mistake of ours")

    world.enqueue_made_by(lambda: Deferred.fromCoroutine(impossible()))
    world.enqueue(1)
    assert world.numbers == [1]


def test_what_is_enqueued_while_another_is_made_waits_for_its_turn() -> None:
    world = World()

    def make_and_enqueue() -> Chunk:
        world.enqueue(2)
        return message(1)

    world.enqueue_made_by(make_and_enqueue)
    assert world.numbers == [1, 2]


@pytest.mark.parametrize("waits_for", ["its pace", "its body"])
def test_after_a_stop_nothing_is_sent_and_nothing_is_left_to_do(waits_for: str) -> None:
    world = World()
    slow: Deferred[Chunk | None] = Deferred()
    if waits_for == "its pace":
        for number in range(5):
            world.enqueue(number)
        assert len(world.sent) == 2
    else:
        world.enqueue_made_by(lambda: slow)
    sent = list(world.sent)
    world.outbox.stop()
    world.enqueue(7)
    assert world.clock.getDelayedCalls() == []
    world.clock.advance(10.0)
    assert world.sent == sent
