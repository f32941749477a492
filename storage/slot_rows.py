"""Chunks as rows of the index (``schema/index.sql``), and the statements that read and write them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

from attrs import define, frozen

from protocol.digest import Digest
from protocol.values import ChunkId, FileId, PeerId
from storage.database import Database, Row, Schema
from storage.errors import IndexDamaged
from storage.holders import pack_holders, unpack_holders, with_note
from storage.interfaces import HeldChunk
from storage.lookup import WANTED, look_up

INDEX_SCHEMA: Final = Schema("index", application_id=0x6270_736C, version=2, damaged=IndexDamaged)

_COLUMNS = "file_id, chunk_no, place, length, desired, algorithm, digest, holders, checksum"
_IS_SHOWN = "NOT EXISTS (SELECT 1 FROM hidden WHERE hidden.file_id = chunks.file_id)"
_NEXT = f"(file_id, chunk_no) > (?, ?) AND {_IS_SHOWN} ORDER BY file_id, chunk_no LIMIT ?"
_CHECKED = struct.Struct(">32sIQIB")

BEFORE_ALL: Final = (b"", -1)
"""What SELECT_PAGE and SELECT_OVER_REPLICATED take in place of a chunk's id to begin with the first."""

SELECT_ANY: Final = f"SELECT {_COLUMNS} FROM chunks WHERE file_id = ? AND chunk_no = ?"
"""A chunk, also one of a hidden file."""

SELECT_SHOWN: Final = f"{SELECT_ANY} AND {_IS_SHOWN}"

SELECT_SOME: Final = f"""
    {WANTED}
    SELECT {_COLUMNS} FROM wanted CROSS JOIN chunks ON file_id = wanted_file AND chunk_no = wanted_no
"""
SELECT_SOME_SHOWN: Final = f"{SELECT_SOME} WHERE {_IS_SHOWN}"
SELECT_PAGE: Final = f"SELECT {_COLUMNS} FROM chunks WHERE {_NEXT}"
SELECT_OVER_REPLICATED: Final = f"SELECT {_COLUMNS} FROM chunks WHERE perceived > desired AND {_NEXT}"
SELECT_OF_FILE: Final = f"SELECT {_COLUMNS} FROM chunks WHERE file_id = ? ORDER BY chunk_no LIMIT ?"
SELECT_ALL: Final = f"SELECT {_COLUMNS} FROM chunks ORDER BY place"
SELECT_DELETED: Final = "SELECT file_id FROM hidden WHERE why = 'deleted' ORDER BY file_id"
SELECT_UNCONFIRMED: Final = """
    SELECT file_id, (SELECT min(chunk_no) FROM chunks WHERE chunks.file_id = hidden.file_id) AS chunk_no
    FROM hidden WHERE why = 'unconfirmed' AND file_id > ? AND chunk_no IS NOT NULL ORDER BY file_id LIMIT ?
"""
# A spoilt row of the same chunk is replaced.
INSERT: Final = f"INSERT OR REPLACE INTO chunks ({_COLUMNS}, perceived) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
UPDATE: Final = """
    UPDATE chunks SET desired = ?, holders = ?, perceived = ?, checksum = ? WHERE file_id = ? AND chunk_no = ?
"""
UPDATE_HOLDERS: Final = """
    UPDATE chunks SET holders = ?, perceived = ?, checksum = ? WHERE file_id = ? AND chunk_no = ?
"""
DELETE: Final = "DELETE FROM chunks WHERE file_id = ? AND chunk_no = ?"
HIDE_DELETED: Final = "INSERT OR REPLACE INTO hidden VALUES (?, 'deleted')"
HIDE_UNCONFIRMED: Final = "INSERT OR IGNORE INTO hidden VALUES (?, 'unconfirmed')"
CONFIRM: Final = "DELETE FROM hidden WHERE file_id = ? AND why = 'unconfirmed'"
FORGET_GONE: Final = """
    DELETE FROM hidden WHERE why = 'unconfirmed'
    AND NOT EXISTS (SELECT 1 FROM chunks WHERE chunks.file_id = hidden.file_id)
"""
HAS_UNCONFIRMED: Final = "SELECT 1 FROM hidden WHERE why = 'unconfirmed' LIMIT 1"
SHOW: Final = "DELETE FROM hidden WHERE file_id = ?"


class RowDamaged(ValueError):
    """A row isn't what was written. ``args`` is the id that it names."""


@frozen
class PlacedChunk:
    """A chunk and its slot."""

    held: HeldChunk
    place: int


def placed_chunk(row: Row) -> PlacedChunk:
    """The chunk of a row that SELECT_ANY and its like give. Raises RowDamaged."""
    file_id, chunk_no, place, length, desired, algorithm, digest, holders, checksum = row
    try:
        if _checksum(file_id, chunk_no, place, length, desired, algorithm, digest, holders) == checksum:
            held = HeldChunk(
                ChunkId(FileId(file_id), chunk_no),
                length,
                desired,
                Digest(algorithm, digest),
                unpack_holders(holders),
            )
            return PlacedChunk(held, place)
    except (TypeError, ValueError, AttributeError, struct.error) as error:
        raise RowDamaged(file_id, chunk_no) from error
    raise RowDamaged(file_id, chunk_no)


@define(eq=False)
class KnownHolders:
    """What a row says of who holds its chunk, and no more: holders are noted for every chunk, again and again."""

    file_id: bytes
    chunk_no: int
    desired: int
    holders: frozenset[PeerId]
    _fixed_checksum: int
    """The checksum of all columns before the holders."""

    @classmethod
    def of(cls, row: Row) -> KnownHolders:
        """Those of a row that SELECT_ANY and its like give. Raises RowDamaged."""
        *fixed, holders, checksum = row
        try:
            fixed_checksum = _fixed_checksum(*fixed)
            if crc32(holders, fixed_checksum) == checksum:
                return cls(row[0], row[1], row[4], unpack_holders(holders), fixed_checksum)
        except (TypeError, ValueError, AttributeError, struct.error) as error:
            raise RowDamaged(*row[:2]) from error
        raise RowDamaged(*row[:2])

    def note(self, peer_id: PeerId, *, holds: bool) -> bool:
        """Count a peer, or count it no more; True if that was news."""
        before, self.holders = self.holders, with_note(self.holders, peer_id, holds=holds)
        return self.holders is not before

    def row(self) -> Row:
        """What UPDATE_HOLDERS takes."""
        packed = pack_holders(self.holders)
        return (packed, len(self.holders), crc32(packed, self._fixed_checksum), self.file_id, self.chunk_no)


def rows_of(index: Database, chunk_ids: Sequence[ChunkId], *, is_shown: bool) -> dict[ChunkId, Row]:
    """The rows of those chunks that have one. ``is_shown``: only of files that aren't hidden."""
    one, some = (SELECT_SHOWN, SELECT_SOME_SHOWN) if is_shown else (SELECT_ANY, SELECT_SOME)
    found = look_up(index, chunk_ids, one=one, some=some)
    return {ChunkId(row[0], row[1]): row for row in found}


def insert_row(placed: PlacedChunk) -> Row:
    """What INSERT takes."""
    return (*_columns(placed), placed.held.perceived)


def update_row(placed: PlacedChunk) -> Row:
    """What UPDATE takes."""
    held = placed.held
    *_, holders, checksum = _columns(placed)
    return (held.desired, holders, held.perceived, checksum, *held.chunk_id)


def _columns(placed: PlacedChunk) -> Row:
    held = placed.held
    digest = held.digest
    columns = (
        *held.chunk_id,
        placed.place,
        held.length,
        held.desired,
        digest.algorithm,
        digest.value,
        pack_holders(held.holders),
    )
    return (*columns, _checksum(*columns))


def _checksum(*columns: Any) -> int:
    *fixed, holders = columns
    return crc32(holders, _fixed_checksum(*fixed))


def _fixed_checksum(
    file_id: bytes, chunk_no: int, place: int, length: int, desired: int, algorithm: str, digest: bytes
) -> int:
    fixed = _CHECKED.pack(file_id, chunk_no, place, length, desired)
    return crc32(b"%b%b\0%b" % (fixed, algorithm.encode(), digest))
