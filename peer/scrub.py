"""Reading all copies again and again, so that damage is found while there are other copies (SPEC.md 9.29)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from peer.blocking import Lane, Stopped
from peer.metrics import Counters
from protocol.values import ChunkId
from storage.errors import StorageError
from storage.interfaces import IChunkStore, StoreUsage
from storage.scrub import ScrubBatch, ScrubMark, ScrubPace

YIELDING: Final = 0.5
"""Seconds after which a batch that has given way to other reads asks again."""

MOST_YIELDS: Final = 20
"""How often in a row it gives way: under a load that never ends the scrub goes on, 1 MB each 10 s."""

RETRY: Final = 60.0
"""Seconds after which it goes on when the disk, or the index, couldn't be read."""


class Scrub:
    """Reads the stored chunks in small batches, evenly over a period, and tells which are damaged.

    It gives way to whoever else reads. It sleeps between two batches, on one timer.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        period: float | None,
        store: IChunkStore,
        store_lane: Lane,
        read_lane: Lane,
        drop_damaged: Callable[[ChunkId], None],
        counters: Counters,
        clock: IReactorTime,
        wall_clock: Callable[[], float],
    ) -> None:
        """*period*: seconds that a pass over all chunks takes; None: nothing is scrubbed."""
        self._pace = None if period is None else ScrubPace(period)
        self._store = store
        self._store_lane = store_lane
        self._read_lane = read_lane
        self._drop_damaged = drop_damaged
        self._counters = counters
        self._clock = clock
        self._wall_clock = wall_clock
        self._running: Deferred[None] | None = None

    def start(self) -> None:
        """Go on where the last run of the peer stopped."""
        if self._pace is not None:
            self._running = Deferred.fromCoroutine(self._run(self._pace))
            self._running.addErrback(lambda failure: failure.trap(CancelledError, Stopped))
            self._running.addErrback(lambda failure: self._log.failure("the scrub has ended", failure))

    def stop(self) -> None:
        """Read nothing more."""
        if self._running is not None:
            self._running.cancel()

    async def _run(self, pace: ScrubPace) -> None:
        mark: ScrubMark | None = None
        while mark is None:
            mark = await self._recalled()
        just_read = 0
        while True:
            chunks = await self._count()
            set_right = pace.set_right(mark, chunks, self._wall_clock())
            if set_right != mark:
                mark = set_right
                await self._keep(mark)
            wait = pace.wait(mark, chunks, self._wall_clock(), just_read=just_read)
            just_read = 0
            await self._sleep(min(wait, pace.look))
            if wait > pace.look:
                continue
            await self._give_way()
            batch = await self._read(mark, pace.batch(chunks))
            if batch is not None:
                just_read = batch.chunks
                mark = pace.after(mark, batch, chunks, self._wall_clock())
                await self._keep(mark)

    async def _count(self) -> int:
        """How many chunks there are."""
        while True:
            try:
                usage: StoreUsage = await self._store_lane.run(self._store.usage)
            except StorageError:
                # It also tells how full the disk is, which the disk may refuse to say.
                await self._sleep(RETRY)
            else:
                return usage.chunks

    async def _recalled(self) -> ScrubMark | None:
        try:
            kept: ScrubMark | None = await self._store_lane.run(self._store.scrub_mark)
        except StorageError:
            self._log.failure("where the scrub stopped can't be read")
            await self._sleep(RETRY)
            return None
        return kept or ScrubMark(self._wall_clock())

    async def _keep(self, mark: ScrubMark) -> None:
        with suppress(StorageError):
            # If it isn't kept, some are read again after the next start.
            await self._store_lane.run(self._store.keep_scrub_mark, mark)

    async def _read(self, mark: ScrubMark, limit: int) -> ScrubBatch | None:
        """Read some; None if that wasn't possible for now."""
        try:
            batch: ScrubBatch = await self._read_lane.run(self._store.scrub, mark.after, limit)
        except StorageError:
            self._log.failure("the scrub can't read for now")
            await self._sleep(RETRY)
            return None
        self._counters.count("chunks_scrubbed", batch.chunks)
        if batch.last is None:
            self._counters.count("scrub_passes")
        for chunk_id in batch.damaged:
            self._counters.count("damaged_copies_scrubbed")
            self._drop_damaged(chunk_id)
        return batch

    async def _give_way(self) -> None:
        for _ in range(MOST_YIELDS):
            if not self._read_lane.queued_items:
                return
            await self._sleep(YIELDING)

    async def _sleep(self, seconds: float) -> None:
        await deferLater(self._clock, seconds)
