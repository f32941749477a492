"""Multicast over real sockets, on the loopback interface with TTL 0 and groups that nobody else has."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from random import SystemRandom
from typing import Any, cast

import pytest
from attrs import define, field
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorFDSet, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from peer.config import GroupAddress
from peer.network import DATAGRAMS_A_TURN, NetworkUnusable, SourceAddress, UdpNetwork
from protocol.limits import MAX_DATAGRAM_BYTES
from tests.peer.network_contract import NETWORK_CONTRACT, Ear, Story
from tests.support.in_reactor import in_reactor

LOOPBACK = "127.0.0.1"


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _drawn_groups() -> list[GroupAddress]:
    draw = SystemRandom().randrange
    host, first, second = f"239.255.{draw(256)}.{{}}", _free_port(), _free_port()
    return [
        GroupAddress(host.format(1), first),
        GroupAddress(host.format(2), first),
        GroupAddress(host.format(3), second),
    ]


@define
class Loopback:
    """Real sockets of this computer alone."""

    clock: IReactorTime = field(factory=lambda: IReactorTime(reactor))
    groups: list[GroupAddress] = field(factory=_drawn_groups)
    opened: list[UdpNetwork] = field(factory=list)

    def open(
        self, interface: str = LOOPBACK, receive_buffer_bytes: int = 1_000_000, *, spares_echoes: bool = False
    ) -> UdpNetwork:
        network = UdpNetwork(
            reactor,
            interface=interface,
            ttl=0,
            receive_buffer_bytes=receive_buffer_bytes,
            spares_echoes=spares_echoes,
        )
        self.opened.append(network)
        return network

    async def settle(self) -> None:
        # On the loopback interface a datagram is in the receivers' buffers when sendto returns: what was sent
        # is read in the next turns.
        for _turn in range(3):
            await deferLater(self.clock, 0.0)

    async def close(self) -> None:
        for network in self.opened:
            await network.close()


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []
    observer = cast(ILogObserver, events.append)
    globalLogPublisher.addObserver(observer)
    yield events
    globalLogPublisher.removeObserver(observer)


def _readers() -> list[Any]:
    return list(IReactorFDSet(reactor).getReaders())


def _texts(events: list[LogEvent], namespace: str = "peer.network") -> list[str]:
    return [formatEvent(event) for event in events if str(event.get("log_namespace")).startswith(namespace)]


@pytest.mark.parametrize("story", NETWORK_CONTRACT, ids=lambda story: story.__name__)
@in_reactor
async def test_real_sockets_keep_the_contract_and_leave_nothing_open(story: Story) -> None:
    readers_before = set(_readers())
    world = Loopback()
    try:
        await story(world)
    finally:
        await world.close()
    assert set(_readers()) == readers_before


@in_reactor
async def test_the_largest_receive_buffer_that_is_allowed_is_granted_and_told(logged: list[LogEvent]) -> None:
    """SPEC.md 2.13."""
    world = Loopback()
    modest, greedy = world.open(receive_buffer_bytes=300_000), world.open(receive_buffer_bytes=2**30)
    modest.join(world.groups[0], Ear(world.clock))
    greedy.join(world.groups[0], Ear(world.clock))
    await world.close()

    assert modest.receive_buffer_bytes >= 300_000
    assert greedy.receive_buffer_bytes > modest.receive_buffer_bytes
    told = _texts(logged)
    assert f"{modest.receive_buffer_bytes} bytes" in told[0]
    assert f"{greedy.receive_buffer_bytes} bytes" in told[1]
    if greedy.receive_buffer_bytes < 2**30:
        assert "net.core.rmem_max" in told[1]


@in_reactor
async def test_what_is_sent_goes_as_far_as_it_was_told_and_to_this_computer_too() -> None:
    """SPEC.md 2.10, 2.14. Read from the socket: on the loopback interface everything comes back anyhow."""
    world = Loopback()
    host, port_number = world.open().own_address
    [port] = [reader for reader in _readers() if getattr(reader, "_realPortNumber", None) == port_number]
    handle: socket.socket = port.getHandle()
    options = [socket.IP_MULTICAST_TTL, socket.IP_MULTICAST_LOOP, socket.IP_MULTICAST_IF]
    ttl, is_looped, interface = (handle.getsockopt(socket.IPPROTO_IP, option) for option in options)
    await world.close()

    assert (ttl, is_looped) == (0, 1)
    assert interface == int.from_bytes(socket.inet_aton(host), sys.byteorder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems leave echoes to the channel")
@pytest.mark.parametrize("size", [0, 100, MAX_DATAGRAM_BYTES])
@in_reactor
async def test_own_echoes_can_be_spared_and_nothing_else_is_taken_for_one(size: int) -> None:
    """SPEC.md 2.11: another socket of this computer is another source, and so is another address."""
    world = Loopback()
    group = world.groups[0]
    first, second = world.open(spares_echoes=True), world.open(spares_echoes=True)
    ears = Ear(world.clock), Ear(world.clock)
    first.join(group, ears[0])
    second.join(group, ears[1])
    _, port = first.own_address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as namesake:
        namesake.bind(("127.0.0.2", port))
        namesake.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        namesake.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        namesake.sendto(bytes(size), (group.host, group.port))
    first.send(group, bytes(size))
    second.send(group, bytes(size))
    await ears[0].has_heard(2)
    await ears[1].has_heard(2)
    await world.settle()
    await world.close()

    assert [source for _, source in ears[0].heard] == [("127.0.0.2", port), second.own_address]
    assert [source for _, source in ears[1].heard] == [("127.0.0.2", port), first.own_address]
    assert {len(datagram) for ear in ears for datagram, _ in ear.heard} == {size}


@in_reactor
async def test_what_the_system_refuses_to_send_is_counted_and_told_once(logged: list[LogEvent]) -> None:
    world = Loopback()
    network = world.open()
    nowhere = GroupAddress(world.groups[0].host, 0)
    for _attempt in range(5):
        network.send(nowhere, b"lost")
    network.join(world.groups[0], ear := Ear(world.clock))
    network.send(world.groups[0], b"not lost")
    await ear.has_heard(1)
    await world.close()

    assert network.failed_sends == 5
    assert [text for text in _texts(logged) if "could not be sent" in text] == [
        f"a datagram to {nowhere} could not be sent (Invalid argument); it is number 1 since the start"
    ]


@pytest.mark.parametrize("size", [0, 60_000])
@in_reactor
async def test_a_flood_is_read_in_turns_that_are_neither_tiny_nor_endless(size: int) -> None:
    world = Loopback()
    network = world.open(receive_buffer_bytes=2_000_000)
    turn = 0
    turns: list[int] = []

    def next_turn() -> None:
        nonlocal turn
        turn += 1
        if len(turns) < 20 * DATAGRAMS_A_TURN and turn < 1_000:
            world.clock.callLater(0, next_turn)

    def receive(datagram: bytes, _source: SourceAddress) -> None:
        """Each datagram brings the next, so that the socket is never empty."""
        turns.append(turn)
        if len(turns) < 20 * DATAGRAMS_A_TURN:
            network.send(world.groups[0], datagram)

    network.join(world.groups[0], receive)
    for _datagram in range(10):
        network.send(world.groups[0], bytes(size))
    next_turn()
    while len(turns) < 20 * DATAGRAMS_A_TURN and turn < 1_000:
        await world.settle()
    await world.close()

    assert len(turns) >= 20 * DATAGRAMS_A_TURN
    assert max(Counter(turns).values()) == DATAGRAMS_A_TURN


@in_reactor
async def test_closing_in_the_middle_of_a_burst_ends_it() -> None:
    world = Loopback()
    network = world.open()
    heard: list[bytes] = []

    def receive(datagram: bytes, _source: SourceAddress) -> None:
        heard.append(datagram)
        network.close()

    network.join(world.groups[0], receive)
    for number in range(3):
        network.send(world.groups[0], b"%d" % number)
    while not heard:
        await world.settle()
    await world.close()
    assert heard == [b"0"]


@in_reactor
async def test_a_listener_that_is_lost_is_reported(logged: list[LogEvent]) -> None:
    world = Loopback()
    group = world.groups[0]
    world.open().join(group, Ear(world.clock))
    [port] = [reader for reader in _readers() if getattr(reader, "interface", None) == group.host]
    # What a reactor does with a socket when reading it fails in a way that Twisted doesn't know.
    IReactorFDSet(reactor).removeReader(port)
    port.connectionLost(Failure(OSError("the disk of the network is full")))
    await world.close()

    assert f"the socket of {group} was lost: restart the peer" in _texts(logged)


@in_reactor
async def test_closing_is_not_reported_as_a_loss(logged: list[LogEvent]) -> None:
    world = Loopback()
    world.open().join(world.groups[0], Ear(world.clock))
    await world.close()
    assert not [event for event in logged if event.get("log_level") is LogLevel.critical]


@pytest.mark.parametrize("interface", ["192.0.2.77", "0.0.0.0", "239.1.2.3", "eth0", ""])
def test_an_interface_that_is_not_there_is_one_clear_sentence(interface: str) -> None:
    readers_before = set(_readers())
    with pytest.raises(NetworkUnusable, match="give --interface the IPv4 address") as caught:
        Loopback().open(interface=interface)
    assert "\n" not in str(caught.value)
    assert set(_readers()) == readers_before


@in_reactor
async def test_a_port_that_another_program_keeps_for_itself_is_one_clear_sentence() -> None:
    world = Loopback()
    group = world.groups[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as selfish:
        selfish.bind((group.host, group.port))
        with pytest.raises(
            NetworkUnusable, match=r"Address already in use\): choose another group"
        ) as caught:
            world.open().join(group, Ear(world.clock))
    await world.close()
    assert str(group) in str(caught.value)


def test_without_a_route_the_user_is_asked_for_an_interface() -> None:
    """In a network namespace of its own, which has no route at all and is gone with the process."""
    attempt = (
        "from twisted.internet import reactor; from peer.network import UdpNetwork\n"
        "UdpNetwork(reactor, interface=None, ttl=0, receive_buffer_bytes=1000)"
    )
    made = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-c", attempt],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "NetworkUnusable" not in made.stderr and "unshare" in made.stderr:
        pytest.skip(f"network namespaces can't be made here: {made.stderr.strip()}")
    assert "no route to multicast groups (Network is unreachable): give --interface" in made.stderr


@in_reactor
async def test_without_an_interface_the_usual_one_is_taken() -> None:
    """No group is joined here: that would be said on the network. The address is ours, since it can be bound."""
    try:
        network = UdpNetwork(reactor, interface=None, ttl=0, receive_buffer_bytes=1_000)
    except NetworkUnusable:
        pytest.skip("this computer has no route to multicast groups")
    host, port = network.own_address
    await network.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, port))
