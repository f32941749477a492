"""Who is known to hold what: the STOREDs, CHUNKs and REMOVEDs heard (SPEC.md section 3 and 6)."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from peer.blocking import Lane
from protocol.limits import MAX_NOTES_GATHERED
from protocol.suppression import RecentStored
from protocol.values import ChunkId, FileId, PeerId
from storage.interfaces import HolderChange, HolderNote, ICatalog, IChunkStore

NOTE_INTERVAL = 0.25
"""Seconds that knowledge gathers before it is written. A crash loses it, and it is learned again."""


@frozen
class Ledgers:
    """The two places on disk that remember holders, each with the lane that its calls take."""

    store: IChunkStore
    store_lane: Lane
    catalog: ICatalog
    catalog_lane: Lane


class HolderKnowledge:
    """Notes on disk who holds the chunks that this peer knows of: those it stores, and those of its own files.

    What is heard for a chunk that isn't known yet is remembered for some seconds, since a STORED may overtake
    the PUTCHUNK that it answers.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        ledgers: Ledgers,
        is_ours: Callable[[FileId], bool],
        is_counted_by_run: Callable[[ChunkId], bool],
        clock: IReactorTime,
    ) -> None:
        self._ledgers = ledgers
        self._is_ours = is_ours
        self._is_counted_by_run = is_counted_by_run
        self._clock = clock
        self._recent = RecentStored()
        self._gathered: dict[tuple[ChunkId, PeerId], HolderNote] = {}
        self._timer: IDelayedCall | None = None

    def heard_holder(self, chunk_id: ChunkId, peer_id: PeerId) -> None:
        """A STORED or CHUNK said that *peer_id* holds the chunk."""
        if not self._is_ours(chunk_id.file_id):
            self._recent.add(chunk_id, peer_id, self._clock.seconds())
        if not self._is_counted_by_run(chunk_id):
            self._gather(HolderNote(chunk_id, peer_id, holds=True))

    def recent(self, chunk_id: ChunkId) -> frozenset[PeerId]:
        """The peers that said within the last seconds that they hold the chunk."""
        return self._recent.holders(chunk_id, self._clock.seconds())

    async def heard_removed(self, chunk_id: ChunkId, peer_id: PeerId) -> HolderChange | None:
        """A REMOVED said that *peer_id* dropped its copy: what that changed, or None for a chunk that isn't known."""
        self._recent.discard(chunk_id, peer_id)
        self.flush()
        note = HolderNote(chunk_id, peer_id, holds=False)
        ledgers = self._ledgers
        if self._is_ours(chunk_id.file_id):
            return await ledgers.catalog_lane.submit(ledgers.catalog.note_holders, note)
        return await ledgers.store_lane.submit(ledgers.store.note_holders, note)

    def flush(self) -> None:
        """Hand what has gathered to the ledgers."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        gathered, self._gathered = self._gathered, {}
        ledgers = self._ledgers
        ours: list[HolderNote] = []
        others: list[HolderNote] = []
        for note in gathered.values():
            (ours if self._is_ours(note.chunk_id.file_id) else others).append(note)
        if ours:
            ledgers.catalog_lane.run(ledgers.catalog.note_holders, ours).addErrback(self._not_noted)
        if others:
            ledgers.store_lane.run(ledgers.store.note_holders, others).addErrback(self._not_noted)

    def _gather(self, note: HolderNote) -> None:
        self._gathered[note.chunk_id, note.peer_id] = note
        if len(self._gathered) >= MAX_NOTES_GATHERED:
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.callLater(NOTE_INTERVAL, self.flush)

    def _not_noted(self, failure: object) -> None:
        # Knowledge of holders is learned again from the next STORED: a ledger that can't write now loses nothing else.
        self._log.warn("holders not noted: {failure}", failure=failure)
