"""One slot of a segment file: a chunk with a header that says what it is (SPEC.md 9.16 to 9.18).

    offset  bytes  field
         0      4  "BPck"
         4      2  version of this layout: 2; 1 is the same, with sha256 alone
         6      1  desired degree when it was stored; the index may know a higher one
         7      1  algorithm of the digest: 1 is sha256, 2 is blake3
         8     32  fileId
        40      4  chunkNo
        44      4  length of the body
        48     32  digest of the body
        80      8  number of the batch that it was stored in: the higher of two is the later
        88      4  zeros
        92      4  CRC-32 of the 92 bytes before
        96         the body, then zeros up to the end of a block of 4,096 bytes

Numbers are big-endian. The rest of the slot is a hole. A header of 96 bytes makes a body of n × 4,000 bytes, as
it is charged, take no more than n blocks.
"""

from __future__ import annotations

import struct
from typing import Final
from zlib import crc32

from attrs import frozen

from protocol.digest import BLAKE3, SHA256, Digest
from protocol.values import CHUNK_SIZE, Body, ChunkId, FileId

SLOT_BYTES: Final = 65_536
"""From one slot to the next."""

HEADER_BYTES: Final = 96

BLOCK_BYTES: Final = 4_096
"""In which the usual file systems give space and take it back."""

VERSION: Final = 2

_MAGIC: Final = b"BPck"
_FIELDS: Final = struct.Struct(">4sHBB32sII32sQI")
_CHECKSUM: Final = struct.Struct(">I")
_ALGORITHMS: Final = {1: SHA256, 2: BLAKE3}
_NUMBERS: Final = {name: number for number, name in _ALGORITHMS.items()}
_ZEROS: Final = bytes(BLOCK_BYTES)


class SlotDamaged(ValueError):
    """The bytes are no header, or not the one that was written."""


class SlotNewer(ValueError):
    """A newer version of the program has written the slot. ``args`` is its version."""


@frozen
class SlotHeader:
    """What a slot says about the chunk in it."""

    chunk_id: ChunkId
    length: int
    desired: int
    digest: Digest
    batch: int
    """Number of the batch that it was stored in."""

    def pack(self) -> bytes:
        """The HEADER_BYTES of it."""
        fields = _FIELDS.pack(
            _MAGIC,
            VERSION,
            self.desired,
            _NUMBERS[self.digest.algorithm],
            self.chunk_id.file_id,
            self.chunk_id.chunk_no,
            self.length,
            self.digest.value,
            self.batch,
            0,
        )
        return fields + _CHECKSUM.pack(crc32(fields))

    @classmethod
    def parse(cls, data: bytes) -> SlotHeader:
        """Read what begins with a header. Raises SlotDamaged, SlotNewer."""
        fields = data[: _FIELDS.size]
        if len(data) < HEADER_BYTES or _CHECKSUM.unpack_from(data, _FIELDS.size)[0] != crc32(fields):
            raise SlotDamaged("its checksum is wrong")
        magic, version, desired, algorithm, file_id, chunk_no, length, digest, batch, zeros = _FIELDS.unpack(
            fields
        )
        if magic != _MAGIC or version < 1:
            raise SlotDamaged("it is no header")
        if version > VERSION:
            raise SlotNewer(version)
        # Each version has brought one algorithm more, and nothing else.
        if algorithm not in _ALGORITHMS or algorithm > version or length > CHUNK_SIZE or zeros:
            raise SlotDamaged("no chunk is like that")
        chunk_id = ChunkId(FileId(file_id), chunk_no)
        return SlotHeader(chunk_id, length, desired, Digest(_ALGORITHMS[algorithm], digest), batch)


def body_of(data: bytes, digest: Digest, length: int) -> Body | None:
    """The body in what was read of a slot, a view of it; None: its bytes aren't what they were."""
    body = memoryview(data)[HEADER_BYTES : HEADER_BYTES + length]
    return body if len(body) == length and digest.matches(body) else None


def padding(length: int) -> bytes:
    """What is written behind a body of ``length`` bytes, so that whole blocks are."""
    return _ZEROS[: -(HEADER_BYTES + length) % BLOCK_BYTES]


def taken_bytes(length: int) -> int:
    """What a body of ``length`` bytes takes of the disk, with all that goes with it."""
    return -(-(HEADER_BYTES + length) // BLOCK_BYTES) * BLOCK_BYTES
