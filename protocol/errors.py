"""Why a datagram was dropped, as a value that can be counted, and the error that carries it."""

from __future__ import annotations

from enum import Enum


class DropReason(Enum):
    """Why bytes are not a message, or fields can't make one. The value is the name in logs and metrics."""

    EMPTY = "empty"
    """A datagram of no bytes at all."""
    NO_HEADER_END = "no-header-end"
    """CR LF CR LF doesn't occur."""
    MALFORMED_HEADER = "malformed-header"
    """The first line isn't fields separated by spaces (empty, a leading space, a tab), or another isn't
    ASCII."""
    UNKNOWN_TYPE = "unknown-type"
    """The message type is none of the six."""
    WRONG_FIELD_COUNT = "wrong-field-count"
    """A known type with fewer or more fields than it has."""
    BAD_VERSION = "bad-version"
    """The version isn't a digit, a point and a digit."""
    BAD_SENDER_ID = "bad-sender-id"
    """The sender isn't a decimal number from 0 to 2**64 - 1."""
    BAD_FILE_ID = "bad-file-id"
    """The file id isn't 64 hexadecimal digits."""
    BAD_CHUNK_NO = "bad-chunk-no"
    """The chunk number isn't a decimal number of one to six digits."""
    BAD_DEGREE = "bad-degree"
    """The replication degree isn't one digit from 1 to 9."""
    BODY_TOO_LONG = "body-too-long"
    """The body of a PUTCHUNK or CHUNK has more than 64,000 bytes."""
    BODY_ELSEWHERE = "body-elsewhere"
    """A PUTCHUNK or CHUNK without a body and not of version 1.0: its sender sends the body another way."""


class ProtocolError(ValueError):
    """The peer that sent this (or the caller that built it) broke the rules of SPEC.md section 2."""

    def __init__(self, reason: DropReason, detail: str) -> None:
        """``detail`` is for people and of bounded length; ``reason`` is for counting."""
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
