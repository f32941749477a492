"""The door to the network: three multicast groups to hear, and one socket to speak from."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from zope.interface import Attribute, Interface, implementer

from peer.config import GroupAddress
from protocol.limits import MAX_DATAGRAM_BYTES

SourceAddress = tuple[str, int]
"""Whom a datagram is from: IPv4 address and UDP port."""

Receive = Callable[[bytes, SourceAddress], None]

_SO_RCVBUFFORCE = 33


class NetworkUnusable(Exception):
    """The operating system refuses what the groups need; one sentence says what, and what to do."""


class IGroupNetwork(Interface):
    """Multicast groups of one network, heard and spoken to through one interface."""

    own_address: SourceAddress = Attribute("What everything sent from here comes from, as others see it.")
    receive_buffer_bytes: int = Attribute("The smallest receive buffer granted so far; 0 before any.")

    def join(group: GroupAddress, receive: Receive) -> None:
        """Have every datagram to the group given to *receive*, own ones too. NetworkUnusable if refused."""

    def send(group: GroupAddress, datagram: bytes) -> None:
        """Multicast a datagram. What the operating system refuses is lost, as on any network."""

    def close() -> Deferred[None]:
        """Leave the groups; fires when no socket is left."""


class _Listening(DatagramProtocol):
    noisy = False

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def datagramReceived(self, datagram: bytes, addr: SourceAddress) -> None:
        self._receive(datagram, addr)


@implementer(IGroupNetwork)
class UdpNetwork:
    """The groups by UDP over IPv4.

    Every receiving socket is bound to its group's address: one bound to 0.0.0.0 would hear every group that
    anybody on this computer has joined on that port. Everything is sent from a socket of its own, by whose
    address own echoes are told from another peer that uses the same id.
    """

    _log = Logger()

    def __init__(self, reactor: Any, *, interface: str | None, ttl: int, receive_buffer_bytes: int) -> None:
        self._reactor = reactor
        self._asked_buffer_bytes = receive_buffer_bytes
        self._listening: list[Any] = []
        self._lost = 0
        self.receive_buffer_bytes = 0
        self._interface = interface or _usual_interface()
        try:
            self._sending = reactor.listenMulticast(0, DatagramProtocol(), interface=self._interface)
            handle: socket.socket = self._sending.getHandle()
            handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(self._interface))
            handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        except (CannotListenError, OSError) as error:
            raise NetworkUnusable(
                f"Can't send from {self._interface} ({error}): "
                "give --interface the IPv4 address of one of this computer's interfaces."
            ) from error
        self.own_address: SourceAddress = (self._interface, self._sending.getHost().port)

    def join(self, group: GroupAddress, receive: Receive) -> None:
        """See IGroupNetwork."""
        try:
            port = self._reactor.listenMulticast(
                group.port,
                _Listening(receive),
                interface=group.host,
                maxPacketSize=MAX_DATAGRAM_BYTES,
                listenMultiple=True,
            )
            self._listening.append(port)
            handle: socket.socket = port.getHandle()
            if hasattr(socket, "SO_RCVBUF"):
                granted = _enlarge_receive_buffer(handle, self._asked_buffer_bytes)
                self.receive_buffer_bytes = min(self.receive_buffer_bytes or granted, granted)
            member = socket.inet_aton(group.host) + socket.inet_aton(self._interface)
            handle.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except (CannotListenError, OSError) as error:
            raise NetworkUnusable(
                f"Can't listen to the group {group} on {self._interface} ({error}): "
                "choose another group, or another interface with --interface."
            ) from error

    def send(self, group: GroupAddress, datagram: bytes) -> None:
        """See IGroupNetwork."""
        try:
            self._sending.write(datagram, (group.host, group.port))
        except OSError as error:
            self._lost += 1
            if self._lost.bit_count() == 1:
                self._log.warn(
                    "{lost} datagrams could not be sent, the last since {why}", lost=self._lost, why=error
                )

    def close(self) -> Deferred[None]:
        """See IGroupNetwork."""
        ports = [*self._listening, self._sending]
        self._listening = []
        return DeferredList([maybeDeferred(port.stopListening) for port in ports]).addCallback(lambda _: None)


def _usual_interface() -> str:
    """The address that this computer sends to other computers from; asking sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("239.192.0.1", 9))
        except OSError as error:
            raise NetworkUnusable(
                f"This computer has no route to multicast groups ({error}): "
                "give --interface the IPv4 address of the network to use, or 127.0.0.1 to stay on this computer."
            ) from error
        address: str = probe.getsockname()[0]
        return address


def _enlarge_receive_buffer(handle: socket.socket, wanted_bytes: int) -> int:
    """Ask for the buffer, by force where that is allowed; returns what is granted.

    Linux doubles what is asked for, to account for its own needs, and reports the double.
    """
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            handle.setsockopt(socket.SOL_SOCKET, option, wanted_bytes)
        except OSError:
            continue
        granted = handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if granted >= wanted_bytes:
            break
    return handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
