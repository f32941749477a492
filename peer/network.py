"""The door to the network: multicast groups to hear, and one socket to speak from (SPEC.md 2.9 to 2.14)."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final

from twisted.internet import udp
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from zope.interface import Attribute, Interface, implementer

from peer.config import GroupAddress
from peer.rare_log import RareLog
from protocol.limits import MAX_DATAGRAM_BYTES
from protocol.values import Body

SourceAddress = tuple[str, int]
"""Whom a datagram is from: IPv4 address and UDP port."""

Receive = Callable[[bytes, SourceAddress], None]
"""Takes a whole datagram, and whom it is from. Raises nothing."""

SEND_BUFFER_BYTES: Final = 8 * 1024 * 1024
"""Asked for the sending socket: a hundred chunks. The usual default refuses the fourth chunk of a burst on a
network that is slower than the sender; more would only keep chunks waiting that nobody awaits any longer."""

DATAGRAMS_A_TURN: Final = 64
"""Datagrams read from one socket before the reactor looks after everything else, some milliseconds of work.
Twisted counts bytes: five chunks, by which a burst is read more slowly than it comes, or any number of empty
datagrams, a flood of which would never let it go."""

# Linux, from its headers: the module socket doesn't name them.
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_SO_ATTACH_FILTER: Final = 26
_IP_MULTICAST_ALL: Final = 49

# Classic BPF, the filters that Linux runs on datagrams: a UDP socket's filter sees the UDP header first, which
# begins with the source port, and the IP header from an offset of its own on.
_BPF_LOAD_WORD: Final = 0x20
_BPF_LOAD_HALF: Final = 0x28
_BPF_IF_EQUAL: Final = 0x15
_BPF_RETURN: Final = 0x06
_BPF_IP_HEADER: Final = 0xFFF0_0000
_IP_SOURCE_OFFSET: Final = 12
_UDP_HEADER_BYTES: Final = 8


class NetworkUnusable(Exception):
    """The operating system refuses what the groups need; one sentence says what, and what to do."""


class IGroupNetwork(Interface):
    """Multicast groups of one network, heard and spoken to through one interface."""

    own_address: SourceAddress = Attribute("What everything sent from here comes from, as others see it.")
    receive_buffer_bytes: int = Attribute(
        "The smallest receive buffer granted so far, as the system accounts for it; 0 before any group is joined."
    )
    failed_sends: int = Attribute("How many datagrams the operating system has refused to send.")

    def join(group: GroupAddress, receive: Receive) -> None:
        """Have every datagram to the group given to *receive*, own ones too, by later turns of the reactor.

        NetworkUnusable if the system refuses. ValueError if the group was joined before: two receivers of one
        group would each take every datagram for theirs.
        """

    def send(group: GroupAddress, *parts: Body) -> None:
        """Multicast a datagram, given in parts that follow each other.

        What the operating system refuses is counted and lost, as on any network. ValueError for more than
        MAX_DATAGRAM_BYTES, which no UDP datagram can carry.
        """

    def close() -> Deferred[None]:
        """Leave the groups, hear nothing more, send nothing more; fires when no socket is left."""


class _Listener(DatagramProtocol):
    """Hands on what one socket hears."""

    noisy = False
    _log = Logger()

    transport: udp.Port | None

    def __init__(self, name: str, receive: Receive | None, *, clock: IReactorTime) -> None:
        self._name = name
        self._receive = receive
        self._clock = clock
        self._datagrams = 0
        self.is_closing = False

    def startProtocol(self) -> None:
        self._begin_turn()

    def datagramReceived(self, datagram: bytes, addr: SourceAddress) -> None:
        self._datagrams += 1
        if self._datagrams % DATAGRAMS_A_TURN == 0:
            self._end_turn()
        # The sending socket hears what is sent to its own address: nothing of this protocol is. And Twisted
        # reads to the end of its turn even from a socket that has just been closed.
        if self._receive is not None and not self.is_closing:
            self._receive(datagram, addr)

    def stopProtocol(self) -> None:
        if not self.is_closing:
            self._log.critical("the socket of {name} was lost: restart the peer", name=self._name)

    def _begin_turn(self) -> None:
        if self.transport is not None:
            self.transport.maxThroughput = DATAGRAMS_A_TURN * MAX_DATAGRAM_BYTES

    def _end_turn(self) -> None:
        """Have Twisted read nothing more until the reactor comes back to this socket."""
        if self.transport is not None:
            self.transport.maxThroughput = 0
            self._clock.callLater(0, self._begin_turn)


@implementer(IGroupNetwork)
class UdpNetwork:
    """The groups by UDP over IPv4, on Twisted's *reactor*.

    Every receiving socket is bound to its group's address: one bound to 0.0.0.0 would hear every group that
    anybody on this computer has joined on that port. Everything is sent from a socket of its own, by whose
    address own echoes are told from another peer that uses the same id.

    *interface* is the IPv4 address of the interface to use, None for the one that this computer sends to groups
    by. *ttl* is that of everything sent. The buffers are what is asked for; the system may grant less, or, as
    Linux does, report the double of it, since it counts its own needs too. Raises NetworkUnusable.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        interface: str | None,
        ttl: int,
        receive_buffer_bytes: int,
        send_buffer_bytes: int = SEND_BUFFER_BYTES,
        spares_echoes: bool = False,
    ) -> None:
        """*spares_echoes*: where the system can tell them, what was sent from here isn't heard here."""
        self._reactor = reactor
        self._rare_log = RareLog(clock=reactor)
        self._asked_buffer_bytes = receive_buffer_bytes
        self._spares_echoes = spares_echoes
        self._joined: set[GroupAddress] = set()
        self._ports: list[Any] = []
        self._closed: Deferred[None] | None = None
        self.receive_buffer_bytes = 0
        self.failed_sends = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            self._interface = _bind_to_interface(handle, interface)
            handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
            handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            _enlarge(handle, (_SO_SNDBUFFORCE, socket.SO_SNDBUF), send_buffer_bytes)
            self._sending = self._adopt(handle, None)
            self.own_address: SourceAddress = handle.getsockname()

    def join(self, group: GroupAddress, receive: Receive) -> None:
        """See IGroupNetwork."""
        if group in self._joined:
            raise ValueError(f"the group {group} was joined before")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            try:
                # Several peers of one computer hear the same groups; other programs ask for it in either way.
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                granted = _enlarge(handle, (_SO_RCVBUFFORCE, socket.SO_RCVBUF), self._asked_buffer_bytes)
                _refuse_other_memberships(handle)
                if self._spares_echoes:
                    _refuse_datagrams_of(handle, self.own_address)
                handle.bind((group.host, group.port))
                member = socket.inet_aton(group.host) + socket.inet_aton(self._interface)
                handle.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            except OSError as error:
                raise NetworkUnusable(
                    f"Can't listen to the group {group} on {self._interface} ({error.strerror}): "
                    "choose another group, or another interface with --interface."
                ) from error
            self._adopt(handle, receive)
        self._joined.add(group)
        self.receive_buffer_bytes = min(self.receive_buffer_bytes or granted, granted)
        self._say_buffer(group, granted)

    def send(self, group: GroupAddress, *parts: Body) -> None:
        """See IGroupNetwork."""
        size = sum(map(len, parts))
        if size > MAX_DATAGRAM_BYTES:
            raise ValueError(f"a datagram of {size} bytes, more than {MAX_DATAGRAM_BYTES}")
        if self._closed is not None:
            return
        try:
            # Twisted's write() first looks whether the address is one, each time.
            self._sending.socket.sendmsg(parts, (), 0, (group.host, group.port))
        except OSError as error:
            self.failed_sends += 1
            if self._rare_log.is_due(error.errno):
                self._log.warn(
                    "a datagram to {group} could not be sent ({why}); it is number {failed} since the start",
                    group=str(group),
                    why=error.strerror,
                    failed=self.failed_sends,
                )

    def close(self) -> Deferred[None]:
        """See IGroupNetwork."""
        if self._closed is None:
            for port in self._ports:
                port.protocol.is_closing = True
            closing = [maybeDeferred(port.stopListening) for port in self._ports]
            self._closed = DeferredList(closing, fireOnOneErrback=True).addCallback(lambda _closed: None)
        closed: Deferred[None] = Deferred()
        self._closed.addBoth(_tell, closed)
        return closed

    def _adopt(self, handle: socket.socket, receive: Receive | None) -> Any:
        """Have the reactor read a copy of the socket, which is ready for use.

        listenMulticast would do, but leaves its socket open where it can't bind, and lets datagrams in before
        the options are set.
        """
        handle.setblocking(False)
        host, port_number = handle.getsockname()
        # Of a larger datagram than it is told to read, Twisted gives the beginning, without an error.
        listener = _Listener(f"{host}:{port_number}", receive, clock=self._reactor)
        port = self._reactor.adoptDatagramPort(
            handle.fileno(), socket.AF_INET, listener, maxPacketSize=MAX_DATAGRAM_BYTES
        )
        self._ports.append(port)
        return port

    def _say_buffer(self, group: GroupAddress, granted: int) -> None:
        # What Linux reports is twice what it was asked for.
        if granted < self._asked_buffer_bytes:
            self._log.warn(
                "the receive buffer of {group} has {granted} bytes though {asked} were asked for, and bursts that it "
                "can't hold are lost: allow more with sysctl net.core.rmem_max={asked}",
                group=str(group),
                granted=granted,
                asked=self._asked_buffer_bytes,
            )
        else:
            self._log.info(
                "the receive buffer of {group} has {granted} bytes", group=str(group), granted=granted
            )


def _tell(result: Any, other: Deferred[Any]) -> Any:
    other.callback(result)
    return None


def check_interface(interface: str | None) -> None:
    """See that datagrams could be sent by the interface; NetworkUnusable says why they can't."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        _bind_to_interface(handle, interface)


def _bind_to_interface(handle: socket.socket, interface: str | None) -> str:
    """Have what the socket sends leave by the interface, and come from its address, which is returned."""
    address = _usual_interface() if interface is None else _checked_interface(interface)
    try:
        handle.bind((address, 0))
        handle.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    except OSError as error:
        raise NetworkUnusable(
            f"Can't send from {address} ({error.strerror}): "
            "give --interface the IPv4 address of one of this computer's interfaces."
        ) from error
    return address


def _usual_interface() -> str:
    """The address that this computer sends to groups from; asking sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("239.192.0.1", 9))
        except OSError as error:
            raise NetworkUnusable(
                f"This computer has no route to multicast groups ({error.strerror}): "
                "give --interface the IPv4 address of the network to use, or 127.0.0.1 to stay on this computer."
            ) from error
        address: str = probe.getsockname()[0]
        return address


def _checked_interface(interface: str) -> str:
    """*interface*, if it is an address that a peer can be known by; no system call refuses the others."""
    try:
        address = IPv4Address(interface)
        is_usable = not (address.is_unspecified or address.is_multicast)
    except AddressValueError:
        is_usable = False
    if not is_usable:
        raise NetworkUnusable(
            f"{interface!r} is not the address of an interface: "
            "give --interface the IPv4 address of one of this computer's interfaces."
        )
    return interface


def _refuse_other_memberships(handle: socket.socket) -> None:
    """Have Linux give the socket what comes by the interface it joined on, not by any that anybody has joined on."""
    try:
        handle.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    except OSError:
        # Another system, or an old one: one hears the same group on two networks then.
        return


def _refuse_datagrams_of(handle: socket.socket, source: SourceAddress) -> None:
    """Have Linux drop what comes from the address before it is queued: an echo costs as much as any chunk."""
    host, port = source
    (address,) = struct.unpack("!I", socket.inet_aton(host))
    program = b"".join(
        struct.pack("HBBI", code, if_so, if_not, value)
        for code, if_so, if_not, value in (
            (_BPF_LOAD_HALF, 0, 0, 0),
            (_BPF_IF_EQUAL, 0, 3, port),
            (_BPF_LOAD_WORD, 0, 0, _BPF_IP_HEADER + _IP_SOURCE_OFFSET),
            (_BPF_IF_EQUAL, 0, 1, address),
            (_BPF_RETURN, 0, 0, 0),
            (_BPF_RETURN, 0, 0, MAX_DATAGRAM_BYTES + _UDP_HEADER_BYTES),
        )
    )
    instructions = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HP", len(program) // 8, ctypes.addressof(instructions))
    try:
        handle.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_program)
    except OSError:
        # Another system: the channel drops them itself.
        return


def _enlarge(handle: socket.socket, options: tuple[int, int], wanted_bytes: int) -> int:
    """Ask for a buffer of *wanted_bytes*, past the system's limit where that is allowed; returns what is granted."""
    by_force, within_limit = options
    try:
        handle.setsockopt(socket.SOL_SOCKET, by_force, wanted_bytes)
    except OSError:
        handle.setsockopt(socket.SOL_SOCKET, within_limit, wanted_bytes)
    return handle.getsockopt(socket.SOL_SOCKET, within_limit)
