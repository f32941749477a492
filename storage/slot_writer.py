"""Writing one batch of new chunks into slots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from attrs import define, field

from protocol.digest import Digest
from protocol.values import CHUNK_SIZE
from storage.interfaces import ChunkToStore, HeldChunk
from storage.segments import SegmentFiles, locate
from storage.slot import SlotHeader, padding
from storage.slot_rows import PlacedChunk
from storage.slot_space import SlotSpace

START_SYNC_SLOTS: Final = 16
"""Slots that the disk is told of together, to write them while the next ones are hashed: 1 MB."""


@define(eq=False)
class SlotWriter:
    """One batch on its way to the disk."""

    _files: SegmentFiles
    _space: SlotSpace
    _given_up: set[int] = field(factory=set, init=False)
    """Places that were taken and hold nothing that is kept."""
    _written: list[PlacedChunk] = field(factory=list, init=False)

    def write(self, chunks: Sequence[ChunkToStore], digests: Iterable[Digest]) -> list[PlacedChunk]:
        """Write chunks, each with its digest, but not durably yet: those that the disk took.

        Raises DiskFull, DiskFailed, if it takes none.
        """
        if not chunks:
            return []
        if any(len(chunk.body) > CHUNK_SIZE for chunk in chunks):
            raise ValueError(f"a body has more than {CHUNK_SIZE} bytes")
        places = self._space.take(len(chunks))
        self._given_up.update(places)
        first = 0
        for number, (chunk, digest, place) in enumerate(zip(chunks, digests, places, strict=True)):
            self._write(chunk, digest, place)
            count = number - first + 1
            is_last = number + 1 == len(places)
            if count == START_SYNC_SLOTS or (not is_last and places[number + 1] != place + 1):
                self._start_sync(places[first], count)
                first = number + 1
        if 0 < first < len(places):
            self._start_sync(places[first], len(places) - first)
        return self._written

    def sync(self) -> tuple[list[PlacedChunk], list[PlacedChunk]]:
        """Wait until the written chunks are on the disk: those that are, and those that the disk lost."""
        durable: list[PlacedChunk] = []
        lost: list[PlacedChunk] = []
        are_synced: dict[int, bool] = {}
        for placed in self._written:
            segment, _ = locate(placed.place)
            if segment not in are_synced:
                are_synced[segment] = self._sync(segment)
            (durable if are_synced[segment] else lost).append(placed)
        self._given_up.difference_update(placed.place for placed in durable)
        return durable, lost

    def discard(self, *, is_all: bool = False) -> None:
        """Give up the places that hold nothing that is kept, or ``is_all``."""
        if is_all:
            self._given_up.update(placed.place for placed in self._written)
        self._space.discard(sorted(self._given_up))

    def _write(self, chunk: ChunkToStore, digest: Digest, place: int) -> None:
        length = len(chunk.body)
        header = SlotHeader(chunk.chunk_id, length, chunk.desired, digest, self._space.batch)
        try:
            self._files.write(place, header.pack(), chunk.body, padding(length))
        except OSError:
            return
        held = HeldChunk(chunk.chunk_id, length, chunk.desired, digest, chunk.holders)
        self._written.append(PlacedChunk(held, place))

    def _start_sync(self, place: int, count: int) -> None:
        # A hint: what goes wrong here is told by the sync.
        with suppress(OSError):
            self._files.start_sync(place, count)

    def _sync(self, segment: int) -> bool:
        try:
            self._files.sync(segment)
        except OSError:
            return False
        return True
