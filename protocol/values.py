"""The small values that everything else speaks in: ids, versions, header editions, and their ranges."""

from __future__ import annotations

from binascii import unhexlify
from enum import Enum
from typing import Final, NamedTuple, NewType, Self

CHUNK_SIZE: Final = 64_000
"""Bytes of every chunk of a file but the last, which is always shorter."""

MAX_CHUNKS: Final = 1_000_000
"""Chunks that a file may have at the most: a chunk number has six digits at the most."""

MAX_CHUNK_NO: Final = MAX_CHUNKS - 1
"""The highest chunk number."""

MIN_DEGREE: Final = 1
"""The lowest desired replication degree."""

MAX_DEGREE: Final = 9
"""The highest desired replication degree: the field is one digit."""

Body = bytes | memoryview
"""A chunk's bytes, 0 to CHUNK_SIZE of them: a view of the datagram or of the slot that they came in spares a copy."""

PeerId = NewType("PeerId", int)
"""What a peer calls itself on the wire, 0 to MAX_PEER_ID. A claim, not an address: others may use it too."""

MAX_PEER_ID: Final = 2**64 - 1
"""The highest id that is accepted from others."""

MAX_DRAWN_PEER_ID: Final = 2**31 - 1
"""The highest id that we draw for ourselves: real peers read it into a signed 32-bit integer."""

FILE_ID_BYTES: Final = 32
"""Bytes of a file id: those of a SHA-256."""


class FileId(bytes):
    """The 32 bytes that name one content of one file; hashes, compares and sorts as those bytes.

    On the wire it is 64 hexadecimal digits, either case accepted and lower case sent, which makes ids that
    differ in case only the same id here.
    """

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        """Raise ValueError unless ``value`` has exactly 32 bytes."""
        if len(value) != FILE_ID_BYTES:
            raise ValueError(f"a file id has {FILE_ID_BYTES} bytes, this one {len(value)}")
        return bytes.__new__(cls, value)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read 64 hexadecimal digits of either case; raise ValueError for anything else."""
        # binascii's, because bytes.fromhex lets spaces pass. Its own error is a ValueError too.
        return cls(unhexlify(text))

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"FileId.from_hex({self.hex()!r})"


class ChunkId(NamedTuple):
    """What names a chunk in the whole group. Sorts by file and then by number."""

    file_id: FileId
    chunk_no: int

    def __str__(self) -> str:
        """The short form for logs, as ``1a2b3c4d…/17``."""
        return f"{self.file_id[:4].hex()}…/{self.chunk_no}"


class Version(NamedTuple):
    """The version in a header: two single digits."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


VERSION_1_0: Final = Version(1, 0)
"""The base protocol."""


class Edition(Enum):
    """The order of a header's first two fields, which differs among real peers; each by its option's name."""

    TYPE_FIRST = "type-first"
    """``<MessageType> <Version> …``, the earlier edition and the default."""
    VERSION_FIRST = "version-first"
    """``<Version> <MessageType> …``, the later edition; nothing else differs."""
