"""The space reclaiming subprotocol, as initiator (SPEC.md section 6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from peer.blocking import Lane, Stopped
from peer.errors import CopyLost
from peer.waiting import TaskGroup, Turnstile
from peer.withdrawal import Fate, Withdrawals
from protocol.suppression import RecentChunks
from protocol.timing import LAST_COPY_RETRY, RECENT_CHUNKS_KEPT
from protocol.values import ChunkId
from protocol.window import Window
from storage.interfaces import HeldChunk, IChunkStore, StoreUsage

_PAGE = 500

MENDED_AT_MOST: Final = 2
"""Times that a copy which is mended as it is about to be dropped as damaged is withdrawn anew in one run. Where a
damaged one can't be dropped, it would be found so without end."""

ReportProgress = Callable[[int, int], None]
"""Is told how many bytes are free again, of how many that have to be."""


@define
class ReclaimResult:
    """What a run of space reclaiming came to: copies dropped, and copies that it tried in vain to give to others."""

    removed_chunks: int = 0
    unplaced_chunks: int = 0


@define(eq=False)
class _Freeing:
    """One run: what it has freed, and what it is about to free."""

    report: ReportProgress
    is_retry: bool
    result: ReclaimResult = field(factory=ReclaimResult)
    kept: set[ChunkId] = field(factory=set)
    chunks_under_way: set[ChunkId] = field(factory=set)
    freed: int = 0
    under_way: int = 0
    ended: int = 0
    waiting: Deferred[None] | None = None

    def one_ended(self) -> None:
        self.ended += 1
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.callback(None)


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
        place_elsewhere: Callable[[ChunkId], Coroutine[Deferred[Any], Any, None]],
        putchunks_heard: RecentChunks,
        removed_heard: RecentChunks,
        last_copy_grace: float,
        clock: IReactorTime,
    ) -> None:
        self._store = store
        self._store_lane = store_lane
        self._withdrawals = withdrawals
        self._place_elsewhere = place_elsewhere
        self._putchunks_heard = putchunks_heard
        self._removed_heard = removed_heard
        self._last_copy_grace = last_copy_grace
        self._clock = clock
        self._turn = Turnstile(Window(1))
        self._runs: set[Deferred[Any]] = set()
        self._asked_at = clock.seconds()
        self._is_retrying = False
        self._is_stopped = False

    def run(self, report: ReportProgress = lambda freed, excess: None) -> Deferred[ReclaimResult]:
        """Drop copies until the capacity is kept, or none is left that may be dropped.

        Copies that are kept over the capacity are tried again, for as long as the peer runs. Fails with
        CancelledError when the peer is stopped.
        """
        self._asked_at = self._clock.seconds()
        return self._begin(self._run(report))

    def stop(self) -> None:
        """Drop nothing more."""
        self._is_stopped = True
        for run in list(self._runs):
            run.cancel()

    def _begin(self, task: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
        run = Deferred.fromCoroutine(task)
        self._runs.add(run)
        return run.addBoth(self._has_ended, run)

    def _has_ended(self, outcome: object, run: Deferred[Any]) -> object:
        self._runs.discard(run)
        return outcome

    async def _run(self, report: ReportProgress) -> ReclaimResult:
        is_over = True
        try:
            result = await self._free_excess(report)
            is_over = await self._excess() > 0
        finally:
            if is_over and not self._is_retrying and not self._is_stopped:
                self._is_retrying = True
                self._begin(self._retry()).addErrback(lambda failure: failure.trap(CancelledError, Stopped))
        return result

    async def _retry(self) -> None:
        try:
            is_over = True
            while is_over:
                await deferLater(self._clock, LAST_COPY_RETRY)
                try:
                    await self._free_excess(lambda freed, excess: None, is_retry=True)
                    is_over = await self._excess() > 0
                except (CancelledError, Stopped):
                    raise
                except Exception:
                    # What a disk refuses now it may give in ten minutes.
                    self._log.failure("reclaiming failed; it is tried again in 10 minutes")
        finally:
            self._is_retrying = False

    async def _excess(self) -> int:
        """Bytes used beyond the capacity; not above 0 when there are none."""
        usage: StoreUsage = await self._store_lane.run(self._store.usage)
        return usage.used_bytes - usage.capacity_bytes

    async def _free_excess(self, report: ReportProgress, *, is_retry: bool = False) -> ReclaimResult:
        await self._turn.enter()
        freeing = _Freeing(report, is_retry)
        tasks = TaskGroup()
        try:
            async for held in self._candidates(freeing):
                if not await self._may_begin(freeing):
                    break
                freeing.under_way += held.charged_bytes
                freeing.chunks_under_way.add(held.chunk_id)
                tasks.add(self._free(held, freeing))
            await tasks.join()
        finally:
            tasks.cancel()
            self._turn.leave()
        return freeing.result

    async def _may_begin(self, freeing: _Freeing) -> bool:
        """Take a place for one more copy that has to go; False if none has."""
        await self._withdrawals.room.enter()
        is_needed = False
        try:
            is_needed = await self._is_needed(freeing)
        finally:
            if not is_needed:
                self._withdrawals.room.leave()
        return is_needed

    async def _is_needed(self, freeing: _Freeing) -> bool:
        """Whether one more copy has to go, once it is known what becomes of those that are to go already.

        Looked at for each, since a later RECLAIM may have changed the capacity.
        """
        while True:
            ended = freeing.ended
            excess = await self._excess()
            if ended == freeing.ended:
                if excess <= 0 or excess > freeing.under_way:
                    return excess > 0
                freeing.waiting = Deferred()
                await freeing.waiting

    async def _candidates(self, freeing: _Freeing) -> AsyncIterator[HeldChunk]:
        """First the copies that others hold often enough, then all those that were not among them."""
        for list_page in (self._store.over_replicated, self._store.page):
            after: ChunkId | None = None
            while True:
                page: list[HeldChunk] = await self._store_lane.run(list_page, after, _PAGE)
                for held in page:
                    if held.chunk_id not in freeing.kept and held.chunk_id not in freeing.chunks_under_way:
                        yield held
                if len(page) < _PAGE:
                    break
                after = page[-1].chunk_id

    async def _free(self, held: HeldChunk, freeing: _Freeing) -> None:
        fate = Fate.KEPT
        try:
            fate = await self._fate(held.chunk_id, is_retry=freeing.is_retry)
        except (CancelledError, Stopped):
            raise
        except Exception:
            # What one copy's reading or dropping raised must not keep the others from being dropped.
            self._log.failure("the copy of {chunk} stays", chunk=str(held.chunk_id))
            # Unless it was read as damaged too, by another hand.
            await self._withdrawals.ended(held.chunk_id)
        finally:
            self._withdrawals.room.leave()
            freeing.under_way -= held.charged_bytes
            freeing.chunks_under_way.discard(held.chunk_id)
            freeing.one_ended()
        if fate is Fate.KEPT:
            freeing.kept.add(held.chunk_id)
            freeing.result.unplaced_chunks += 1
            return
        freeing.freed += held.charged_bytes
        freeing.result.removed_chunks += fate is Fate.DROPPED
        freeing.report(freeing.freed, freeing.freed + max(0, await self._excess()))

    async def _fate(self, chunk_id: ChunkId, *, is_retry: bool) -> Fate:
        for _attempt in range(MENDED_AT_MOST + 1):
            held = await self._store_lane.submit(self._store.describe, chunk_id)
            if held is None:
                return Fate.GONE
            # An eviction may be offering it, and keep it in the end.
            if not self._withdrawals.is_withdrawing(chunk_id):
                fate = await self._withdrawn(held, is_retry=is_retry)
                if fate is not Fate.GONE:
                    return fate
            # Whoever drops it as damaged may have still to do so; or he finds it mended, and it is as any other again.
            await self._withdrawals.ended(chunk_id)
        is_held = await self._store_lane.submit(self._store.describe, chunk_id) is not None
        return Fate.KEPT if is_held else Fate.GONE

    async def _withdrawn(self, held: HeldChunk, *, is_retry: bool) -> Fate:
        chunk_id, began = held.chunk_id, self._clock.seconds()
        may_be_last = is_retry and self._is_grace_over() and not self._is_relied_on(chunk_id)

        def threshold() -> int:
            # A RECLAIM meanwhile begins the grace anew; and whoever has dropped his may have done so for our word.
            is_dropped_elsewhere = self._removed_heard.may_have_heard_since(chunk_id, began)
            return 0 if may_be_last and self._is_grace_over() and not is_dropped_elsewhere else 1

        try:
            # An offer that comes to nothing ends with a STORED, which somebody may count.
            if held.perceived > held.desired and not may_be_last:
                fate = await self._withdrawals.offer(chunk_id)
                if fate is not Fate.KEPT:
                    return fate
            place = partial(self._place_elsewhere, chunk_id)
            return await self._withdrawals.after(chunk_id, place, threshold=threshold)
        except CopyLost:
            return Fate.GONE

    def _is_grace_over(self) -> bool:
        return self._clock.seconds() - self._asked_at >= self._last_copy_grace

    def _is_relied_on(self, chunk_id: ChunkId) -> bool:
        """Whether somebody may be placing his own copy, or offering it, and have counted our answer to that."""
        since = self._clock.seconds() - RECENT_CHUNKS_KEPT
        return any(
            heard.may_have_heard_since(chunk_id, since)
            for heard in (self._putchunks_heard, self._removed_heard)
        )
