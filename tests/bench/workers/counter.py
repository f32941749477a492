"""Counts the PUTCHUNKs on a group by their headers alone, so that it takes hardly any of the processor's time."""

import socket
import sys

from protocol.codec import ProtocolError, parse
from protocol.messages import PutChunk
from tests.bench.workers.talk import Group, be_ready, is_told_within, lost_in_buffer, tell

_HEADER_BYTES = 256
"""What the system copies of a datagram; it cuts the rest."""

_BUFFER_BYTES = 64_000_000

_PAUSE = 0.005
"""Seconds between two looks: what comes meanwhile fits the buffer at 10 GB/s, or if that isn't granted is told of."""


def main() -> None:
    """Count until told to stop; `<group> <interface>`."""
    group_text, interface = sys.argv[1:]
    heard = Group.parse(group_text, interface).listening(_BUFFER_BYTES)
    heard.setblocking(False)
    chunks: set[tuple[int, bytes, int]] = set()
    datagrams = 0
    be_ready()
    is_over = False
    while not is_over:
        is_over = is_told_within(_PAUSE)
        for message in _heard(heard):
            datagrams += 1
            chunks.add((message.sender_id, message.file_id, message.chunk_no))
    tell(putchunks=datagrams, chunks=len(chunks), missed=lost_in_buffer(heard))


def _heard(heard: socket.socket) -> list[PutChunk]:
    messages: list[PutChunk] = []
    while True:
        try:
            message = parse(heard.recv(_HEADER_BYTES))
        except BlockingIOError:
            return messages
        except ProtocolError:
            continue
        if isinstance(message, PutChunk):
            messages.append(message)


if __name__ == "__main__":
    main()
