"""The six messages, one frozen class each. One that breaks SPEC.md's rules can't be constructed.

The checks run on every message received too, so each is one comparison; what the types already promise
(an int is an int) is left to the type checker.
"""

from __future__ import annotations

from typing import ClassVar, Final

from attrs import Factory, field, frozen

from protocol.errors import DropReason, ProtocolError
from protocol.values import (
    CHUNK_SIZE,
    MAX_CHUNK_NO,
    MAX_DEGREE,
    MAX_PEER_ID,
    MIN_DEGREE,
    VERSION_1_0,
    Body,
    ChunkId,
    FileId,
    PeerId,
    Version,
)

_CHUNK_ID: Final = Factory(lambda message: ChunkId(message.file_id, message.chunk_no), takes_self=True)
"""The two fields that name a chunk, as one: made once, since everybody who hears a message asks for it."""


def _body_length(body: Body) -> str:
    return f"<{len(body)} bytes>"


def _check_common(version: Version, sender_id: int, file_id: FileId) -> None:
    if version is not VERSION_1_0 and not (0 <= version.major <= 9 and 0 <= version.minor <= 9):
        raise ProtocolError(DropReason.BAD_VERSION, f"a version is two single digits, not {version}")
    if not 0 <= sender_id <= MAX_PEER_ID:
        raise ProtocolError(DropReason.BAD_SENDER_ID, "a sender id is a number from 0 to 2**64 - 1")
    if not isinstance(file_id, FileId):
        raise ProtocolError(DropReason.BAD_FILE_ID, f"a file id is a FileId, not a {type(file_id).__name__}")


def _check_chunk_no(chunk_no: int) -> None:
    if not 0 <= chunk_no <= MAX_CHUNK_NO:
        raise ProtocolError(DropReason.BAD_CHUNK_NO, f"a chunk number is from 0 to {MAX_CHUNK_NO}")


def _check_body(version: Version, body: Body) -> None:
    if len(body) > CHUNK_SIZE:
        raise ProtocolError(DropReason.BODY_TOO_LONG, f"{len(body)} bytes, more than {CHUNK_SIZE}")
    if not body and version != VERSION_1_0:
        raise ProtocolError(DropReason.BODY_ELSEWHERE, f"no body in version {version}, so not an empty chunk")


@frozen(slots=True)
class PutChunk:
    """PUTCHUNK, on MDB: the initiator-peer asks the group to store a chunk."""

    message_type: ClassVar[str] = "PUTCHUNK"

    version: Version
    """Of the header. Other than 1.0 the body is never empty: such a header means that it goes another way."""
    sender_id: PeerId
    """The initiator-peer, by its own account."""
    file_id: FileId
    chunk_no: int
    """0 to 999,999."""
    replication_degree: int
    """The desired one, 1 to 9."""
    body: Body = field(repr=_body_length)
    """The chunk, 0 to 64,000 bytes."""
    chunk_id: ChunkId = field(init=False, eq=False, repr=False, default=_CHUNK_ID)
    """The chunk that this is about."""

    def __attrs_post_init__(self) -> None:
        _check_common(self.version, self.sender_id, self.file_id)
        _check_chunk_no(self.chunk_no)
        if not MIN_DEGREE <= self.replication_degree <= MAX_DEGREE:
            raise ProtocolError(DropReason.BAD_DEGREE, f"a degree is from {MIN_DEGREE} to {MAX_DEGREE}")
        _check_body(self.version, self.body)


@frozen(slots=True)
class Chunk:
    """CHUNK, on MDR: a holder returns the body of a chunk. Its sender is known as a holder from then on."""

    message_type: ClassVar[str] = "CHUNK"

    version: Version
    """Of the header. Other than 1.0 the body is never empty: such a header means that it goes another way."""
    sender_id: PeerId
    """The holder, by its own account."""
    file_id: FileId
    chunk_no: int
    """0 to 999,999."""
    body: Body = field(repr=_body_length)
    """The chunk, 0 to 64,000 bytes."""
    chunk_id: ChunkId = field(init=False, eq=False, repr=False, default=_CHUNK_ID)
    """The chunk that this is about."""

    def __attrs_post_init__(self) -> None:
        _check_common(self.version, self.sender_id, self.file_id)
        _check_chunk_no(self.chunk_no)
        _check_body(self.version, self.body)


@frozen(slots=True)
class _AboutChunk:
    """What STORED, GETCHUNK and REMOVED have in common: they name a chunk and carry no body."""

    version: Version
    """Of the header."""
    sender_id: PeerId
    """Who says so, by its own account."""
    file_id: FileId
    chunk_no: int
    """0 to 999,999."""
    chunk_id: ChunkId = field(init=False, eq=False, repr=False, default=_CHUNK_ID)
    """The chunk that this is about."""

    def __attrs_post_init__(self) -> None:
        _check_common(self.version, self.sender_id, self.file_id)
        _check_chunk_no(self.chunk_no)


@frozen(slots=True)
class Stored(_AboutChunk):
    """STORED, on MC: its sender holds the chunk."""

    message_type: ClassVar[str] = "STORED"


@frozen(slots=True)
class GetChunk(_AboutChunk):
    """GETCHUNK, on MC: its sender asks the holders for the chunk."""

    message_type: ClassVar[str] = "GETCHUNK"


@frozen(slots=True)
class Removed(_AboutChunk):
    """REMOVED, on MC: its sender holds the chunk no more."""

    message_type: ClassVar[str] = "REMOVED"


@frozen(slots=True)
class Delete:
    """DELETE, on MC: the home peer asks every holder to drop all chunks of the file."""

    message_type: ClassVar[str] = "DELETE"

    version: Version
    """Of the header."""
    sender_id: PeerId
    """The home peer, by its own account."""
    file_id: FileId

    def __attrs_post_init__(self) -> None:
        _check_common(self.version, self.sender_id, self.file_id)


Message = PutChunk | Stored | GetChunk | Chunk | Delete | Removed
"""Any of the six."""
