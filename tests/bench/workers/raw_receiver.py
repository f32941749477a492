"""Hears what raw_sender multicasts, and tells how much of it came."""

import sys
import time

from protocol.limits import MAX_DATAGRAM_BYTES
from tests.bench.workers.raw_sender import HEADER_BYTES
from tests.bench.workers.talk import Group, be_ready, is_told_within, tell

_PATIENCE = 0.5
"""Seconds of silence after which nothing more is on its way."""


def main() -> None:
    """Hear everything until told that all was sent; `<group> <interface> <receive buffer> <datagrams>`."""
    group_text, interface, receive_buffer, count = sys.argv[1:]
    heard = Group.parse(group_text, interface).listening(int(receive_buffer))
    buffer = bytearray(MAX_DATAGRAM_BYTES)
    missing = set(range(int(count)))
    last = time.monotonic()
    is_all_sent = False
    heard.settimeout(_PATIENCE)
    be_ready()
    while missing:
        try:
            heard.recv_into(buffer)
        except TimeoutError:
            if is_all_sent:
                break
            is_all_sent = is_told_within(0)
        else:
            missing.discard(int.from_bytes(buffer[:HEADER_BYTES]))
            last = time.monotonic()
    tell(received=int(count) - len(missing), last=last)


if __name__ == "__main__":
    main()
