"""Datagrams to messages and back: ``parse`` and ``serialize``.

What is sent is exact (one space between fields, one before the CRLF CRLF, lower-case hex), because real peers
drop or die of anything else (SPEC.md 2.7); what is accepted is all that they were seen to send (2.4).
"""

from __future__ import annotations

from binascii import unhexlify
from functools import lru_cache
from typing import Final

from protocol.diagnosis import diagnose
from protocol.errors import ProtocolError
from protocol.grammar import FIRST_LINE, HEADER_END, OTHER_LINES
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import VERSION_1_0, Body, Edition, FileId, PeerId, Version

_VERSIONS: Final = {
    b"%d.%d" % (major, minor): Version(major, minor) for major in range(10) for minor in range(10)
} | {b"1.0": VERSION_1_0}

_REMEMBERED: Final = 256
"""Of what all messages have, what was read and written last: most are about few files, and from few peers."""


def parse(datagram: bytes) -> Message:
    """Read one datagram, of either edition and any version, by its first header line.

    Further header lines are passed over. A body behind a type that has none is ignored, whatever its length:
    nothing depends on it. Raises ProtocolError, and nothing else, for bytes that aren't a message.
    """
    line = FIRST_LINE.match(datagram)
    if line is None:
        raise diagnose(datagram)
    line_end = line.end()
    header_end = datagram.find(HEADER_END, line_end - 2)
    if header_end != line_end - 2 and not OTHER_LINES.fullmatch(datagram, line_end, header_end + 2):
        raise diagnose(datagram)
    type_1st, version_2nd, version_1st, type_2nd, sender_digits, file_hex, no_digits, degree = line.groups()
    message_type = type_1st or type_2nd
    version = _VERSIONS[version_2nd or version_1st]
    sender_id = _sender_id(sender_digits)
    file_id = _file_id(file_hex)
    if no_digits is None:
        if message_type == b"DELETE":
            return Delete(version, sender_id, file_id)
    elif degree is not None:
        if message_type == b"PUTCHUNK":
            body = _body(datagram, header_end + 4)
            return PutChunk(version, sender_id, file_id, int(no_digits), int(degree), body)
    elif message_type == b"STORED":
        return Stored(version, sender_id, file_id, int(no_digits))
    elif message_type == b"CHUNK":
        return Chunk(version, sender_id, file_id, int(no_digits), _body(datagram, header_end + 4))
    elif message_type == b"GETCHUNK":
        return GetChunk(version, sender_id, file_id, int(no_digits))
    elif message_type == b"REMOVED":
        return Removed(version, sender_id, file_id, int(no_digits))
    raise diagnose(datagram)


def serialize(
    message: Message, edition: Edition = Edition.TYPE_FIRST, *, upper_case_id: bool = False
) -> bytes:
    """The datagram that says ``message``, in one piece; see ``serialize_parts``."""
    return b"".join(serialize_parts(message, edition, upper_case_id=upper_case_id))


def serialize_parts(
    message: Message, edition: Edition = Edition.TYPE_FIRST, *, upper_case_id: bool = False
) -> tuple[Body, ...]:
    """The datagram that says ``message`` in the given edition, in the form that all real peers understand.

    In parts, to be sent one behind the other, since to join a header and a body is to copy the body.
    ``upper_case_id`` spells the fileId as those do who wrote it so themselves, and compare it as text.
    """
    is_type_first = edition is Edition.TYPE_FIRST
    start = _start(
        message.message_type,
        message.version,
        message.sender_id,
        message.file_id,
        is_type_first,
        upper_case_id,
    )
    if isinstance(message, PutChunk):
        return b"%b %d %d \r\n\r\n" % (start, message.chunk_no, message.replication_degree), message.body
    if isinstance(message, Chunk):
        return b"%b %d \r\n\r\n" % (start, message.chunk_no), message.body
    if isinstance(message, Delete):
        return (b"%b \r\n\r\n" % start,)
    return (b"%b %d \r\n\r\n" % (start, message.chunk_no),)


@lru_cache(_REMEMBERED)
def _start(
    message_type: str,
    version: Version,
    sender_id: PeerId,
    file_id: FileId,
    is_type_first: bool,
    is_upper: bool,
) -> bytes:
    """The fields that all messages have."""
    kind = f"{message_type} {version}" if is_type_first else f"{version} {message_type}"
    digits = file_id.hex().upper() if is_upper else file_id.hex()
    return f"{kind} {sender_id} {digits}".encode("ascii")


@lru_cache(_REMEMBERED)
def _sender_id(digits: bytes) -> PeerId:
    return PeerId(int(digits))


@lru_cache(_REMEMBERED)
def _file_id(digits: bytes) -> FileId:
    return FileId(unhexlify(digits))


def _body(datagram: bytes, start: int) -> Body:
    """The body as a view, which spares a copy, unless it would keep alive much more than itself."""
    body = memoryview(datagram)[start:]
    return body if len(body) > start else bytes(body)


__all__ = ["ProtocolError", "parse", "serialize", "serialize_parts"]
