"""A local network in memory, in virtual time: multicast groups with all that real ones do to datagrams.

What is sent reaches every network that has joined the group, the sender's own too, each after its own delay. A
link may lose, duplicate and delay; a host may be deaf or behind a partition; a receiver may be too slow for its
buffer. Chance comes from one Random, asked in the same order for the same story, so that a run repeats itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from peer.config import GroupAddress
from peer.network import IGroupNetwork, Receive, SourceAddress
from protocol.limits import MAX_DATAGRAM_BYTES
from protocol.values import Body

FIRST_EPHEMERAL_PORT = 32_768
BYTES_CHARGED_A_DATAGRAM = 768
"""What Linux counts against the receive buffer besides the payload."""


@frozen
class Datagram:
    """One datagram on its way."""

    time: float
    """When it was sent, in seconds of the clock."""
    source: SourceAddress
    group: GroupAddress
    payload: bytes


@frozen
class Link:
    """What happens to datagrams from one host to another."""

    loss: float = 0.0
    """Probability that a datagram doesn't arrive."""
    duplication: float = 0.0
    """Probability that it is carried twice; each copy may be lost and has its own latency."""
    min_latency: float = 0.000_05
    """Seconds. Latencies are uniform between the two, so that datagrams overtake each other."""
    max_latency: float = 0.000_5


class MemoryLan:
    """The wire between hosts, which are named by their addresses."""

    def __init__(self, *, clock: IReactorTime, random: Random) -> None:
        self.clock = clock
        self.link = Link()
        """Between any two hosts that have no link of their own."""
        self.loopback = Link()
        """Within a host."""
        self._random = random
        self._links: dict[tuple[str, str], Link] = {}
        self._networks: list[MemoryNetwork] = []
        self._islands: dict[str, int] = {}
        self._deaf: set[str] = set()
        self._taps: list[Callable[[Datagram], None]] = []
        self._next_port = FIRST_EPHEMERAL_PORT
        self._partitions = 0

    def network(
        self, host: str, *, receive_buffer_bytes: int = 64 * 1024 * 1024, read_seconds: float = 0.0
    ) -> MemoryNetwork:
        """Give a peer on *host* its door to this network. *read_seconds*: what reading one datagram takes it."""
        network = MemoryNetwork(
            lan=self,
            own_address=(host, self._next_port),
            buffer_bytes=receive_buffer_bytes,
            read_seconds=read_seconds,
        )
        self._next_port += 1
        self._networks.append(network)
        return network

    def set_link(self, source: str, target: str, link: Link) -> None:
        """Set what happens from host to host, in this direction."""
        self._links[source, target] = link

    def partition(self, hosts: Iterable[str]) -> None:
        """Cut *hosts* off from all others; among themselves they go on."""
        self._partitions += 1
        for host in hosts:
            self._islands[host] = self._partitions

    def heal(self) -> None:
        """End all partitions."""
        self._islands.clear()

    def deafen(self, host: str) -> None:
        """Let *host* hear nothing more, itself not either; it is still heard."""
        self._deaf.add(host)

    def give_hearing(self, host: str) -> None:
        """End a deafness."""
        self._deaf.discard(host)

    def tap(self, see: Callable[[Datagram], None]) -> None:
        """Show *see* every datagram when it is sent, whatever becomes of it."""
        self._taps.append(see)

    def carry(self, datagram: Datagram) -> None:
        """Take a datagram from a network of this LAN to all that have joined its group."""
        for see in self._taps:
            see(datagram)
        sender = datagram.source[0]
        for network in self._networks:
            host = network.own_address[0]
            if not network.has_joined(datagram.group) or self._islands.get(host) != self._islands.get(sender):
                continue
            link = self.loopback if host == sender else self._links.get((sender, host), self.link)
            for _copy in range(2 if self._happens(link.duplication) else 1):
                if not self._happens(link.loss):
                    latency = self._random.uniform(link.min_latency, link.max_latency)
                    self.clock.callLater(latency, self._arrive, network, datagram)

    def forget(self, network: MemoryNetwork) -> None:
        """Bring nothing more to a network that was closed."""
        self._networks.remove(network)

    def _arrive(self, network: MemoryNetwork, datagram: Datagram) -> None:
        if network.own_address[0] not in self._deaf:
            network.arrive(datagram)

    def _happens(self, probability: float) -> bool:
        return probability > 0.0 and self._random.random() < probability


@define
class _Socket:
    receive: Receive
    waiting: deque[Datagram] = field(factory=deque)
    waiting_bytes: int = 0
    is_reading: bool = False


@implementer(IGroupNetwork)
class MemoryNetwork:
    """One peer's door to a MemoryLan; keeps the contract that UdpNetwork keeps."""

    def __init__(
        self, *, lan: MemoryLan, own_address: SourceAddress, buffer_bytes: int, read_seconds: float
    ) -> None:
        self._lan = lan
        self._buffer_bytes = buffer_bytes
        self._read_seconds = read_seconds
        self._sockets: dict[GroupAddress, _Socket] = {}
        self._is_closed = False
        self.own_address = own_address
        self.receive_buffer_bytes = 0
        self.failed_sends = 0
        self.overruns = 0
        """Datagrams lost since they came faster than they were read."""

    def join(self, group: GroupAddress, receive: Receive) -> None:
        """As IGroupNetwork."""
        if group in self._sockets:
            raise ValueError(f"the group {group} was joined before")
        self._sockets[group] = _Socket(receive)
        self.receive_buffer_bytes = self._buffer_bytes

    def send(self, group: GroupAddress, *parts: Body) -> None:
        """As IGroupNetwork."""
        datagram = b"".join(parts)
        if len(datagram) > MAX_DATAGRAM_BYTES:
            raise ValueError(f"a datagram of {len(datagram)} bytes, more than {MAX_DATAGRAM_BYTES}")
        if not self._is_closed:
            self._lan.carry(Datagram(self._lan.clock.seconds(), self.own_address, group, datagram))

    def close(self) -> Deferred[None]:
        """As IGroupNetwork."""
        if not self._is_closed:
            self._is_closed = True
            self._sockets.clear()
            self._lan.forget(self)
        return deferLater(self._lan.clock, 0.0, lambda: None)

    def has_joined(self, group: GroupAddress) -> bool:
        """Whether datagrams to the group come here."""
        return group in self._sockets

    def arrive(self, datagram: Datagram) -> None:
        """Take a datagram from the wire into the receive buffer, if there is room."""
        joined = self._sockets.get(datagram.group)
        if joined is None:
            return
        if not self._read_seconds:
            joined.receive(datagram.payload, datagram.source)
            return
        charged = len(datagram.payload) + BYTES_CHARGED_A_DATAGRAM
        if joined.waiting_bytes + charged > self._buffer_bytes:
            self.overruns += 1
            return
        joined.waiting.append(datagram)
        joined.waiting_bytes += charged
        if not joined.is_reading:
            joined.is_reading = True
            self._lan.clock.callLater(self._read_seconds, self._read, joined)

    def _read(self, joined: _Socket) -> None:
        if self._is_closed:
            return
        datagram = joined.waiting.popleft()
        joined.waiting_bytes -= len(datagram.payload) + BYTES_CHARGED_A_DATAGRAM
        joined.is_reading = bool(joined.waiting)
        if joined.is_reading:
            self._lan.clock.callLater(self._read_seconds, self._read, joined)
        joined.receive(datagram.payload, datagram.source)
