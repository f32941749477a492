"""Why a datagram isn't a message. Off the hot path: it runs only for those that are dropped."""

from __future__ import annotations

from collections.abc import Mapping
from re import Pattern
from typing import Final

from protocol.errors import DropReason, ProtocolError
from protocol.grammar import (
    CHUNK_NO,
    DEGREE,
    FILE_ID,
    HEADER_END,
    PRINTABLE_LINE,
    SENDER_ID,
    VERSION,
)
from protocol.limits import MAX_QUOTED_BYTES

FIELD_COUNTS: Final[Mapping[bytes, int]] = {
    b"PUTCHUNK": 6,
    b"STORED": 5,
    b"GETCHUNK": 5,
    b"CHUNK": 5,
    b"DELETE": 4,
    b"REMOVED": 5,
}
"""How many fields the first line of each type has, type and version included."""

_MOST_FIELDS: Final = max(FIELD_COUNTS.values())

_AFTER_VERSION: Final[tuple[tuple[Pattern[bytes], DropReason], ...]] = (
    (SENDER_ID, DropReason.BAD_SENDER_ID),
    (FILE_ID, DropReason.BAD_FILE_ID),
    (CHUNK_NO, DropReason.BAD_CHUNK_NO),
    (DEGREE, DropReason.BAD_DEGREE),
)


def diagnose(datagram: bytes) -> ProtocolError:
    """The error that says what is wrong with a datagram that the grammar doesn't match.

    The first thing that is wrong counts, in the order of reading: the header as a whole, its type, the number
    of its fields, then each field. Linear in the datagram's length.
    """
    if not datagram:
        return ProtocolError(DropReason.EMPTY, "a datagram of no bytes")
    header, end, _ = datagram.partition(HEADER_END)
    if not end:
        return ProtocolError(DropReason.NO_HEADER_END, f"no empty line ends the header: {_quoted(datagram)}")
    line, _, further_lines = header.partition(b"\r\n")
    if not PRINTABLE_LINE.fullmatch(line):
        return ProtocolError(DropReason.MALFORMED_HEADER, f"not fields separated by spaces: {_quoted(line)}")
    fields = line.split(None, _MOST_FIELDS)
    if VERSION.fullmatch(fields[0]) or (len(fields) > 1 and fields[1] in FIELD_COUNTS):
        fields[:2] = reversed(fields[:2])
    message_type = fields[0]
    if not message_type.isalpha():
        return ProtocolError(DropReason.MALFORMED_HEADER, f"no message type: {_quoted(line)}")
    field_count = FIELD_COUNTS.get(message_type)
    if field_count is None:
        return ProtocolError(DropReason.UNKNOWN_TYPE, _quoted(message_type))
    if len(fields) != field_count:
        return ProtocolError(DropReason.WRONG_FIELD_COUNT, f"{field_count} expected: {_quoted(line)}")
    if not VERSION.fullmatch(fields[1]):
        return ProtocolError(DropReason.BAD_VERSION, _quoted(fields[1]))
    for text, (pattern, reason) in zip(fields[2:], _AFTER_VERSION, strict=False):
        if not pattern.fullmatch(text):
            return ProtocolError(reason, _quoted(text))
    return ProtocolError(
        DropReason.MALFORMED_HEADER, f"a further line of wrong form: {_quoted(further_lines)}"
    )


def _quoted(text: bytes) -> str:
    return repr(text[:MAX_QUOTED_BYTES]) + ("…" if len(text) > MAX_QUOTED_BYTES else "")
