"""Segments as rows of the index (``schema/index.sql``), and the statements that read and write them."""

from __future__ import annotations

import struct
from typing import Final
from zlib import crc32

from attrs import frozen

from storage.database import Row
from storage.segments import all_slots

_CHECKED = struct.Struct(">Q?QQQ")
_COLUMNS = "segment, used, freeing, is_open, chunks, charged_bytes, batch, checksum"

SELECT_SEGMENTS: Final = f"SELECT {_COLUMNS} FROM segments ORDER BY segment"
LAST_SEGMENT: Final = "SELECT seq FROM sqlite_sequence WHERE name = 'segments'"
PUT_SEGMENT: Final = f"INSERT OR REPLACE INTO segments ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
DELETE_SEGMENT: Final = "DELETE FROM segments WHERE segment = ?"


@frozen
class Segment:
    """What the index knows of a segment. Sets of slots are as in ``storage.bits``."""

    number: int
    used: int = 0
    """Slots that hold a chunk, and those of ``freeing``."""
    freeing: int = 0
    """Slots whose chunk is gone from the index and whose space isn't given back yet."""
    is_open: bool = False
    """Slots that aren't used may have been written to, by a batch that was never committed."""
    chunks: int = 0
    charged_bytes: int = 0
    batch: int = 0
    """Number of the last batch that wrote to it."""


def segment_of(row: Row) -> Segment:
    """The segment of a row that SELECT_SEGMENTS gives. ValueError, TypeError: the row is damaged."""
    number, used, freeing, is_open, chunks, charged_bytes, batch, checksum = row
    segment = Segment(
        number,
        int.from_bytes(used, "little"),
        int.from_bytes(freeing, "little"),
        bool(is_open),
        chunks,
        charged_bytes,
        batch,
    )
    if segment_row(segment)[-1] != checksum:
        raise ValueError(f"the checksum of segment {number} is wrong")
    return segment


def segment_row(segment: Segment) -> Row:
    """What PUT_SEGMENT takes."""
    length = all_slots().bit_length() // 8
    numbers = (segment.is_open, segment.chunks, segment.charged_bytes, segment.batch)
    try:
        used, freeing = (bits.to_bytes(length, "little") for bits in (segment.used, segment.freeing))
        checksum = crc32(_CHECKED.pack(segment.number, *numbers) + used + freeing)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"segment {segment.number} has numbers that no segment has") from error
    return (segment.number, used, freeing, *numbers, checksum)
