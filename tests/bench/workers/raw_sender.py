"""Multicasts a file in datagrams of a chunk each, at a steady rate or as fast as the system takes them."""

import mmap
import socket
import sys
import time
from pathlib import Path
from typing import Final

from peer.network import SEND_BUFFER_BYTES
from protocol.values import CHUNK_SIZE
from tests.bench.workers.talk import Group, is_told_within, tell, wait_to_be_told

HEADER_BYTES: Final = 8
"""The number of the datagram."""

_BURST: Final = 4
"""Datagrams sent back to back: at 1,000 MB/s a quarter of a millisecond, the shortest wait that the system keeps."""


def main() -> None:
    """Send once told to; `<group> <interface> <ttl> <file> <MB/s, or 0 for no limit>`."""
    group_text, interface, ttl, path, limit = sys.argv[1:]
    group = Group.parse(group_text, interface)
    rate = float(limit) * 1e6
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = memoryview(content)
        with group.speaking(int(ttl), SEND_BUFFER_BYTES) as speaking:
            wait_to_be_told()
            started = time.monotonic()
            _send(speaking, view, rate)
            tell(started=started, seconds=time.monotonic() - started)
        view.release()


def _send(speaking: socket.socket, view: memoryview, rate: float) -> None:
    due = time.monotonic()
    for number, start in enumerate(range(0, len(view), CHUNK_SIZE)):
        if rate and number % _BURST == 0:
            now = time.monotonic()
            if due > now and is_told_within(due - now):
                sys.exit(1)
            # What was missed is not made up for: that would be a burst.
            due = max(due, now) + _BURST * CHUNK_SIZE / rate
        speaking.sendmsg([number.to_bytes(HEADER_BYTES), view[start : start + CHUNK_SIZE]])


if __name__ == "__main__":
    main()
