"""The chunk store in memory: the contract and nothing else, for tests and as a second opinion on it."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from typing import Final

from attrs import define, evolve, field
from zope.interface import implementer

from protocol.digest import Digest
from protocol.values import ChunkId, FileId
from storage.capacity import charged_bytes
from storage.holders import with_all, with_note
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
from storage.scrub import ScrubBatch, ScrubMark

_PLENTY: Final = 10**15


@implementer(IChunkStore)
@define(eq=False)
class MemoryChunkStore:
    """See IChunkStore. Nothing is on a disk, so nothing survives; ``disk_free_bytes`` is only told."""

    _capacity_bytes: int = field(kw_only=True)
    _disk_free_bytes: int = field(default=_PLENTY, kw_only=True)
    _held: dict[ChunkId, HeldChunk] = field(factory=dict, init=False)
    _bodies: dict[ChunkId, bytes] = field(factory=dict, init=False)
    _order: list[ChunkId] = field(factory=list, init=False)
    _used_bytes: int = field(default=0, init=False)
    _scrub_mark: ScrubMark | None = field(default=None, init=False)

    def put(self, chunks: Sequence[ChunkToStore]) -> list[PutOutcome]:
        """See IChunkStore."""
        return [self._put(chunk) for chunk in chunks]

    def get(self, chunk_ids: Sequence[ChunkId]) -> list[ReadOutcome]:
        """See IChunkStore."""
        return [self._read(chunk_id) for chunk_id in chunk_ids]

    def describe(self, chunk_ids: Sequence[ChunkId]) -> list[HeldChunk | None]:
        """See IChunkStore."""
        return [self._held.get(chunk_id) for chunk_id in chunk_ids]

    def delete(self, chunk_ids: Sequence[ChunkId]) -> list[bool]:
        """See IChunkStore."""
        return [self._delete(chunk_id) for chunk_id in chunk_ids]

    def delete_files(self, file_ids: Sequence[FileId]) -> list[bool]:
        """See IChunkStore."""
        gone = frozenset(file_ids)
        self.delete([chunk_id for chunk_id in self._order if chunk_id.file_id in gone])
        return [True] * len(file_ids)

    def deletions(self) -> list[FileId]:
        """See IChunkStore. No deletion takes long here."""
        return []

    def note_holders(self, notes: Sequence[HolderNote]) -> list[HolderChange | None]:
        """See IChunkStore."""
        return [self._note(note) for note in notes]

    def page(self, after: ChunkId | None, limit: int) -> list[HeldChunk]:
        """See IChunkStore."""
        return [self._held[chunk_id] for chunk_id in self._after(after)[:limit]]

    def over_replicated(self, after: ChunkId | None, limit: int) -> list[HeldChunk]:
        """See IChunkStore."""
        chunks = (self._held[chunk_id] for chunk_id in self._after(after))
        return [held for held in chunks if held.perceived > held.desired][:limit]

    def unconfirmed(self, after: FileId | None, limit: int) -> list[ChunkId]:
        """See IChunkStore. Nothing is ever found on a disk here."""
        return []

    def confirm(self, file_ids: Sequence[FileId]) -> None:
        """See IChunkStore."""

    def scrub(self, after: ChunkId | None, limit: int) -> ScrubBatch:
        """See IChunkStore."""
        left = self._after(after)
        read = left[:limit]
        damaged = tuple(chunk_id for chunk_id in read if self._read(chunk_id).is_damaged)
        return ScrubBatch(len(read), damaged, read[-1] if len(left) > limit else None)

    def keep_scrub_mark(self, mark: ScrubMark) -> None:
        """See IChunkStore."""
        self._scrub_mark = mark

    def scrub_mark(self) -> ScrubMark | None:
        """See IChunkStore."""
        return self._scrub_mark

    def usage(self) -> StoreUsage:
        """See IChunkStore."""
        return StoreUsage(self._capacity_bytes, self._used_bytes, len(self._held), self._disk_free_bytes)

    def set_capacity(self, capacity_bytes: int) -> None:
        """See IChunkStore."""
        if capacity_bytes < 0:
            raise ValueError(f"no store can have a capacity of {capacity_bytes} bytes")
        self._capacity_bytes = capacity_bytes

    def close(self) -> None:
        """See IChunkStore."""

    def damage(self, chunk_id: ChunkId) -> None:
        """Spoil a body, as a disk may."""
        self._bodies[chunk_id] = b"spoilt " + self._bodies[chunk_id][7:]

    def _put(self, chunk: ChunkToStore) -> PutOutcome:
        held = self._held.get(chunk.chunk_id)
        if held is None:
            charge = charged_bytes(len(chunk.body))
            if charge > self._capacity_bytes - self._used_bytes:
                return PutOutcome.NO_ROOM
            self._used_bytes += charge
            self._bodies[chunk.chunk_id] = bytes(chunk.body)
            self._held[chunk.chunk_id] = HeldChunk(
                chunk.chunk_id, len(chunk.body), chunk.desired, Digest.of(chunk.body), chunk.holders
            )
            insort(self._order, chunk.chunk_id)
            return PutOutcome.STORED
        outcome = PutOutcome.HELD
        if self._bodies[chunk.chunk_id] != chunk.body:
            if not held.digest.matches(chunk.body):
                return PutOutcome.CONFLICT
            self._bodies[chunk.chunk_id] = bytes(chunk.body)
            outcome = PutOutcome.MENDED
        self._held[chunk.chunk_id] = evolve(
            held, desired=max(held.desired, chunk.desired), holders=with_all(held.holders, chunk.holders)
        )
        return outcome

    def _read(self, chunk_id: ChunkId) -> ReadOutcome:
        body = self._bodies.get(chunk_id)
        if body is None:
            return ReadOutcome(None)
        if not self._held[chunk_id].digest.matches(body):
            return ReadOutcome(None, is_damaged=True)
        return ReadOutcome(body)

    def _delete(self, chunk_id: ChunkId) -> bool:
        held = self._held.pop(chunk_id, None)
        if held is None:
            return False
        self._used_bytes -= held.charged_bytes
        del self._bodies[chunk_id]
        self._order.remove(chunk_id)
        return True

    def _note(self, note: HolderNote) -> HolderChange | None:
        held = self._held.get(note.chunk_id)
        if held is None:
            return None
        holders = with_note(held.holders, note.peer_id, holds=note.holds)
        was_news = holders is not held.holders
        if was_news:
            self._held[note.chunk_id] = held = evolve(held, holders=holders)
        return HolderChange(note.chunk_id, was_news, held.perceived, held.desired)

    def _after(self, after: ChunkId | None) -> list[ChunkId]:
        return self._order if after is None else self._order[bisect_right(self._order, after) :]
