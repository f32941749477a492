"""The space reclaiming subprotocol, as initiator (SPEC.md section 6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from attrs import define
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from peer.blocking import Lane
from peer.waiting import Turnstile
from peer.withdrawal import Withdrawals
from protocol import eviction
from protocol.limits import MAX_WITHDRAWALS, REMOVED_PER_SECOND
from protocol.pacing import Pacer
from protocol.timing import LAST_COPY_RETRY
from protocol.values import ChunkId
from protocol.window import Window
from storage.interfaces import HeldChunk, IChunkStore, StoreUsage

_PAGE = 500


@define
class ReclaimResult:
    """What a run of space reclaiming came to: copies dropped, and copies kept as nobody else holds the chunk."""

    removed_chunks: int = 0
    unplaced_chunks: int = 0


class SpaceReclaim:
    """Gives disk back: drops copies until what is left fits the capacity.

    A copy that others hold often enough is offered and dropped; any other is placed with others first. The
    last copy of a chunk is kept, and tried again, until *last_copy_grace* seconds have passed.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        store: IChunkStore,
        store_lane: Lane,
        withdrawals: Withdrawals,
        place_elsewhere: Callable[[ChunkId], Coroutine[Deferred[Any], Any, int]],
        last_copy_grace: float,
        clock: IReactorTime,
    ) -> None:
        self._store = store
        self._store_lane = store_lane
        self._withdrawals = withdrawals
        self._place_elsewhere = place_elsewhere
        self._last_copy_grace = last_copy_grace
        self._clock = clock
        self._turn = Turnstile(Window(1))
        self._room = Turnstile(Window(MAX_WITHDRAWALS))
        self._pacer = Pacer(REMOVED_PER_SECOND, REMOVED_PER_SECOND / 10)
        self._retries: Deferred[None] | None = None
        self._evicting: Deferred[None] | None = None

    async def run(self, progress: Callable[[int, int], None] = lambda done, total: None) -> ReclaimResult:
        """Drop copies until the capacity is kept, or none is left that may be dropped.

        *progress* is told the bytes that are free again, and those that have to be.
        """
        await self._turn.enter()
        try:
            result = await self._free_excess(progress, drops_last_copies=False)
        finally:
            self._turn.leave()
        if result.unplaced_chunks and self._retries is None:
            self._retries = Deferred.fromCoroutine(self._retry(self._clock.seconds()))
            self._retries.addErrback(lambda failure: failure.trap(CancelledError))
            self._retries.addErrback(lambda failure: self._log.failure("reclaiming stopped", failure))
        return result

    def make_room(self, wanted_bytes: int) -> None:
        """Evict copies whose perceived degree is above the desired one, so that a repeated PUTCHUNK finds room."""
        if self._evicting is None:
            evicting = self._evicting = Deferred.fromCoroutine(self._evict(wanted_bytes))
            evicting.addErrback(lambda failure: failure.trap(CancelledError))
            evicting.addErrback(lambda failure: self._log.failure("eviction failed", failure))
            evicting.addBoth(self._is_evicted)
            if evicting.called:
                self._evicting = None

    def stop(self) -> None:
        """Drop nothing more."""
        for under_way in (self._retries, self._evicting):
            if under_way is not None:
                under_way.cancel()

    def _is_evicted(self, _result: object) -> None:
        self._evicting = None

    async def _evict(self, wanted_bytes: int) -> None:
        usage: StoreUsage = await self._store_lane.run(self._store.usage)
        if usage.capacity_bytes == 0:
            return
        candidates = await self._store_lane.run(self._store.over_replicated, None, _PAGE)
        victims = eviction.choose(candidates, wanted_bytes)
        await DeferredList(
            [
                Deferred.fromCoroutine(self._withdrawals.offer(held.chunk_id, held.desired))
                for held in victims
            ],
            consumeErrors=True,
        )

    async def _retry(self, began: float) -> None:
        while True:
            await deferLater(self._clock, LAST_COPY_RETRY)
            is_grace_over = self._clock.seconds() - began >= self._last_copy_grace
            await self._turn.enter()
            try:
                result = await self._free_excess(lambda done, total: None, drops_last_copies=is_grace_over)
            finally:
                self._turn.leave()
            if result.unplaced_chunks == 0:
                self._retries = None
                return

    async def _free_excess(
        self, progress: Callable[[int, int], None], *, drops_last_copies: bool
    ) -> ReclaimResult:
        usage: StoreUsage = await self._store_lane.run(self._store.usage)
        excess = usage.used_bytes - usage.capacity_bytes
        result = ReclaimResult()
        freed = under_way = 0
        running: set[Deferred[None]] = set()

        async def free(held: HeldChunk) -> None:
            nonlocal freed, under_way
            under_way += held.charged_bytes
            try:
                if await self._free(held, drops_last_copies=drops_last_copies):
                    freed += held.charged_bytes
                    result.removed_chunks += 1
                else:
                    result.unplaced_chunks += 1
            finally:
                under_way -= held.charged_bytes
                self._room.leave()
                progress(min(freed, excess), excess)

        async for held in self._candidates():
            while freed + under_way >= excess > freed and running:
                await DeferredList(list(running), fireOnOneCallback=True, fireOnOneErrback=True)
            if freed >= excess:
                break
            await self._room.enter()
            await deferLater(self._clock, self._pacer.delay(self._clock.seconds(), 1))
            one = Deferred.fromCoroutine(free(held))
            if not one.called:
                running.add(one)
                one.addBoth(self._note_end, running, one)
        if running:
            await DeferredList(list(running), fireOnOneErrback=True)
        return result

    @staticmethod
    def _note_end(outcome: object, running: set[Deferred[None]], one: Deferred[None]) -> object:
        running.discard(one)
        return outcome

    async def _candidates(self) -> AsyncIterator[HeldChunk]:
        """First the copies that others hold often enough, then all the others."""
        for list_page in (self._store.over_replicated, self._store.page):
            after: ChunkId | None = None
            while True:
                page: list[HeldChunk] = await self._store_lane.run(list_page, after, _PAGE)
                for held in page:
                    if list_page == self._store.over_replicated or held.perceived <= held.desired:
                        yield held
                if len(page) < _PAGE:
                    break
                after = page[-1].chunk_id

    async def _free(self, held: HeldChunk, *, drops_last_copies: bool) -> bool:
        is_surplus = held.perceived > held.desired
        if is_surplus and await self._withdrawals.offer(held.chunk_id, held.desired):
            return True
        if await self._withdrawals.after(
            held.chunk_id, lambda: Deferred.fromCoroutine(self._place_elsewhere(held.chunk_id)), threshold=1
        ):
            return True
        if drops_last_copies and await self._withdrawals.drop(held.chunk_id):
            self._log.warn(
                "dropped what may be the last copy of {chunk}: nobody took it in the time that it was kept",
                chunk=str(held.chunk_id),
            )
            return True
        return False
