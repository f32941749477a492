"""Which slots are free, and what becomes of those that aren't any more (SPEC.md 9.19 to 9.22).

What is on the disk at any moment, so that a loss of power at that moment costs nothing:

- A segment is marked open, durably, before a slot of it is written. Only in open segments can there be bytes
  that the index doesn't know; the next start gives their space back.
- A slot is taken into use by the transaction that makes the row of its chunk, after the slot was synced.
- A slot is marked as freeing by the transaction that removes the row. Then its space is given back, that is
  synced, and only after that it is free. The next start does what of this a crash has left undone.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from sqlite3 import Connection

from attrs import define, evolve, field

from storage.bits import bits_of, lowest, runs, slots_of
from storage.database import Database, telling_damage
from storage.disk import IDisk
from storage.errors import DiskFailed, DiskFull, IndexDamaged
from storage.layout import Layout
from storage.reads import Reads
from storage.segment_rows import (
    DELETE_SEGMENT,
    LAST_SEGMENT,
    PUT_SEGMENT,
    SELECT_SEGMENTS,
    Segment,
    segment_of,
    segment_row,
)
from storage.segments import SegmentFiles, all_slots, locate, place_of
from storage.slot_rows import INDEX_SCHEMA, PlacedChunk

_CANNOT_PUNCH = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})


@define(eq=False)
class SlotSpace:
    """The slots of all segments. Made by ``SlotSpace.open``."""

    _index: Database
    _files: SegmentFiles
    _reads: Reads
    _segments: dict[int, Segment]
    """As they are in the index, by number."""
    _last_number: int
    batch: int
    """Number of the last batch that was written."""
    chunks: int = field(init=False, default=0)
    charged_bytes: int = field(init=False, default=0)
    """What all chunks together take of the capacity."""
    _withheld: dict[int, int] = field(factory=dict, init=False)
    """Slots of each segment that are not to be taken although the index doesn't have them in use."""
    _resting: deque[tuple[int, int, int]] = field(factory=deque, init=False)
    """Of those, the ones that wait until nobody reads them any more: since when, segment, set of slots."""
    _unclean: set[int] = field(factory=set, init=False)
    """Segments with withheld slots whose space couldn't be given back: the next start tries again."""
    _can_punch: bool = field(default=True, init=False)

    @classmethod
    def open(cls, *, index: Database, files: SegmentFiles, reads: Reads) -> SlotSpace:
        """Load what the index knows, and end what a crash has cut off. Raises IndexDamaged."""
        segments = segments_in(index)
        last = index.row(LAST_SEGMENT)
        space = cls(
            index,
            files,
            reads,
            {segment.number: segment for segment in segments},
            last_number=0 if last is None else last[0],
            batch=max((segment.batch for segment in segments), default=0),
        )
        space.chunks = sum(segment.chunks for segment in segments)
        space.charged_bytes = sum(segment.charged_bytes for segment in segments)
        for segment in segments:
            if segment.is_open:
                space._empty(segment.number, all_slots() & ~segment.used)
        space.give_back(segment.number for segment in segments if segment.freeing)
        return space

    def take(self, count: int) -> list[int]:
        """Places for the chunks of a new batch, to be kept or discarded. Raises DiskFull, DiskFailed."""
        self.batch += 1
        self._wake()
        taken: dict[int, int] = {}
        opened: list[Segment] = []
        for segment in sorted(self._with_room(), key=self._turn):
            if not count:
                break
            bits = lowest(self._free(segment), count)
            if bits:
                taken[segment.number] = bits
                count -= bits.bit_count()
                if not segment.is_open:
                    opened.append(evolve(segment, is_open=True))
        number = self._last_number
        while count:
            number += 1
            taken[number] = lowest(all_slots(), count)
            count -= taken[number].bit_count()
            opened.append(Segment(number, is_open=True))
        if opened:
            with self._index.transaction() as connection:
                connection.executemany(PUT_SEGMENT, map(segment_row, opened))
            self.adopt(opened)
        for number, bits in taken.items():
            self._withhold(number, bits)
        return [place_of(number, slot) for number, bits in taken.items() for slot in slots_of(bits)]

    def keep(
        self, connection: Connection, placed: Sequence[PlacedChunk], replaced: Sequence[PlacedChunk] = ()
    ) -> list[Segment]:
        """Have a transaction take the slots of new chunks into use; to be adopted when it is committed.

        ``replaced``: copies whose place they take, and whose slots it marks as freeing.
        """
        changed = {
            number: evolve(
                segment,
                used=segment.used | bits_of(locate(chunk.place)[1] for chunk in chunks),
                chunks=segment.chunks + len(chunks),
                charged_bytes=segment.charged_bytes + _charged(chunks),
                batch=self.batch,
            )
            for number, chunks in _by_segment(placed).items()
            for segment in (self._segments[number],)
        }
        if changed:
            for number, segment in self._segments.items():
                # What was opened before and isn't written to any more needs no look after a crash.
                if segment.is_open and number not in changed and not self._withheld.get(number):
                    changed[number] = evolve(segment, is_open=False)
        for number, chunks in _by_segment(replaced).items():
            changed[number] = _without(changed.get(number, self._segments[number]), chunks)
        connection.executemany(PUT_SEGMENT, map(segment_row, changed.values()))
        return list(changed.values())

    def forget(self, connection: Connection, placed: Sequence[PlacedChunk]) -> list[Segment]:
        """Have a transaction mark the slots of gone chunks as freeing; to be adopted when it is committed."""
        changed = [_without(self._segments[number], chunks) for number, chunks in _by_segment(placed).items()]
        connection.executemany(PUT_SEGMENT, map(segment_row, changed))
        return changed

    def adopt(self, segments: Iterable[Segment]) -> None:
        """The transaction that wrote these segments is committed."""
        for segment in segments:
            before = self._segments.get(segment.number, Segment(segment.number))
            self.chunks += segment.chunks - before.chunks
            self.charged_bytes += segment.charged_bytes - before.charged_bytes
            self._segments[segment.number] = segment
            self._last_number = max(self._last_number, segment.number)
            self._release(segment.number, segment.used & ~before.used)

    def discard(self, places: Iterable[int]) -> None:
        """Give up places that were taken, whether or not anything was written there."""
        slots: dict[int, list[int]] = {}
        for place in places:
            number, slot = locate(place)
            slots.setdefault(number, []).append(slot)
        for number, some in slots.items():
            bits = bits_of(some)
            if self._empty(number, bits):
                self._release(number, bits)

    def give_back(self, numbers: Iterable[int]) -> None:
        """Give the space of freeing slots back. Never raises: what fails is left to the next time, or start."""
        freed: list[Segment] = []
        for number in numbers:
            segment = self._segments[number]
            left = evolve(segment, used=segment.used & ~segment.freeing, freeing=0)
            if self._empty(number, segment.freeing, left.used):
                freed.append(left)
        with suppress(DiskFull, DiskFailed):
            self._set_free(freed)

    def close(self) -> None:
        """Say that there are no bytes that the index doesn't know. Raises DiskFull, DiskFailed."""
        clean = [
            evolve(segment, is_open=False)
            for segment in self._segments.values()
            if segment.is_open and segment.number not in self._unclean
        ]
        if clean:
            with self._index.transaction() as connection:
                connection.executemany(PUT_SEGMENT, map(segment_row, clean))
            self.adopt(clean)

    def _set_free(self, freed: Sequence[Segment]) -> None:
        gone = [segment for segment in freed if not segment.used and not segment.is_open]
        if not freed:
            return
        # It need not be synced: a slot that is marked as freeing is emptied again at the next start, and when
        # it is used again, that commit brings this one with it.
        with self._index.transaction(is_promise=False) as connection:
            connection.executemany(PUT_SEGMENT, map(segment_row, freed))
            connection.executemany(DELETE_SEGMENT, [(segment.number,) for segment in gone])
        now = self._reads.moment()
        for segment in freed:
            bits = self._segments[segment.number].freeing
            self._withhold(segment.number, bits)
            self._resting.append((now, segment.number, bits))
        self.adopt(freed)
        for segment in gone:
            del self._segments[segment.number]
            self._withheld.pop(segment.number, None)

    def _wake(self) -> None:
        while self._resting and self._reads.are_over(self._resting[0][0]):
            _, number, bits = self._resting.popleft()
            self._release(number, bits)

    def _empty(self, number: int, bits: int, used: int | None = None) -> bool:
        """Give the space of slots back, durably. ``used``: what is in use afterwards."""
        segment = self._segments[number]
        used = segment.used if used is None else used
        try:
            if not used and not segment.is_open:
                with suppress(FileNotFoundError):
                    self._files.remove(number)
                return True
            self._files.cut(number, (used | self._withheld.get(number, 0)).bit_length())
            if self._can_punch:
                for slot, count in runs(bits):
                    self._files.punch(number, slot, count)
            self._files.sync(number)
        except OSError as error:
            if error.errno not in _CANNOT_PUNCH:
                self._unclean.add(number)
                return False
            self._can_punch = False
            with suppress(DiskFull, DiskFailed):
                self._index.set_setting("can_punch", "0")
        return True

    def _turn(self, segment: Segment) -> tuple[bool, int]:
        # To go on in an open one saves a commit. But a free slot that couldn't be punched has its space still.
        return (self._can_punch and not segment.is_open, segment.number)

    def _with_room(self) -> list[Segment]:
        return [segment for segment in self._segments.values() if segment.used != all_slots()]

    def _free(self, segment: Segment) -> int:
        return all_slots() & ~(segment.used | self._withheld.get(segment.number, 0))

    def _withhold(self, number: int, bits: int) -> None:
        self._withheld[number] = self._withheld.get(number, 0) | bits

    def _release(self, number: int, bits: int) -> None:
        if number in self._withheld:
            self._withheld[number] &= ~bits


def segments_in(index: Database) -> list[Segment]:
    """The segments that an index knows, by number. Raises IndexDamaged."""
    try:
        return [segment_of(row) for row in index.rows(SELECT_SEGMENTS)]
    except (TypeError, ValueError) as error:
        raise IndexDamaged(index.path, str(error)) from error


def check_segments(disk: IDisk, layout: Layout, present: Collection[int]) -> None:
    """Refuse an index that doesn't know a segment that has a file; changes nothing. Raises IndexDamaged.

    A segment is in the index before it has a file, and as long. So such an index is older than the files.
    """
    with telling_damage(layout.index, INDEX_SCHEMA):
        index = Database(layout.index, disk.connect(layout.index, read_only=True), INDEX_SCHEMA)
        try:
            known = {segment.number for segment in segments_in(index)}
        finally:
            index.close()
    unknown = sorted(set(present) - known)
    if unknown:
        raise IndexDamaged(layout.index, f"it doesn't know segment {unknown[0]}")


def _without(segment: Segment, chunks: Sequence[PlacedChunk]) -> Segment:
    return evolve(
        segment,
        freeing=segment.freeing | bits_of(locate(chunk.place)[1] for chunk in chunks),
        chunks=segment.chunks - len(chunks),
        charged_bytes=segment.charged_bytes - _charged(chunks),
    )


def _by_segment(placed: Iterable[PlacedChunk]) -> dict[int, list[PlacedChunk]]:
    groups: dict[int, list[PlacedChunk]] = {}
    for chunk in placed:
        groups.setdefault(locate(chunk.place)[0], []).append(chunk)
    return groups


def _charged(placed: Iterable[PlacedChunk]) -> int:
    return sum(chunk.held.charged_bytes for chunk in placed)
