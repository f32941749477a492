"""Making room for a chunk that a full peer is asked to store (SPEC.md 6.14)."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from peer.blocking import Lane, Stopped
from peer.waiting import TaskGroup
from peer.withdrawal import Withdrawals
from protocol.eviction import choose
from protocol.values import ChunkId
from storage.capacity import charged_bytes
from storage.interfaces import HeldChunk, IChunkStore, StoreUsage

_PAGE = 500


class Eviction:
    """Offers copies that more peers hold than have to, so that a repeated PUTCHUNK finds room.

    One eviction at a time. Each looks at one page of the copies that may go, the next one at the page after it: a
    large store is not read through for each chunk that it has no room for, nor are the same copies offered for ever.
    """

    _log = Logger()

    def __init__(self, *, store: IChunkStore, store_lane: Lane, withdrawals: Withdrawals) -> None:
        self._store = store
        self._store_lane = store_lane
        self._withdrawals = withdrawals
        self._looked_at: ChunkId | None = None
        self._evicting: Deferred[None] | None = None
        self._is_stopped = False

    def make_room(self, length: int) -> None:
        """Evict copies whose perceived degree is above the desired one, for a body of *length* bytes."""
        if self._evicting is not None or self._is_stopped:
            return
        evicting = self._evicting = Deferred.fromCoroutine(self._evict(length))
        evicting.addErrback(lambda failure: failure.trap(CancelledError, Stopped))
        evicting.addErrback(lambda failure: self._log.failure("eviction failed", failure))
        evicting.addBoth(self._is_evicted)
        if evicting.called:
            self._evicting = None

    def stop(self) -> None:
        """Evict nothing more."""
        self._is_stopped = True
        if self._evicting is not None:
            self._evicting.cancel()

    def _is_evicted(self, _result: object) -> None:
        self._evicting = None

    async def _evict(self, length: int) -> None:
        usage: StoreUsage = await self._store_lane.run(self._store.usage)
        room = usage.capacity_bytes - usage.used_bytes
        if room < 0:
            # The capacity was lowered: what has to go for that goes by RECLAIM.
            return
        victims = await self._victims(charged_bytes(length) - room)
        tasks = TaskGroup()
        try:
            for held in victims:
                await self._withdrawals.room.enter()
                tasks.add(self._offer(held.chunk_id))
            await tasks.join()
        finally:
            tasks.cancel()

    async def _victims(self, wanted_bytes: int) -> list[HeldChunk]:
        """What to offer so that so many bytes come free; nothing if what was looked at doesn't come to them."""
        pages = [self._looked_at] if self._looked_at is None else [self._looked_at, None]
        for after in pages:
            page: list[HeldChunk] = await self._store_lane.run(self._store.over_replicated, after, _PAGE)
            self._looked_at = page[-1].chunk_id if len(page) == _PAGE else None
            victims = choose(page, wanted_bytes)
            if sum(held.charged_bytes for held in victims) >= wanted_bytes:
                return victims
        return []

    async def _offer(self, chunk_id: ChunkId) -> None:
        try:
            await self._withdrawals.offer(chunk_id)
        finally:
            self._withdrawals.room.leave()
