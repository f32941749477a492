"""The chunk store of files: an index in SQLite and one file a body.

The order that keeps every promise through a loss of power: a body is on the disk before its row, and the row
before the answer; a row is gone from the disk before its body is removed. Whatever happens in between leaves
a body without a row, which the next start removes (SPEC.md 9.8).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from attrs import define, evolve
from zope.interface import implementer

from protocol.digest import Digest
from protocol.values import ChunkId, FileId
from storage.bodies import Bodies
from storage.capacity import charged_bytes
from storage.database import Database, Row, Schema, open_database, open_reader
from storage.disk import IDisk
from storage.errors import CatalogDamaged, DiskFailed, DiskFull
from storage.holders import with_note
from storage.index_rows import (
    BEFORE_ALL,
    DELETE,
    INSERT,
    SELECT_IDS,
    SELECT_OF_FILE,
    SELECT_ONE,
    SELECT_OVER_REPLICATED,
    SELECT_PAGE,
    SELECT_TOTALS,
    UPDATE,
    held_chunk,
    ids_in_folder,
    insert_row,
    update_row,
)
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
from storage.layout import Layout, body_name

INDEX_SCHEMA: Final = Schema("index", application_id=0x6270_6978, version=1)

DELETE_STEP: Final = 10_000
"""Chunks of a file that are deleted in one transaction: what bounds the memory that a deletion needs."""


@implementer(IChunkStore)
@define(eq=False)
class FileChunkStore:
    """See IChunkStore. Made by ``FileChunkStore.open``."""

    _disk: IDisk
    _layout: Layout
    _index: Database
    _reader: Database
    _bodies: Bodies
    _capacity_bytes: int
    _used_bytes: int
    _chunks: int

    @classmethod
    def open(cls, *, disk: IDisk, layout: Layout) -> FileChunkStore:
        """Open the store of a checked index; its capacity is 0 until one is set.

        What a crash has left without a row is removed. Raises StorageError, OSError.
        """
        with ExitStack() as opened:
            index = open_database(disk, layout.index, INDEX_SCHEMA)
            opened.callback(index.close)
            reader = open_reader(disk, layout.index)
            opened.callback(reader.close)
            bodies = Bodies(disk, layout)
            bodies.prepare()
            if index.setting("is_clean") != "1":
                bodies.remove_orphans(lambda folder: _held_in(index, folder))
            index.set_setting("is_clean", "0")
            kept = index.setting("capacity_bytes") or "0"
            if not kept.isdecimal():
                raise CatalogDamaged(layout.index, "it has no capacity")
            chunks, used_bytes = index.rows(SELECT_TOTALS)[0]
            opened.pop_all()
        return cls(disk, layout, index, reader, bodies, int(kept), used_bytes, chunks)

    def put(self, chunks: Sequence[ChunkToStore]) -> list[PutOutcome]:
        """See IChunkStore."""
        return [outcome for run in _without_repeats(chunks) for outcome in self._put_distinct(run)]

    def get(self, chunk_ids: Sequence[ChunkId]) -> list[ReadOutcome]:
        """See IChunkStore."""
        return [self._read(chunk_id) for chunk_id in chunk_ids]

    def describe(self, chunk_ids: Sequence[ChunkId]) -> list[HeldChunk | None]:
        """See IChunkStore."""
        return [self._held(chunk_id) for chunk_id in chunk_ids]

    def delete(self, chunk_ids: Sequence[ChunkId]) -> list[bool]:
        """See IChunkStore."""
        held = {chunk.chunk_id: chunk for chunk in self.describe(chunk_ids) if chunk is not None}
        self._drop(held.values())
        return [held.pop(chunk_id, None) is not None for chunk_id in chunk_ids]

    def delete_files(self, file_ids: Sequence[FileId]) -> list[int]:
        """See IChunkStore."""
        return [self._delete_file(file_id) for file_id in file_ids]

    def note_holders(self, notes: Sequence[HolderNote]) -> list[HolderChange | None]:
        """See IChunkStore."""
        before = {note.chunk_id: self._held(note.chunk_id) for note in notes}
        now = dict(before)
        changes: list[HolderChange | None] = []
        for note in notes:
            held = now[note.chunk_id]
            if held is None:
                changes.append(None)
                continue
            holders = with_note(held.holders, note.peer_id, holds=note.holds)
            was_news = holders is not held.holders
            if was_news:
                now[note.chunk_id] = held = evolve(held, holders=holders)
            changes.append(HolderChange(note.chunk_id, was_news, held.perceived, held.desired))
        changed = [
            held for chunk_id, held in now.items() if held is not None and held is not before[chunk_id]
        ]
        if changed:
            with self._index.transaction(is_promise=False) as connection:
                connection.executemany(UPDATE, map(update_row, changed))
        return changes

    def page(self, after: ChunkId | None, limit: int) -> list[HeldChunk]:
        """See IChunkStore."""
        return [self._chunk_of(row) for row in self._index.rows(SELECT_PAGE, (*(after or BEFORE_ALL), limit))]

    def over_replicated(self, after: ChunkId | None, limit: int) -> list[HeldChunk]:
        """See IChunkStore."""
        return [
            self._chunk_of(row)
            for row in self._index.rows(SELECT_OVER_REPLICATED, (*(after or BEFORE_ALL), limit))
        ]

    def usage(self) -> StoreUsage:
        """See IChunkStore."""
        free = self._disk.free_bytes(self._layout.root)
        return StoreUsage(self._capacity_bytes, self._used_bytes, self._chunks, free)

    def set_capacity(self, capacity_bytes: int) -> None:
        """See IChunkStore."""
        if capacity_bytes < 0:
            raise ValueError(f"no store can have a capacity of {capacity_bytes} bytes")
        self._index.set_setting("capacity_bytes", str(capacity_bytes))
        self._capacity_bytes = capacity_bytes

    def close(self) -> None:
        """See IChunkStore."""
        self._bodies.sync_removals()
        if not self._bodies.leaves_orphans:
            self._index.set_setting("is_clean", "1")
        self._reader.close()
        self._index.close()

    def _put_distinct(self, chunks: Sequence[ChunkToStore]) -> list[PutOutcome]:
        outcomes: list[PutOutcome] = []
        changed: list[HeldChunk] = []
        to_write: list[ChunkToStore] = []
        room = self._capacity_bytes - self._used_bytes
        for chunk in chunks:
            held = self._held(chunk.chunk_id)
            if held is None:
                charge = charged_bytes(len(chunk.body))
                if charge > room:
                    outcomes.append(PutOutcome.NO_ROOM)
                    continue
                room -= charge
                to_write.append(chunk)
                outcomes.append(PutOutcome.STORED)
            elif held.digest.matches(chunk.body):
                merged = evolve(
                    held, desired=max(held.desired, chunk.desired), holders=held.holders | chunk.holders
                )
                if merged != held:
                    changed.append(merged)
                outcomes.append(PutOutcome.HELD)
            else:
                outcomes.append(PutOutcome.CONFLICT)
        failed = self._store(to_write, changed)
        return [
            PutOutcome.FAILED if chunk.chunk_id in failed else outcome
            for chunk, outcome in zip(chunks, outcomes, strict=True)
        ]

    def _store(self, chunks: Sequence[ChunkToStore], changed: Sequence[HeldChunk]) -> set[ChunkId]:
        """Write new chunks and what has changed of held ones; gives those that the disk refused."""
        if not chunks and not changed:
            return set()
        written = self._bodies.write([(chunk.chunk_id, chunk.body) for chunk in chunks])
        new = [
            HeldChunk(chunk.chunk_id, len(chunk.body), chunk.desired, Digest.of(chunk.body), chunk.holders)
            for chunk, is_written in zip(chunks, written, strict=True)
            if is_written
        ]
        try:
            with self._index.transaction() as connection:
                connection.executemany(INSERT, map(insert_row, new))
                connection.executemany(UPDATE, map(update_row, changed))
        except (DiskFull, DiskFailed):
            self._bodies.remove(held.chunk_id for held in new)
            return {chunk.chunk_id for chunk in chunks} | {held.chunk_id for held in changed}
        self._chunks += len(new)
        self._used_bytes += sum(held.charged_bytes for held in new)
        return {chunk.chunk_id for chunk, is_written in zip(chunks, written, strict=True) if not is_written}

    def _read(self, chunk_id: ChunkId) -> ReadOutcome:
        # The chunk may be deleted, and even stored anew with another body, between the look into the index
        # and the look into the file. So a file is damaged only if it isn't what the index says twice over.
        failed: Digest | None = None
        while True:
            row = self._reader.row(SELECT_ONE, chunk_id)
            if row is None:
                return ReadOutcome(None)
            held = self._chunk_of(row)
            body = self._bodies.read(chunk_id, held.length)
            if body is not None and held.digest.matches(body):
                return ReadOutcome(body)
            if held.digest == failed:
                return ReadOutcome(None, is_damaged=True)
            failed = held.digest

    def _held(self, chunk_id: ChunkId) -> HeldChunk | None:
        row = self._index.row(SELECT_ONE, chunk_id)
        return None if row is None else self._chunk_of(row)

    def _chunk_of(self, row: Row) -> HeldChunk:
        try:
            return held_chunk(row)
        except (TypeError, ValueError) as error:
            raise CatalogDamaged(self._index.path, str(error)) from error

    def _delete_file(self, file_id: FileId) -> int:
        deleted = 0
        while rows := self._index.rows(SELECT_OF_FILE, (file_id, DELETE_STEP)):
            self._drop([self._chunk_of(row) for row in rows])
            deleted += len(rows)
        return deleted

    def _drop(self, chunks: Collection[HeldChunk]) -> None:
        if not chunks:
            return
        with self._index.transaction() as connection:
            connection.executemany(DELETE, (held.chunk_id for held in chunks))
        self._chunks -= len(chunks)
        self._used_bytes -= sum(held.charged_bytes for held in chunks)
        self._bodies.remove(held.chunk_id for held in chunks)


def _without_repeats(chunks: Sequence[ChunkToStore]) -> Iterator[Sequence[ChunkToStore]]:
    """The batch, cut where a chunk comes again: what is said of it depends on what became of the first."""
    start = 0
    seen: set[ChunkId] = set()
    for place, chunk in enumerate(chunks):
        if chunk.chunk_id in seen:
            yield chunks[start:place]
            start = place
            seen.clear()
        seen.add(chunk.chunk_id)
    yield chunks[start:]


def _held_in(index: Database, folder: str) -> set[str]:
    return {
        body_name(ChunkId(file_id, chunk_no))
        for file_id, chunk_no in index.rows(SELECT_IDS, ids_in_folder(folder))
    }
