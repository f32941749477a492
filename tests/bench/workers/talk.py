"""What a worker and who started it say to each other, a line at a time."""

import json
import select
import socket
import sys
from typing import Final

from attrs import frozen

READY: Final = "ready"

_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_DROPS: Final = 8
"""Linux, from its headers: the module socket doesn't name them."""


def be_ready() -> None:
    """Say that everything is prepared."""
    print(READY, flush=True)


def wait_to_be_told() -> str:
    """Say that everything is prepared, and wait for the word to begin; end with who should have said it."""
    be_ready()
    word = sys.stdin.readline()
    if not word:
        sys.exit(1)
    return word


def is_told_within(seconds: float) -> bool:
    """Wait for a word for so many seconds; whether it came, or nobody is left who could say it."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def tell(**result: object) -> None:
    """Print what was measured."""
    print(json.dumps(result), flush=True)


@frozen
class Group:
    """A multicast group and the interface that it is reached by."""

    host: str
    port: int
    interface: str

    @classmethod
    def parse(cls, text: str, interface: str) -> "Group":
        """Read `address:port`."""
        host, _, port = text.rpartition(":")
        return cls(host, int(port), interface)

    def listening(self, receive_buffer_bytes: int) -> socket.socket:
        """A socket that hears the group, with such a buffer if the system grants it."""
        heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _enlarge(heard, (_SO_RCVBUFFORCE, socket.SO_RCVBUF), receive_buffer_bytes)
        heard.bind((self.host, self.port))
        member = socket.inet_aton(self.host) + socket.inet_aton(self.interface)
        heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        return heard

    def speaking(self, ttl: int, send_buffer_bytes: int) -> socket.socket:
        """A socket that speaks to the group, with such a buffer if the system grants it."""
        spoken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        spoken.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(self.interface))
        spoken.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        _enlarge(spoken, (_SO_SNDBUFFORCE, socket.SO_SNDBUF), send_buffer_bytes)
        spoken.connect((self.host, self.port))
        return spoken


def lost_in_buffer(heard: socket.socket) -> int:
    """How many datagrams the socket had no room for."""
    counters = heard.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
    return int.from_bytes(counters[4 * _DROPS : 4 * _DROPS + 4], sys.byteorder)


def _enlarge(handle: socket.socket, options: tuple[int, int], wanted_bytes: int) -> None:
    by_force, within_limit = options
    try:
        handle.setsockopt(socket.SOL_SOCKET, by_force, wanted_bytes)
    except PermissionError:
        handle.setsockopt(socket.SOL_SOCKET, within_limit, wanted_bytes)
