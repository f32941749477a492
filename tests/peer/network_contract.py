"""What every IGroupNetwork does, as stories that run on real sockets and on the network in memory."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface.verify import verifyObject

from peer.config import GroupAddress
from peer.network import IGroupNetwork, SourceAddress
from protocol.limits import MAX_DATAGRAM_BYTES


class World(Protocol):
    """A local network to open doors to, with groups that nobody else is in."""

    @property
    def clock(self) -> IReactorTime: ...

    @property
    def groups(self) -> list[GroupAddress]:
        """The first two have the same port and different addresses; the third has another port."""

    def open(self) -> IGroupNetwork: ...

    async def settle(self) -> None:
        """Go on when all that has been sent has arrived."""


class Ear:
    """Remembers what it was given."""

    def __init__(self, clock: IReactorTime) -> None:
        self.heard: list[tuple[bytes, SourceAddress]] = []
        self._clock = clock
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def __call__(self, datagram: bytes, source: SourceAddress) -> None:
        self.heard.append((datagram, source))
        for wait in [wait for wait in self._waiting if len(self.heard) >= wait[0]]:
            self._waiting.remove(wait)
            wait[1].callback(None)

    @property
    def datagrams(self) -> list[bytes]:
        return sorted(datagram for datagram, _source in self.heard)

    async def has_heard(self, count: int) -> None:
        """Go on when that many datagrams have come; fail if they don't."""
        if len(self.heard) < count:
            enough: Deferred[None] = Deferred()
            self._waiting.append((count, enough))
            await enough.addTimeout(5.0, self._clock)


def _listening(world: World, *groups: GroupAddress) -> tuple[IGroupNetwork, Ear]:
    network, ear = world.open(), Ear(world.clock)
    for group in groups:
        network.join(group, ear)
    return network, ear


async def it_provides_the_interface(world: World) -> None:
    assert verifyObject(IGroupNetwork, world.open())


async def everybody_hears_a_datagram_once_and_its_sender_too(world: World) -> None:
    """SPEC.md 2.10: multicast loopback is on, so that the other peers of a computer hear it."""
    group = world.groups[0]
    sender, own_ear = _listening(world, group)
    ears = [own_ear, _listening(world, group)[1], _listening(world, group)[1]]
    sender.send(group, b"hello")
    for ear in ears:
        await ear.has_heard(1)
    await world.settle()
    assert [ear.datagrams for ear in ears] == [[b"hello"]] * 3


async def the_largest_datagram_arrives_uncut(world: World) -> None:
    """SPEC.md 2.13."""
    group = world.groups[0]
    network, ear = _listening(world, group)
    datagram = bytes(range(256)) * 255 + bytes(MAX_DATAGRAM_BYTES - 255 * 256)
    network.send(group, datagram)
    await ear.has_heard(1)
    assert ear.datagrams == [datagram]


async def an_empty_datagram_arrives(world: World) -> None:
    network, ear = _listening(world, world.groups[0])
    network.send(world.groups[0], b"")
    await ear.has_heard(1)
    assert ear.datagrams == [b""]


async def no_larger_datagram_is_tried(world: World) -> None:
    with pytest.raises(ValueError, match="65508 bytes"):
        world.open().send(world.groups[0], bytes(MAX_DATAGRAM_BYTES + 1))


async def the_own_address_is_the_source_that_others_see(world: World) -> None:
    """SPEC.md 2.11: it tells own echoes from another peer, on the same computer too."""
    group = world.groups[0]
    first, ear = _listening(world, group)
    second = world.open()
    first.send(group, b"1")
    second.send(world.groups[0], b"2")
    await ear.has_heard(2)
    assert dict(ear.heard) == {b"1": first.own_address, b"2": second.own_address}
    assert first.own_address != second.own_address


async def a_group_on_the_same_port_with_another_address_is_not_heard(world: World) -> None:
    """SPEC.md 2.9, even though somebody else on the computer has joined that group."""
    wanted, other = world.groups[0], world.groups[1]
    assert wanted.port == other.port
    network, ear = _listening(world, wanted)
    _neighbour, neighbours_ear = _listening(world, other)
    network.send(other, b"not for you")
    network.send(wanted, b"for you")
    await neighbours_ear.has_heard(1)
    await ear.has_heard(1)
    await world.settle()
    assert ear.datagrams == [b"for you"]
    assert neighbours_ear.datagrams == [b"not for you"]


async def groups_that_share_a_port_or_not_are_all_heard_once(world: World) -> None:
    network = world.open()
    ears = [Ear(world.clock) for _group in world.groups]
    for group, ear in zip(world.groups, ears, strict=True):
        network.join(group, ear)
    for number, group in enumerate(world.groups):
        network.send(group, b"to %d" % number)
    for ear in ears:
        await ear.has_heard(1)
    await world.settle()
    assert [ear.datagrams for ear in ears] == [[b"to 0"], [b"to 1"], [b"to 2"]]


async def a_group_is_joined_once(world: World) -> None:
    network, ear = _listening(world, world.groups[0])
    with pytest.raises(ValueError, match="joined before"):
        network.join(world.groups[0], ear)


async def nothing_is_heard_before_the_sender_has_gone_on(world: World) -> None:
    network, ear = _listening(world, world.groups[0])
    network.send(world.groups[0], b"1")
    assert ear.heard == []
    await ear.has_heard(1)


async def the_receive_buffer_is_known_once_a_group_is_joined(world: World) -> None:
    network = world.open()
    assert network.receive_buffer_bytes == 0
    network.join(world.groups[0], Ear(world.clock))
    assert network.receive_buffer_bytes >= MAX_DATAGRAM_BYTES


async def a_closed_network_is_silent_and_the_others_go_on(world: World) -> None:
    group = world.groups[0]
    leaving, deaf_ear = _listening(world, group)
    staying, ear = _listening(world, group)
    closing = leaving.close()
    leaving.send(group, b"after closing")
    staying.send(group, b"still here")
    await closing
    await ear.has_heard(1)
    await world.settle()
    assert ear.datagrams == [b"still here"]
    assert deaf_ear.datagrams == []
    assert leaving.failed_sends == 0


async def closing_twice_waits_twice(world: World) -> None:
    network, _ear = _listening(world, world.groups[0])
    first, second = network.close(), network.close()
    assert not second.called
    await first
    await second
    await network.close()


Story = Callable[[World], Coroutine[Any, Any, None]]

NETWORK_CONTRACT: list[Story] = [
    it_provides_the_interface,
    everybody_hears_a_datagram_once_and_its_sender_too,
    the_largest_datagram_arrives_uncut,
    an_empty_datagram_arrives,
    no_larger_datagram_is_tried,
    the_own_address_is_the_source_that_others_see,
    a_group_on_the_same_port_with_another_address_is_not_heard,
    groups_that_share_a_port_or_not_are_all_heard_once,
    a_group_is_joined_once,
    nothing_is_heard_before_the_sender_has_gone_on,
    the_receive_buffer_is_known_once_a_group_is_joined,
    a_closed_network_is_silent_and_the_others_go_on,
    closing_twice_waits_twice,
]
