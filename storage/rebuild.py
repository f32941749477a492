"""Making the index anew from the slots of a store that nobody uses (SPEC.md 9.26, 9.27)."""

from __future__ import annotations

from contextlib import closing, suppress
from sqlite3 import Connection

from attrs import define, evolve, field

from protocol.values import PeerId
from storage.catalog import CATALOG_SCHEMA, SqliteCatalog
from storage.database import (
    Database,
    check_content,
    check_header,
    create_database,
    open_database,
    open_reader,
)
from storage.disk import IDisk
from storage.errors import StorageError, StoreNewer
from storage.interfaces import HeldChunk
from storage.layout import Layout
from storage.locking import stopped_store
from storage.opening import CAPACITY_OPTION_SETTING, kept_owner
from storage.sealing import break_seals
from storage.segment_rows import PUT_SEGMENT, Segment, segment_row
from storage.segments import SegmentFiles, locate, segment_numbers
from storage.slot import HEADER_BYTES, VERSION, SlotDamaged, SlotHeader, SlotNewer
from storage.slot_rows import (
    DELETE,
    HIDE_UNCONFIRMED,
    INDEX_SCHEMA,
    INSERT,
    SELECT_ANY,
    PlacedChunk,
    insert_row,
    placed_chunk,
)
from storage.slot_store import CAPACITY_SETTING
from storage.survey import survey


@define
class RebuildReport:
    """What was found in the slots."""

    chunks: int = 0
    files: int = 0
    body_bytes: int = 0
    damaged_slots: int = 0
    """Slots that hold no whole chunk. Their space is given back at the next start."""
    older_slots: int = 0
    """Slots with a chunk that another slot has from a later batch. Their space is given back, too."""
    capacity_bytes: int | None = None
    """None: the old index doesn't tell it any more. The option of the next start is obeyed."""


def rebuild(disk: IDisk, root: str) -> RebuildReport:
    """Make the index of the store in a folder anew. The old one is kept beside it.

    Raises StoreMissing, StoreLocked, StoreNewer, CatalogDamaged, DiskFull, DiskFailed, OSError. What it raises
    before the new index is whole leaves the old one as it is.
    """
    with stopped_store(disk, root) as layout:
        check_header(disk, layout.catalog, CATALOG_SCHEMA)
        check_content(disk, layout.catalog, CATALOG_SCHEMA)
        break_seals(disk, layout)
        with closing(SqliteCatalog.open(disk=disk, layout=layout)) as catalog:
            new = _NewIndex(disk, layout, kept_owner(layout, catalog), layout.index + ".rebuilt")
            report = new.make()
            if report.capacity_bytes is None:
                catalog.set_setting(CAPACITY_OPTION_SETTING, "")
            new.put_in_place()
    return report


@define(eq=False)
class _NewIndex:
    _disk: IDisk
    _layout: Layout
    _owner: PeerId
    _path: str
    _report: RebuildReport = field(factory=RebuildReport, init=False)
    _segments: dict[int, Segment] = field(factory=dict, init=False)

    def make(self) -> RebuildReport:
        """Make the new index under another name."""
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self._disk.remove(self._path + suffix)
        create_database(self._disk, self._path, INDEX_SCHEMA)
        with closing(open_database(self._disk, self._path, INDEX_SCHEMA)) as index:
            folder = self._layout.chunks
            for number in segment_numbers(self._disk, folder) if self._disk.exists(folder) else ():
                with index.transaction(is_promise=False) as connection:
                    self._read_segment(connection, number)
            with index.transaction() as connection:
                connection.executemany(PUT_SEGMENT, map(segment_row, self._segments.values()))
                self._report.files = connection.execute("SELECT count(*) FROM hidden").fetchone()[0]
            self._keep_capacity(index)
        return self._report

    def put_in_place(self) -> None:
        """Give the new index the name of the old one, which gets another."""
        disk, path = self._disk, self._layout.index
        if disk.exists(path):
            disk.rename(path, path + ".damaged")
        for suffix in ("-wal", "-shm"):
            # Of the old one: the new one must not be taken for what they are about.
            with suppress(FileNotFoundError):
                disk.remove(path + suffix)
        disk.sync_directory(self._layout.root)
        disk.rename(self._path, path)
        disk.sync_directory(self._layout.root)

    def _read_segment(self, connection: Connection, number: int) -> None:
        # Open: what is in its other slots is given back at the next start.
        self._segments[number] = Segment(number, is_open=True)
        for slot in survey(self._disk, self._layout.chunks, number):
            try:
                header = slot.header()
            except SlotDamaged:
                self._report.damaged_slots += 1
            except SlotNewer as error:
                raise StoreNewer(self._layout.chunks, found=error.args[0], known=VERSION) from error
            else:
                self._take(connection, header, slot.place)

    def _take(self, connection: Connection, header: SlotHeader, place: int) -> None:
        row = connection.execute(SELECT_ANY, header.chunk_id).fetchone()
        if row is not None:
            self._report.older_slots += 1
            other = placed_chunk(row)
            if self._batch_at(other.place) > header.batch:
                return
            connection.execute(DELETE, header.chunk_id)
            self._count(other, -1)
        placed = PlacedChunk(
            HeldChunk(
                header.chunk_id, header.length, header.desired, header.digest, frozenset({self._owner})
            ),
            place,
        )
        connection.execute(INSERT, insert_row(placed))
        connection.execute(HIDE_UNCONFIRMED, (header.chunk_id.file_id,))
        self._count(placed, 1)
        number, _ = locate(place)
        segment = self._segments[number]
        self._segments[number] = evolve(segment, batch=max(segment.batch, header.batch))

    def _count(self, placed: PlacedChunk, sign: int) -> None:
        number, slot = locate(placed.place)
        segment = self._segments[number]
        self._segments[number] = evolve(
            segment,
            used=segment.used ^ (1 << slot),
            chunks=segment.chunks + sign,
            charged_bytes=segment.charged_bytes + sign * placed.held.charged_bytes,
        )
        self._report.chunks += sign
        self._report.body_bytes += sign * placed.held.length

    def _batch_at(self, place: int) -> int:
        files = SegmentFiles(self._disk, self._layout.chunks, is_writable=False)
        with closing(files):
            return SlotHeader.parse(files.read(place, HEADER_BYTES) or b"").batch

    def _keep_capacity(self, index: Database) -> None:
        for path in (self._layout.index, self._layout.index + ".damaged"):
            with suppress(StorageError, OSError):
                check_header(self._disk, path, INDEX_SCHEMA)
                with closing(open_reader(self._disk, path, INDEX_SCHEMA)) as old:
                    kept = old.setting(CAPACITY_SETTING)
                if kept is not None and kept.isdecimal():
                    self._report.capacity_bytes = int(kept)
                    index.set_setting(CAPACITY_SETTING, kept)
                    return
