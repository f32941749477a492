"""Chunks as rows of the index (``schema/index.sql``), and the statements that read and write them."""

from __future__ import annotations

from typing import Final

from protocol.digest import Digest
from protocol.values import ChunkId, FileId
from storage.database import Row
from storage.holders import pack_holders, unpack_holders
from storage.interfaces import HeldChunk
from storage.layout import body_folder

_COLUMNS = "file_id, chunk_no, length, desired, algorithm, digest, holders"
_NEXT = "(file_id, chunk_no) > (?, ?) ORDER BY file_id, chunk_no LIMIT ?"

BEFORE_ALL: Final = (b"", -1)
"""What SELECT_PAGE and SELECT_OVER_REPLICATED take in place of a chunk's id to begin with the first."""

SELECT_ONE: Final = f"SELECT {_COLUMNS} FROM chunks WHERE file_id = ? AND chunk_no = ?"
SELECT_PAGE: Final = f"SELECT {_COLUMNS} FROM chunks WHERE {_NEXT}"
SELECT_OVER_REPLICATED: Final = f"SELECT {_COLUMNS} FROM chunks WHERE perceived > desired AND {_NEXT}"
SELECT_OF_FILE: Final = f"SELECT {_COLUMNS} FROM chunks WHERE file_id = ? LIMIT ?"
SELECT_IDS: Final = "SELECT file_id, chunk_no FROM chunks WHERE file_id BETWEEN ? AND ?"
# The sum is that of storage.capacity.charged_bytes.
SELECT_TOTALS: Final = (
    "SELECT count(*), coalesce(sum(max(4000, (length + 3999) / 4000 * 4000)), 0) FROM chunks"
)
INSERT: Final = f"INSERT INTO chunks ({_COLUMNS}, perceived) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
UPDATE: Final = "UPDATE chunks SET desired = ?, holders = ?, perceived = ? WHERE file_id = ? AND chunk_no = ?"
DELETE: Final = "DELETE FROM chunks WHERE file_id = ? AND chunk_no = ?"


def held_chunk(row: Row) -> HeldChunk:
    """The chunk of a row that SELECT_ONE and its like give. ValueError, TypeError: no chunk is like that."""
    file_id, chunk_no, length, desired, algorithm, digest, holders = row
    chunk_id = ChunkId(FileId(file_id), chunk_no)
    return HeldChunk(chunk_id, length, desired, Digest(algorithm, digest), unpack_holders(holders))


def insert_row(held: HeldChunk) -> Row:
    """What INSERT takes."""
    digest = held.digest
    holders = pack_holders(held.holders)
    return (
        *held.chunk_id,
        held.length,
        held.desired,
        digest.algorithm,
        digest.value,
        holders,
        held.perceived,
    )


def update_row(held: HeldChunk) -> Row:
    """What UPDATE takes."""
    return (held.desired, pack_holders(held.holders), held.perceived, *held.chunk_id)


def ids_in_folder(folder: str) -> Row:
    """What SELECT_IDS takes to give the chunks whose bodies are in the folder of that name."""
    first = bytes.fromhex(folder)
    lowest, highest = FileId(first + bytes(31)), FileId(first + b"\xff" * 31)
    assert body_folder(lowest) == body_folder(highest) == folder
    return (lowest, highest)
