"""The chunk store of slots: an index in SQLite, and the bodies in slots of large sparse files.

The order that keeps every promise through a loss of power (SPEC.md 9.8): the slots of a batch are written, then
synced, all of a segment at once; then the index is committed; then the chunks are acknowledged. A row is gone
from the disk before its slot is freed. ``storage.slot_space`` tells what becomes of slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Final

from attrs import define
from zope.interface import implementer

from protocol.digest import Digest
from protocol.values import Body, ChunkId, FileId
from storage.capacity import RESERVE_BYTES
from storage.database import Database, Row, open_database
from storage.disk import IDisk
from storage.errors import DiskFailed, DiskFull, IndexDamaged, disk_trouble
from storage.interfaces import (
    ChunkToStore,
    HeldChunk,
    HolderChange,
    HolderNote,
    IChunkStore,
    PutOutcome,
    ReadOutcome,
    StoreUsage,
)
from storage.layout import Layout
from storage.reads import Reads
from storage.scrub import ScrubBatch, ScrubMark
from storage.segments import SegmentFiles, locate
from storage.slot_batch import SlotBatch, without_repeats
from storage.slot_reader import SlotReader
from storage.slot_rows import (
    BEFORE_ALL,
    CONFIRM,
    DELETE,
    FORGET_GONE,
    HAS_UNCONFIRMED,
    HIDE_DELETED,
    INDEX_SCHEMA,
    INSERT,
    SELECT_DELETED,
    SELECT_OF_FILE,
    SELECT_OVER_REPLICATED,
    SELECT_PAGE,
    SELECT_UNCONFIRMED,
    SHOW,
    UPDATE,
    UPDATE_HOLDERS,
    KnownHolders,
    PlacedChunk,
    RowDamaged,
    insert_row,
    placed_chunk,
    rows_of,
    update_row,
)
from storage.slot_space import SlotSpace
from storage.slot_writer import SlotWriter

CAPACITY_SETTING: Final = "capacity_bytes"
IS_CLOSED_SETTING: Final = "is_closed"
SCRUB_SETTING: Final = "scrub_mark"

DELETE_SLICE: Final = 512
"""Chunks that one call of ``delete_files`` drops: some 10 ms if they are adjacent, 100 ms if they are not."""

DigestAll = Callable[[Sequence[Body]], Iterable[Digest]]
"""Gives the digest of each of some bodies, in their order. It may work ahead, in threads of its own."""


def digest_in_turn(bodies: Sequence[Body]) -> Iterator[Digest]:
    """The digests of bodies, each made when it is asked for."""
    return map(Digest.of, bodies)


@implementer(IChunkStore)
@define(eq=False)
class SlotChunkStore:
    """See IChunkStore. Made by ``SlotChunkStore.open``."""

    _disk: IDisk
    _layout: Layout
    _index: Database
    _files: SegmentFiles
    _reader: SlotReader
    _space: SlotSpace
    _digest_all: DigestAll
    _capacity_bytes: int
    _has_unconfirmed: bool
    _deleting: set[FileId]
    """Files that are deleted, and some of whose chunks have yet to be dropped."""

    @classmethod
    def open(cls, *, disk: IDisk, layout: Layout, digest_all: DigestAll = digest_in_turn) -> SlotChunkStore:
        """Open the store of a checked index; its capacity is 0 until one is set.

        What a crash has left in slots that no row has is given back. Raises StorageError, OSError.
        """
        with ExitStack() as opened:
            index = open_database(disk, layout.index, INDEX_SCHEMA)
            opened.callback(index.close)
            disk.make_directory(layout.chunks)
            files = SegmentFiles(disk, layout.chunks, is_writable=True)
            opened.callback(files.close)
            reads = Reads()
            reader = SlotReader.open(disk=disk, layout=layout, reads=reads)
            opened.callback(reader.close)
            space = SlotSpace.open(index=index, files=files, reads=reads)
            kept = index.setting(CAPACITY_SETTING) or "0"
            if not kept.isdecimal():
                raise IndexDamaged(layout.index, "it has no capacity")
            has_unconfirmed = index.row(HAS_UNCONFIRMED) is not None
            deleting = {FileId(file_id) for (file_id,) in index.rows(SELECT_DELETED)}
            index.set_setting(IS_CLOSED_SETTING, "0")
            opened.pop_all()
        return cls(
            disk, layout, index, files, reader, space, digest_all, int(kept), has_unconfirmed, deleting
        )

    def put(self, chunks: Sequence[ChunkToStore]) -> list[PutOutcome]:
        """See IChunkStore."""
        return [outcome for run in without_repeats(chunks) for outcome in self._put_distinct(run)]

    def get(self, chunk_ids: Sequence[ChunkId]) -> list[ReadOutcome]:
        """See IChunkStore."""
        return self._reader.read(chunk_ids)

    def describe(self, chunk_ids: Sequence[ChunkId]) -> list[HeldChunk | None]:
        """See IChunkStore."""
        placed = self._placed(chunk_ids)
        return [placed[chunk_id].held if chunk_id in placed else None for chunk_id in chunk_ids]

    def delete(self, chunk_ids: Sequence[ChunkId]) -> list[bool]:
        """See IChunkStore."""
        rows = rows_of(self._index, chunk_ids, is_shown=False)
        if rows:
            self._drop(list(rows.values()))
        return [rows.pop(chunk_id, None) is not None for chunk_id in chunk_ids]

    def delete_files(self, file_ids: Sequence[FileId]) -> list[bool]:
        """See IChunkStore."""
        left = DELETE_SLICE
        are_gone: list[bool] = []
        for file_id in file_ids:
            dropped, is_gone = self._delete_some(file_id, left)
            left -= dropped
            are_gone.append(is_gone)
        return are_gone

    def deletions(self) -> list[FileId]:
        """See IChunkStore."""
        return sorted(self._deleting)

    def note_holders(self, notes: Sequence[HolderNote]) -> list[HolderChange | None]:
        """See IChunkStore."""
        known: dict[ChunkId, KnownHolders] = {}
        changed: dict[ChunkId, KnownHolders] = {}
        for chunk_id, row in rows_of(self._index, [note.chunk_id for note in notes], is_shown=True).items():
            with suppress(RowDamaged):
                known[chunk_id] = KnownHolders.of(row)
        changes: list[HolderChange | None] = []
        for note in notes:
            chunk = known.get(note.chunk_id)
            if chunk is None:
                changes.append(None)
                continue
            was_news = chunk.note(note.peer_id, holds=note.holds)
            if was_news:
                changed[note.chunk_id] = chunk
            changes.append(HolderChange(note.chunk_id, was_news, len(chunk.holders), chunk.desired))
        if changed:
            with self._index.transaction(is_promise=False) as connection:
                connection.executemany(UPDATE_HOLDERS, [chunk.row() for chunk in changed.values()])
        return changes

    def page(self, after: ChunkId | None, limit: int) -> list[HeldChunk]:
        """See IChunkStore."""
        return self._page(SELECT_PAGE, after, limit)

    def over_replicated(self, after: ChunkId | None, limit: int) -> list[HeldChunk]:
        """See IChunkStore."""
        return self._page(SELECT_OVER_REPLICATED, after, limit)

    def unconfirmed(self, after: FileId | None, limit: int) -> list[ChunkId]:
        """See IChunkStore."""
        rows = self._index.rows(SELECT_UNCONFIRMED, (after or b"", limit))
        return [ChunkId(FileId(file_id), chunk_no) for file_id, chunk_no in rows]

    def confirm(self, file_ids: Sequence[FileId]) -> None:
        """See IChunkStore."""
        with self._index.transaction() as connection:
            connection.executemany(CONFIRM, [(file_id,) for file_id in file_ids])
            connection.execute(FORGET_GONE)
        self._has_unconfirmed = self._index.row(HAS_UNCONFIRMED) is not None

    def scrub(self, after: ChunkId | None, limit: int) -> ScrubBatch:
        """See IChunkStore."""
        return self._reader.scrub(after, limit)

    def keep_scrub_mark(self, mark: ScrubMark) -> None:
        """See IChunkStore."""
        self._index.set_setting(SCRUB_SETTING, mark.text(), is_promise=False)

    def scrub_mark(self) -> ScrubMark | None:
        """See IChunkStore."""
        return ScrubMark.of_text(self._index.setting(SCRUB_SETTING) or "")

    def usage(self) -> StoreUsage:
        """See IChunkStore."""
        free = self._disk_free_bytes()
        return StoreUsage(self._capacity_bytes, self._space.charged_bytes, self._space.chunks, free)

    def set_capacity(self, capacity_bytes: int) -> None:
        """See IChunkStore."""
        if capacity_bytes < 0:
            raise ValueError(f"no store can have a capacity of {capacity_bytes} bytes")
        self._index.set_setting(CAPACITY_SETTING, str(capacity_bytes))
        self._capacity_bytes = capacity_bytes

    def close(self) -> None:
        """See IChunkStore."""
        with ExitStack() as closing:
            closing.callback(self._index.close)
            closing.callback(self._files.close)
            closing.callback(self._reader.close)
            closing.callback(self._index.set_setting, IS_CLOSED_SETTING, "1")
            closing.callback(self._space.close)

    def _put_distinct(self, chunks: Sequence[ChunkToStore]) -> list[PutOutcome]:
        batch = SlotBatch(
            files=self._files,
            room=self._capacity_bytes - self._space.charged_bytes,
            disk_room=self._disk_free_bytes() - RESERVE_BYTES,
            touches_all=self._has_unconfirmed,
        )
        known = self._placed([chunk.chunk_id for chunk in chunks], is_shown=False)
        for chunk in chunks:
            if chunk.chunk_id.file_id in self._deleting:
                batch.refuse()
            else:
                batch.look_at(chunk, known.get(chunk.chunk_id))
        failed = self._store(batch) if batch.new or batch.changed else set()
        return [
            PutOutcome.FAILED if chunk.chunk_id in failed else outcome
            for chunk, outcome in zip(chunks, batch.outcomes, strict=True)
        ]

    def _disk_free_bytes(self) -> int:
        try:
            return self._disk.free_bytes(self._layout.root)
        except OSError as error:
            raise disk_trouble(self._layout.root, error) from error

    def _store(self, batch: SlotBatch) -> set[ChunkId]:
        """Write new chunks and what has changed of held ones; gives those that the disk refused."""
        chunks, changed, damaged = batch.new, batch.changed, batch.damaged
        refused = {chunk.chunk_id for chunk in chunks}
        writer = SlotWriter(self._files, self._space)
        try:
            written = writer.write(chunks, self._digest_all([chunk.body for chunk in chunks]))
            # The rows are made while the disk writes. Nothing is committed before it says that it has written.
            with self._index.transaction() as connection:
                connection.executemany(INSERT, map(insert_row, written))
                connection.executemany(UPDATE, map(update_row, changed))
                if self._has_unconfirmed:
                    # Its home sends them: the file hasn't been deleted.
                    files = {placed.held.chunk_id.file_id for placed in (*written, *changed)}
                    connection.executemany(CONFIRM, [(file_id,) for file_id in sorted(files)])
                durable, lost = writer.sync()
                connection.executemany(DELETE, [placed.held.chunk_id for placed in lost])
                connection.executemany(INSERT, map(insert_row, _copies_of(lost, damaged)))
                replaced = _copies_of(durable, damaged)
                taken = self._space.keep(connection, durable, replaced)
        except (DiskFull, DiskFailed):
            writer.discard(is_all=True)
            return refused | {placed.held.chunk_id for placed in changed}
        self._space.adopt(taken)
        writer.discard()
        if replaced:
            self._space.give_back(sorted({locate(placed.place)[0] for placed in replaced}))
        return refused - {placed.held.chunk_id for placed in durable}

    def _delete_some(self, file_id: FileId, limit: int) -> tuple[int, bool]:
        """Drop the first chunks of a file: how many, and whether they were the last.

        What is left is hidden from the first transaction on, so that to everybody else it is deleted.
        """
        rows = self._index.rows(SELECT_OF_FILE, (file_id, limit + 1))
        is_gone = len(rows) <= limit
        if not rows and file_id not in self._deleting:
            return 0, True
        del rows[limit:]
        if is_gone:
            self._drop(rows, (SHOW, (file_id,)))
            self._deleting.discard(file_id)
        else:
            self._drop(rows, (HIDE_DELETED, (file_id,)))
            self._deleting.add(file_id)
        return len(rows), is_gone

    def _drop(self, rows: Sequence[Row], *statements: tuple[str, Row]) -> None:
        placed: list[PlacedChunk] = []
        for row in rows:
            # Where a spoilt row leads may be another chunk's slot, so its slot stays in use.
            with suppress(RowDamaged):
                placed.append(placed_chunk(row))
        with self._index.transaction() as connection:
            connection.executemany(DELETE, [row[:2] for row in rows])
            for statement in statements:
                connection.execute(*statement)
            freeing = self._space.forget(connection, placed)
        self._space.adopt(freeing)
        self._space.give_back([segment.number for segment in freeing])

    def _page(self, statement: str, after: ChunkId | None, limit: int) -> list[HeldChunk]:
        page: list[HeldChunk] = []
        key: Row = after or BEFORE_ALL
        while len(page) < limit and (rows := self._index.rows(statement, (*key, limit - len(page)))):
            key = rows[-1][:2]
            for row in rows:
                try:
                    page.append(placed_chunk(row).held)
                except RowDamaged:
                    continue
        return page

    def _placed(self, chunk_ids: Sequence[ChunkId], *, is_shown: bool = True) -> dict[ChunkId, PlacedChunk]:
        placed: dict[ChunkId, PlacedChunk] = {}
        for chunk_id, row in rows_of(self._index, chunk_ids, is_shown=is_shown).items():
            with suppress(RowDamaged):
                placed[chunk_id] = placed_chunk(row)
        return placed


def _copies_of(placed: Iterable[PlacedChunk], copies: Mapping[ChunkId, PlacedChunk]) -> list[PlacedChunk]:
    """Which of the copies are of these chunks."""
    return [copies[chunk.held.chunk_id] for chunk in placed if chunk.held.chunk_id in copies]
