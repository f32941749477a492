"""Datagrams become messages or counted drops, and no datagram stops the listening (SPEC.md section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher

from peer.channel import Channel
from peer.config import DEFAULT_GROUPS, GroupAddress, Groups
from peer.metrics import Counters
from peer.network import IGroupNetwork
from protocol.codec import serialize
from protocol.errors import DropReason
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import VERSION_1_0, Edition, FileId, PeerId
from tests.support.clock import SimClock
from tests.support.lan import Datagram, MemoryLan

FILE = FileId(bytes(range(32)))
US, OTHER = PeerId(7), PeerId(8)


def _messages(sender: PeerId) -> list[Message]:
    return [
        PutChunk(VERSION_1_0, sender, FILE, 3, 2, b"body"),
        Stored(VERSION_1_0, sender, FILE, 3),
        GetChunk(VERSION_1_0, sender, FILE, 3),
        Chunk(VERSION_1_0, sender, FILE, 3, b"body"),
        Delete(VERSION_1_0, sender, FILE),
        Removed(VERSION_1_0, sender, FILE, 3),
    ]


class World:
    """One channel of peer 7 on a LAN, and a stranger who can send any bytes."""

    def __init__(self, groups: Groups = DEFAULT_GROUPS, edition: Edition = Edition.TYPE_FIRST) -> None:
        self.clock = SimClock()
        self.lan = MemoryLan(clock=self.clock, random=Random(1))
        self.seen: list[Datagram] = []
        self.lan.tap(self.seen.append)
        self.groups = groups
        self.counters = Counters()
        self.received: list[Message] = []
        self.fails_on: tuple[type[Message], ...] = ()
        self.stranger: IGroupNetwork = self.lan.network("10.0.0.9")
        self.channel = Channel(
            network=self.lan.network("10.0.0.1"),
            groups=groups,
            peer_id=US,
            edition=edition,
            clock=self.clock,
            counters=self.counters,
        )
        self.channel.start(self.receive)

    def receive(self, message: Message) -> None:
        if isinstance(message, self.fails_on):
            raise KeyError("a mistake of ours")
        self.received.append(message)

    def send_bytes(self, datagram: bytes, group: GroupAddress | None = None) -> None:
        self.stranger.send(group or self.groups.mc, datagram)
        self.clock.advance(0.01)


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_namespace") == "peer.channel.Channel":
            events.append(event)

    globalLogPublisher.addObserver(cast(ILogObserver, observe))
    yield events
    globalLogPublisher.removeObserver(cast(ILogObserver, observe))


@pytest.mark.parametrize("edition", Edition)
def test_each_type_goes_to_its_group_in_the_edition_that_was_set(edition: Edition) -> None:
    """SPEC.md section 2."""
    world = World(edition=edition)
    for message in _messages(US):
        world.channel.send(message)

    mc, mdb, mdr = world.groups.mc, world.groups.mdb, world.groups.mdr
    assert [datagram.group for datagram in world.seen] == [mdb, mc, mc, mdr, mc, mc]
    assert [datagram.payload for datagram in world.seen] == [serialize(m, edition) for m in _messages(US)]
    assert world.counters.messages_sent == dict.fromkeys(
        ["PUTCHUNK", "STORED", "GETCHUNK", "CHUNK", "DELETE", "REMOVED"], 1
    )
    assert world.counters.bytes_sent["CHUNK"] == len(serialize(_messages(US)[3], edition))


@pytest.mark.parametrize("name", ["mc", "mdb", "mdr"])
@pytest.mark.parametrize("edition", Edition)
def test_a_message_is_told_by_its_type_whatever_group_and_edition_it_came_in(
    name: str, edition: Edition
) -> None:
    """SPEC.md section 12: one family sends GETCHUNK on MDB or MDR, others CHUNK and PUTCHUNK on MC."""
    world = World()
    for message in _messages(OTHER):
        world.send_bytes(serialize(message, edition), getattr(world.groups, name))
    assert world.received == _messages(OTHER)
    assert world.counters.messages_received["STORED"] == 1
    assert world.counters.bytes_received["STORED"] == len(serialize(_messages(OTHER)[1], edition))


def test_own_echoes_are_dropped_and_counted() -> None:
    """SPEC.md 2.11."""
    world = World()
    for message in _messages(US):
        world.channel.send(message)
    world.clock.advance(0.01)
    assert world.received == []
    assert world.counters.events["own_echo"] == 6
    assert world.counters.messages_received == {}


def test_another_peer_with_our_id_is_reported_loudly_and_heard_all_the_same(logged: list[LogEvent]) -> None:
    """SPEC.md 2.12."""
    world = World()
    for message in _messages(US):
        world.send_bytes(serialize(message))

    assert world.received == _messages(US)
    assert world.counters.events["own_id_used_by_others"] == 6
    [event] = logged
    assert event["log_level"] is LogLevel.error
    assert "10.0.0.9:32768 sends a PUTCHUNK with our id 7" in formatEvent(event)


def test_three_names_of_one_group_hear_each_datagram_once() -> None:
    group = DEFAULT_GROUPS.mc
    world = World(groups=Groups(mc=group, mdb=GroupAddress(group.host, group.port), mdr=group))
    for message in _messages(OTHER):
        world.send_bytes(serialize(message))
        world.channel.send(message)
    world.clock.advance(0.01)
    assert world.received == _messages(OTHER)


def test_a_drop_is_counted_by_its_reason_and_logged_once_a_minute(logged: list[LogEvent]) -> None:
    """SPEC.md 2.18."""
    world = World()
    for _time in range(50):
        world.send_bytes(b"")
        world.send_bytes(b"ONLINE 1.1 9 \r\n\r\n")
    assert world.counters.dropped == {DropReason.EMPTY: 50, DropReason.UNKNOWN_TYPE: 50}
    assert [formatEvent(event) for event in logged] == [
        "a datagram from 10.0.0.9:32768 was dropped: empty: a datagram of no bytes",
        "a datagram from 10.0.0.9:32768 was dropped: unknown-type: b'ONLINE'",
    ]
    world.clock.advance(60.0)
    world.send_bytes(b"")
    assert len(logged) == 3
    assert world.received == []


def test_a_message_that_its_receiver_fails_on_does_not_stop_the_next(logged: list[LogEvent]) -> None:
    """SPEC.md 2.15."""
    world = World()
    world.fails_on = (Stored,)
    stored, get_chunk = _messages(OTHER)[1:3]
    for _time in range(10):
        world.send_bytes(serialize(stored))
    world.send_bytes(serialize(get_chunk))

    assert world.received == [get_chunk]
    assert world.counters.events["receiver_failed"] == 10
    [event] = logged
    assert event["log_level"] is LogLevel.critical
    assert "a STORED could not be answered" in formatEvent(event)


def test_a_stopped_channel_hears_and_says_nothing() -> None:
    world = World()
    world.stranger.send(world.groups.mc, serialize(_messages(OTHER)[1]))
    world.channel.stop()
    world.clock.advance(0.01)
    world.channel.send(_messages(US)[1])
    assert world.received == []
    assert len(world.seen) == 1


@given(datagrams=st.lists(st.binary(max_size=300), max_size=20))
def test_no_bytes_at_all_stop_a_listener(datagrams: list[bytes]) -> None:
    """SPEC.md 2.15."""
    world = World()
    for datagram in datagrams:
        world.send_bytes(datagram)
    world.send_bytes(serialize(_messages(OTHER)[1]))
    assert world.received[-1:] == [_messages(OTHER)[1]]
    assert world.counters.dropped.total() + len(world.received) == len(datagrams) + 1
