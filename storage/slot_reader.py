"""Reading chunks out of their slots, beside whoever writes and deletes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from attrs import define

from protocol.values import Body, ChunkId, FileId
from storage.database import Database, Row, open_reader
from storage.disk import IDisk
from storage.interfaces import HeldChunk, ReadOutcome
from storage.layout import Layout
from storage.reads import Reads
from storage.scrub import ScrubBatch
from storage.segments import SegmentFiles
from storage.slot import HEADER_BYTES, SlotDamaged, SlotHeader, SlotNewer, body_of
from storage.slot_rows import (
    BEFORE_ALL,
    INDEX_SCHEMA,
    SELECT_PAGE,
    SELECT_SHOWN,
    PlacedChunk,
    RowDamaged,
    placed_chunk,
)


@define(eq=False)
class SlotReader:
    """Reads for one thread, which needs not be the one that writes."""

    _index: Database
    _files: SegmentFiles
    _reads: Reads

    @classmethod
    def open(cls, *, disk: IDisk, layout: Layout, reads: Reads) -> SlotReader:
        """Open the index and the segments a second time. Raises StorageError."""
        index = open_reader(disk, layout.index, INDEX_SCHEMA)
        return cls(index, SegmentFiles(disk, layout.chunks, is_writable=False), reads)

    def read(self, chunk_ids: Sequence[ChunkId]) -> list[ReadOutcome]:
        """As ``IChunkStore.get``."""
        with self._reads.reading():
            return [self._read(chunk_id) for chunk_id in chunk_ids]

    def scrub(self, after: ChunkId | None, limit: int) -> ScrubBatch:
        """As ``IChunkStore.scrub``."""
        count = limit + 1
        while True:
            rows = self._index.rows(SELECT_PAGE, (*(after or BEFORE_ALL), count))
            named = _named(rows)
            is_full = len(rows) == count
            if named or not is_full:
                break
            # There are others behind those that name no chunk.
            count *= 2
        read = named[:limit]
        with self._reads.reading():
            damaged = tuple(chunk_id for chunk_id in read if self._read(chunk_id, is_scrub=True).is_damaged)
        has_more = is_full or len(named) > limit
        return ScrubBatch(len(read), damaged, read[-1] if has_more else None)

    def close(self) -> None:
        """Let go of the disk."""
        self._files.close()
        self._index.close()

    def _read(self, chunk_id: ChunkId, *, is_scrub: bool = False) -> ReadOutcome:
        # The chunk may be deleted, and even stored anew elsewhere, between the look into the index and the
        # look into the slot. But no slot gets another chunk while we read. So if the index still says after
        # that what it said before, these are the bytes that it speaks of.
        spoilt: PlacedChunk | None = None
        while True:
            row = self._index.row(SELECT_SHOWN, chunk_id)
            if row is None:
                return ReadOutcome(None)
            try:
                placed = placed_chunk(row)
            except RowDamaged:
                return ReadOutcome(None, is_damaged=True)
            if is_scrub:
                # What the system remembers of it may be better than what is on the disk, and is nobody's need.
                self._files.drop_cached(placed.place)
            body = read_body(self._files, placed)
            if is_scrub:
                self._files.drop_cached(placed.place)
            if body is not None:
                return ReadOutcome(body)
            if spoilt is not None and spoilt.place == placed.place:
                return ReadOutcome(None, is_damaged=True)
            spoilt = placed


def _named(rows: Sequence[Row]) -> list[ChunkId]:
    """The chunks that rows name. One that names none can't be dropped by its name: the check tells of it."""
    named: list[ChunkId] = []
    for file_id, chunk_no, *_ in rows:
        with suppress(TypeError, ValueError):
            named.append(ChunkId(FileId(file_id), chunk_no))
    return named


def holds_body(files: SegmentFiles, placed: PlacedChunk, body: Body) -> bool:
    """Whether just these bytes are in a slot, as the chunk that belongs there. Raises DiskFailed."""
    if len(body) != placed.held.length:
        return False
    data = files.read(placed.place, HEADER_BYTES + len(body))
    if data is None or len(data) != HEADER_BYTES + len(body) or not data.endswith(body):
        return False
    return _is_slot_of(data, placed.held)


def read_body(files: SegmentFiles, placed: PlacedChunk) -> Body | None:
    """The body in a slot; None: it isn't the chunk that belongs there, or isn't whole. Raises DiskFailed."""
    held = placed.held
    data = files.read(placed.place, HEADER_BYTES + held.length)
    if data is None:
        return None
    return body_of(data, held.digest, held.length) if _is_slot_of(data, held) else None


def _is_slot_of(data: bytes, held: HeldChunk) -> bool:
    try:
        header = SlotHeader.parse(data)
    except (SlotDamaged, SlotNewer):
        return False
    return (header.chunk_id, header.length, header.digest) == (held.chunk_id, held.length, held.digest)
