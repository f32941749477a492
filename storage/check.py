"""Reading all of a store that nobody uses, to see whether anything in it isn't what it was (SPEC.md 9.28)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from attrs import define, field

from storage.bits import bits_of, slots_of
from storage.catalog import CATALOG_SCHEMA
from storage.catalog_rows import SELECT_EVERY_CHUNK, SELECT_VERSIONS, file_version, home_chunk
from storage.database import Database, Schema, check_content, check_header
from storage.disk import IDisk
from storage.errors import StorageError, printable
from storage.layout import Layout
from storage.locking import stopped_store
from storage.sealing import broken_seals
from storage.segment_rows import Segment
from storage.segments import locate, place_of, segment_name, segment_numbers
from storage.slot import SlotDamaged, SlotHeader, SlotNewer
from storage.slot_rows import INDEX_SCHEMA, SELECT_ALL, PlacedChunk, RowDamaged, placed_chunk
from storage.slot_space import segments_in
from storage.slot_store import CAPACITY_SETTING, IS_CLOSED_SETTING
from storage.survey import FoundSlot, is_overlong, survey


@define
class CheckReport:
    """What was read, and how much of it is wrong."""

    chunks: int = 0
    """Whole copies that are where the index says, or, without an index, in any slot."""
    body_bytes: int = 0
    has_index: bool = True
    """Whether there is an index that says where they are to be."""
    is_sealed: bool = False
    """Whether the store was closed in order. If not, a byte of a database that means nothing isn't looked at."""
    wrong: int = 0
    """How many things are wrong. Each was told."""


def check(disk: IDisk, root: str, tell: Callable[[str], None]) -> CheckReport:
    """Read the store in a folder; ``tell`` is given a sentence for each thing that is wrong.

    Raises StoreMissing, StoreLocked, StoreUnusable, OSError.
    """
    with stopped_store(disk, root) as layout:
        checking = _Check(disk, layout, tell)
        checking.run()
    return checking.report


@define(eq=False)
class _Check:
    _disk: IDisk
    _layout: Layout
    _tell: Callable[[str], None]
    report: CheckReport = field(factory=CheckReport, init=False)

    def run(self) -> None:
        layout = self._layout
        broken = broken_seals(self._disk, layout) if self._are_there(layout.catalog, layout.index) else []
        self.report.is_sealed = broken is not None
        for name in broken or ():
            self._wrong(f"{name} isn't what it was when the store was closed")
        catalog = self._open(layout.catalog, CATALOG_SCHEMA)
        if catalog is not None:
            with closing(catalog):
                self._check_catalog(catalog)
        index = self._open(layout.index, INDEX_SCHEMA)
        if index is None:
            self._check_slots_alone()
            return
        with closing(index):
            try:
                if not (index.setting(CAPACITY_SETTING) or "0").isdecimal():
                    self._wrong("the index has no capacity")
                if not self.report.is_sealed and index.setting(IS_CLOSED_SETTING) == "1":
                    self._wrong("the seals of a store that was closed in order are gone")
                self._check_index(index, segments_in(index))
            except StorageError as error:
                self._wrong(str(error))
                self._check_slots_alone()

    def _wrong(self, sentence: str) -> None:
        self.report.wrong += 1
        self._tell(printable(sentence))

    def _are_there(self, *paths: str) -> bool:
        return all(self._disk.exists(path) for path in paths)

    def _open(self, path: str, schema: Schema) -> Database | None:
        try:
            check_header(self._disk, path, schema)
            check_content(self._disk, path, schema)
        except StorageError as error:
            self._wrong(str(error))
            return None
        return Database(path, self._disk.connect(path, read_only=True), schema)

    def _check_catalog(self, catalog: Database) -> None:
        for statement, read in ((SELECT_VERSIONS, file_version), (SELECT_EVERY_CHUNK, home_chunk)):
            for row in catalog.each_row(statement):
                try:
                    read(row)
                except (TypeError, ValueError) as error:
                    self._wrong(f"a row of the catalog can't be read: {error}")

    def _check_slots_alone(self) -> None:
        """Without an index all that can be said of a slot is whether it is whole."""
        self.report.chunks, self.report.body_bytes, self.report.has_index = 0, 0, False
        folder = self._layout.chunks
        for number in segment_numbers(self._disk, folder) if self._disk.exists(folder) else ():
            for slot in survey(self._disk, folder, number):
                header = self._header(slot)
                if header is not None:
                    self.report.chunks += 1
                    self.report.body_bytes += header.length

    def _check_index(self, index: Database, segments: list[Segment]) -> None:
        folder = self._layout.chunks
        present = segment_numbers(self._disk, folder) if self._disk.exists(folder) else []
        known = {segment.number: segment for segment in segments}
        for number in present:
            if number not in known:
                self._wrong(f"{segment_name(number)} isn't known to the index")
        rows = _Rows(self._placed(index))
        can_punch = index.setting("can_punch") != "0"
        for segment in segments:
            is_there = segment.number in present
            if segment.chunks and not is_there:
                self._wrong(f"{segment_name(segment.number)} is gone, with {segment.chunks} chunks")
            self._check_segment(segment, rows.of_segment(segment.number), is_there, can_punch)
        for placed in rows.rest():
            self._wrong(f"chunk {placed.held.chunk_id} is in a segment that there isn't")

    def _placed(self, index: Database) -> Iterator[PlacedChunk]:
        for row in index.each_row(SELECT_ALL):
            try:
                yield placed_chunk(row)
            except RowDamaged as error:
                self._wrong(f"the row of chunk {error.args[0]!r}/{error.args[1]} in the index is damaged")

    def _check_segment(
        self, segment: Segment, rows: dict[int, PlacedChunk], is_there: bool, can_punch: bool
    ) -> None:
        name = segment_name(segment.number)
        owned = bits_of(locate(place)[1] for place in rows)
        charged = sum(placed.held.charged_bytes for placed in rows.values())
        for which in slots_of(owned ^ (segment.used & ~segment.freeing)):
            self._wrong(f"slot {which} of {name} is in use and has no row, or the other way round")
        if segment.freeing & ~segment.used or owned & segment.freeing:
            self._wrong(f"{name} has slots that are being freed and aren't in use, or hold a chunk")
        if (segment.chunks, segment.charged_bytes) != (len(rows), charged):
            self._wrong(f"the index has miscounted the chunks in {name}")
        if not is_there:
            return
        folder = self._layout.chunks
        missing = dict(rows)
        for slot in survey(self._disk, folder, segment.number):
            placed = missing.pop(slot.place, None)
            _, which = locate(slot.place)
            if placed is not None:
                self._check_chunk(slot, placed, can_punch)
            elif not (segment.is_open or segment.freeing >> which & 1) and can_punch:
                self._wrong(f"slot {which} of {name} should be empty")
        for placed in missing.values():
            self._wrong(f"chunk {placed.held.chunk_id} is gone from {name}")
        if is_overlong(self._disk, folder, segment.number):
            self._wrong(f"there is something behind the last slot of {name}")

    def _check_chunk(self, slot: FoundSlot, placed: PlacedChunk, can_punch: bool) -> None:
        header = self._header(slot)
        held = placed.held
        if header is None:
            return
        found = (header.chunk_id, header.length, header.digest)
        if found != (held.chunk_id, held.length, held.digest) or header.desired > held.desired:
            self._wrong(f"{_where(slot)} holds something else than chunk {held.chunk_id}, as the index says")
        elif can_punch and not slot.ends_well(header):
            self._wrong(f"{_where(slot)} is cut short, or has something behind chunk {held.chunk_id}")
        else:
            self.report.chunks += 1
            self.report.body_bytes += held.length

    def _header(self, slot: FoundSlot) -> SlotHeader | None:
        try:
            return slot.header()
        except SlotDamaged as error:
            self._wrong(f"{_where(slot)} is damaged: {error}")
        except SlotNewer as error:
            self._wrong(f"{_where(slot)} is of version {error.args[0]}: a newer program has written it")
        return None


@define(eq=False)
class _Rows:
    """Rows by place, taken a segment at a time: a million of them need not be in memory together."""

    _rows: Iterator[PlacedChunk]
    _next: PlacedChunk | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._next = next(self._rows, None)

    def of_segment(self, number: int) -> dict[int, PlacedChunk]:
        """Those of a segment, by place; a later call may only ask for a later segment."""
        found: dict[int, PlacedChunk] = {}
        while self._next is not None and self._next.place < place_of(number + 1, 0):
            found[self._next.place] = self._next
            self._next = next(self._rows, None)
        return found

    def rest(self) -> Iterator[PlacedChunk]:
        """Those that are left."""
        while self._next is not None:
            yield self._next
            self._next = next(self._rows, None)


def _where(slot: FoundSlot) -> str:
    number, which = locate(slot.place)
    return f"slot {which} of {segment_name(number)}"
