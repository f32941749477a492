"""Sends garbage to multicast groups of this machine, as fast as it goes, for a bounded time.

    python -m tests.functional.flood SECONDS ADDRESS:PORT …

Prints how many datagrams it has sent.
"""

from __future__ import annotations

import socket
import sys
import time
from itertools import cycle
from random import Random

from protocol.codec import serialize
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import CHUNK_SIZE, VERSION_1_0, FileId, PeerId

LARGEST = 65_507


def sending_socket() -> socket.socket:
    """A socket whose datagrams don't leave the machine."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    sender.bind(("127.0.0.1", 0))
    return sender


def garbage(random: Random) -> list[bytes]:
    """Datagrams of every hostile kind: random, empty, cut, oversized, repeated, and lies in good form."""
    stranger = PeerId(4_000_000_000)
    file_id = FileId(random.randbytes(32))
    honest: list[Message] = [
        PutChunk(VERSION_1_0, stranger, file_id, 0, 1, random.randbytes(2_000)),
        Stored(VERSION_1_0, stranger, file_id, 1),
        GetChunk(VERSION_1_0, stranger, file_id, 2),
        Chunk(VERSION_1_0, stranger, file_id, 3, random.randbytes(CHUNK_SIZE)),
        Removed(VERSION_1_0, stranger, file_id, 4),
        Delete(VERSION_1_0, stranger, file_id),
    ]
    datagrams = [serialize(message) for message in honest]
    cut = [datagram[: random.randrange(1, min(len(datagram), 90))] for datagram in datagrams]
    lies = [
        serialize(Stored(VERSION_1_0, PeerId(random.randrange(2**40)), FileId(random.randbytes(32)), 5))
        for _ in range(200)
    ]
    noise = [random.randbytes(random.choice([0, 1, 3, 100, 1_400, 9_000, LARGEST])) for _ in range(50)]
    oversized = [b"PUTCHUNK 1.0 1 " + b"ab" * 32 + b" 0 1 \r\n\r\n" + bytes(LARGEST - 90)]
    return [*datagrams, *datagrams, *cut, *lies, *noise, *oversized]


def main() -> None:
    """Send until the time is over."""
    seconds, *groups = sys.argv[1:]
    targets = [(address, int(port)) for address, _, port in (group.rpartition(":") for group in groups)]
    deadline = time.monotonic() + float(seconds)
    sent = 0
    with sending_socket() as sender:
        for datagram, target in zip(cycle(garbage(Random(1))), cycle(targets), strict=False):
            sender.sendto(datagram, target)
            sent += 1
            if sent % 100 == 0 and time.monotonic() > deadline:
                break
    print(sent)


if __name__ == "__main__":
    main()
