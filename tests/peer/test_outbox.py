"""Datagrams with bodies leave in their turn, at their pace, and made when their turn has come (SPEC.md 3.14)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from twisted.internet.defer import Deferred

from peer.outbox import Outbox
from protocol.messages import Chunk, Message
from protocol.pacing import Pacer
from protocol.values import VERSION_1_0, FileId, PeerId
from tests.support.clock import SimClock

FILE = FileId(bytes(32))
SIZE = 1_000
RATE = 10_000.0
"""Bytes a second: ten of these messages."""


def message(number: int) -> Chunk:
    return Chunk(VERSION_1_0, PeerId(1), FILE, number, bytes(SIZE))


class World:
    """An outbox with a burst of two messages, and what it has sent at which time."""

    def __init__(self) -> None:
        self.clock = SimClock()
        self.sent: list[tuple[float, int]] = []
        self.made: list[int] = []
        self.outbox = Outbox(clock=self.clock, pacer=Pacer(RATE, 2.0 * SIZE), send=self.send)

    def send(self, sent: Message) -> None:
        assert isinstance(sent, Chunk)
        self.sent.append((round(self.clock.seconds(), 6), sent.chunk_no))

    def enqueue(self, number: int) -> None:
        self.outbox.enqueue(self.maker(number))

    def maker(self, number: int) -> Callable[[], Awaitable[Chunk]]:
        async def make() -> Chunk:
            self.made.append(number)
            return message(number)

        return make

    @property
    def numbers(self) -> list[int]:
        return [number for _, number in self.sent]


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


def test_a_message_is_made_only_when_its_turn_has_come() -> None:
    """What waits costs no memory for bodies."""
    world = World()
    for number in range(5):
        world.enqueue(number)
    # One is made and waits for its pace.
    assert world.made == [0, 1, 2]
    world.clock.advance(0.15)
    assert world.made == [0, 1, 2, 3]


def test_one_that_takes_long_to_make_does_not_lose_its_turn() -> None:
    world = World()
    slow: Deferred[Chunk | None] = Deferred()
    world.outbox.enqueue(lambda: slow)
    world.enqueue(2)
    world.clock.advance(1.0)
    assert world.sent == []
    slow.callback(message(1))
    assert world.numbers == [1, 2]


def test_one_that_is_no_longer_wanted_takes_neither_turn_nor_pace() -> None:
    world = World()

    async def nothing() -> None:
        return None

    for _unwanted in range(10):
        world.outbox.enqueue(nothing)
    world.enqueue(1)
    assert world.sent == [(0.0, 1)]


def test_one_that_cannot_be_made_does_not_keep_the_others() -> None:
    world = World()

    async def impossible() -> Chunk:
        raise KeyError("a mistake of ours")

    world.outbox.enqueue(impossible)
    world.enqueue(1)
    assert world.numbers == [1]


def test_what_is_enqueued_while_another_is_made_waits_for_its_turn() -> None:
    world = World()

    async def make_and_enqueue() -> Chunk:
        world.enqueue(2)
        return message(1)

    world.outbox.enqueue(make_and_enqueue)
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
        world.outbox.enqueue(lambda: slow)
    sent = list(world.sent)
    world.outbox.stop()
    world.enqueue(7)
    assert world.clock.getDelayedCalls() == []
    world.clock.advance(10.0)
    assert world.sent == sent
