"""Coverage-guided fuzzing of the parser: ``python -m tests.fuzz.datagrams [libFuzzer's options]``.

Any bytes give a message or a ProtocolError (SPEC.md 2.15), and a message can be sent and read again. It starts from
the wire vectors.
"""

from __future__ import annotations

from protocol.codec import parse, serialize
from protocol.errors import ProtocolError
from protocol.limits import MAX_DATAGRAM_BYTES
from protocol.values import Edition
from tests.fuzz.running import fuzz
from tests.protocol.vectors import read_vectors


def one_input(datagram: bytes) -> None:
    """Fail on anything but a message that survives the way there and back, or a ProtocolError."""
    try:
        message = parse(datagram)
    except ProtocolError:
        return
    for edition in Edition:
        if parse(serialize(message, edition)) != message:
            raise AssertionError(f"{message} is read otherwise than it was sent in {edition}")


def seeds() -> list[bytes]:
    """The datagrams to start from: those of the wire vectors."""
    return [vector.datagram for vector in read_vectors()]


if __name__ == "__main__":
    fuzz("datagrams", one_input, seeds(), longest=MAX_DATAGRAM_BYTES)
