"""Multicasts a file in datagrams of a chunk each, at a steady rate or as fast as the system takes them."""

import mmap
import select
import socket
import sys
import time
from pathlib import Path
from typing import Final

from peer.network import SEND_BUFFER_BYTES
from protocol.values import CHUNK_SIZE
from tests.bench.workers.talk import Group, tell, wait_to_be_told

HEADER_BYTES: Final = 8
"""The number of the datagram."""

_BURST: Final = 2
"""Datagrams sent back to back: the usual receive buffer has room for three."""


def main() -> None:
    """Send once told to; `<group> <interface> <ttl> <file> <MB/s, or 0 for no limit>`."""
    group_text, interface, ttl, path, limit = sys.argv[1:]
    group = Group.parse(group_text, interface)
    rate = float(limit) * 1e6
    with Path(path).open("rb") as file, group.speaking(int(ttl), SEND_BUFFER_BYTES) as speaking:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        wait_to_be_told()
        started = time.monotonic()
        _send(speaking, content, rate)
        tell(started=started, seconds=time.monotonic() - started)


def _send(speaking: socket.socket, content: memoryview, rate: float) -> None:
    due = time.monotonic()
    for number, start in enumerate(range(0, len(content), CHUNK_SIZE)):
        if rate and number % _BURST == 0:
            now = time.monotonic()
            if due > now:
                # The pace itself, and no wait in the hope that something has happened by then.
                select.select([], [], [], due - now)
            # What was missed is not made up for: that would be a burst.
            due = max(due, now) + _BURST * CHUNK_SIZE / rate
        speaking.sendmsg([number.to_bytes(HEADER_BYTES), content[start : start + CHUNK_SIZE]])


if __name__ == "__main__":
    main()
