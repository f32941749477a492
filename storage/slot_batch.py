"""What becomes of each chunk of one batch that is to be stored: new, held, damaged here, or refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, evolve, field

from protocol.values import ChunkId
from storage.capacity import charged_bytes
from storage.errors import DiskFailed
from storage.holders import with_all
from storage.interfaces import ChunkToStore, PutOutcome
from storage.segments import SegmentFiles
from storage.slot import taken_bytes
from storage.slot_reader import holds_body
from storage.slot_rows import PlacedChunk


@define(eq=False, kw_only=True)
class SlotBatch:
    """Different chunks, looked at one after the other."""

    files: SegmentFiles
    room: int
    """Charged bytes that still fit into the capacity."""
    disk_room: int
    """Bytes that may still be taken of the disk."""
    touches_all: bool
    """Whether a chunk that is held counts as changed although nothing of it is: to be put may confirm its file."""
    outcomes: list[PutOutcome] = field(factory=list, init=False)
    """If all goes well; in the order of the chunks."""
    new: list[ChunkToStore] = field(factory=list, init=False)
    """To be written, those that take a damaged copy's place among them."""
    changed: list[PlacedChunk] = field(factory=list, init=False)
    """Held ones whose row changes."""
    damaged: dict[ChunkId, PlacedChunk] = field(factory=dict, init=False)
    """Copies whose place others take."""

    def look_at(self, chunk: ChunkToStore, placed: PlacedChunk | None) -> None:
        """Decide what becomes of a chunk, whose copy is ``placed`` so far."""
        if placed is None:
            self.outcomes.append(self._take(chunk, charged_bytes(len(chunk.body)), PutOutcome.STORED))
        else:
            self.outcomes.append(self._compare(chunk, placed))

    def refuse(self) -> None:
        """The next chunk is not taken, since its file is being deleted."""
        self.outcomes.append(PutOutcome.FAILED)

    def _take(self, chunk: ChunkToStore, charge: int, outcome: PutOutcome) -> PutOutcome:
        taken = taken_bytes(len(chunk.body))
        if charge > max(self.room, 0) or taken > self.disk_room:
            return PutOutcome.NO_ROOM
        self.room -= charge
        self.disk_room -= taken
        self.new.append(chunk)
        return outcome

    def _compare(self, chunk: ChunkToStore, placed: PlacedChunk) -> PutOutcome:
        held = placed.held
        merged = evolve(
            held,
            desired=max(held.desired, chunk.desired),
            holders=with_all(held.holders, chunk.holders),
        )
        try:
            # To read costs less than to hash, and shows whether the copy is still what it is vouched for.
            if holds_body(self.files, placed, chunk.body):
                if merged != held or self.touches_all:
                    self.changed.append(evolve(placed, held=merged))
                return PutOutcome.HELD
        except DiskFailed:
            return PutOutcome.FAILED
        if not held.digest.matches(chunk.body):
            return PutOutcome.CONFLICT
        # It is charged already.
        good = evolve(chunk, desired=merged.desired, holders=merged.holders)
        outcome = self._take(good, 0, PutOutcome.MENDED)
        if outcome is PutOutcome.MENDED:
            self.damaged[chunk.chunk_id] = placed
        return outcome


def without_repeats(chunks: Sequence[ChunkToStore]) -> Iterator[Sequence[ChunkToStore]]:
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
