"""Groups and ports that nobody else on this machine has, kept for as long as this process lives."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random

from attrs import frozen

LOOPBACK = "127.0.0.1"

# Below the ports that Linux gives to those who ask for any, so that few others come across these.
_GROUP_PORTS = range(20_000, 32_000)
_ATTEMPTS = 1_000


@frozen(kw_only=True)
class Reservation:
    """Three multicast groups as `address:port`, and TCP ports on 127.0.0.1."""

    mc: str
    mdb: str
    mdr: str
    control_ports: tuple[int, ...]


@contextmanager
def reserved(*, control_ports: int, random: Random) -> Iterator[Reservation]:
    """Draw three groups and `control_ports` TCP ports, which nobody else that draws so gets meanwhile.

    The peers themselves can use them. OSError if this machine has none free.
    """
    with ExitStack() as held:
        mc, mdb, mdr = (_reserve_group(held, random) for _ in range(3))
        ports = tuple(_reserve_port(held) for _ in range(control_ports))
        yield Reservation(mc=mc, mdb=mdb, mdr=mdr, control_ports=ports)


def _reserve_group(held: ExitStack, random: Random) -> str:
    for _ in range(_ATTEMPTS):
        # RFC 2365 leaves 239.255.0.0/16 to local use.
        group = f"239.255.{random.randrange(256)}.{random.randrange(1, 255)}"
        port = random.choice(_GROUP_PORTS)
        token = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            # Every reservation binds this, so one at a time can; the peers bind the group's address instead.
            token.bind((LOOPBACK, port))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((group, port))
        except OSError:
            token.close()
            continue
        return f"{group}:{port}"
    raise OSError("no multicast group is free on this machine")


def _reserve_port(held: ExitStack) -> int:
    token = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    # With this option on both sides a peer can bind the port too, and listen, since we never do.
    token.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    token.bind((LOOPBACK, 0))
    port: int = token.getsockname()[1]
    return port
