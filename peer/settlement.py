"""Settling with the group what became of files that were found without an index (SPEC.md 9.27)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from peer.blocking import Lane, Stopped
from protocol.limits import MAX_FILES_SETTLING, SETTLING_PER_SECOND
from protocol.timing import SETTLING_SENDINGS, SETTLING_SPACING
from protocol.values import ChunkId, FileId
from storage.interfaces import IChunkStore


class Settlement:
    """After a rebuild: says STORED for a chunk of each file, and confirms the file if nobody deletes it.

    The files are taken in the order of their ids, some at a time. What a stop cuts off begins anew at the next
    start: it is in the index which files are still to be settled.

    ``vouch`` says STORED unless the copy is being withdrawn; ``is_deleted`` is whether a DELETE has come lately.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        vouch: Callable[[ChunkId], None],
        store: IChunkStore,
        store_lane: Lane,
        is_deleted: Callable[[FileId], bool],
        clock: IReactorTime,
    ) -> None:
        self._vouch = vouch
        self._store = store
        self._store_lane = store_lane
        self._is_deleted = is_deleted
        self._clock = clock
        self._settling: dict[FileId, ChunkId | None] = {}
        """The chunk to be named for each file; None: that one was dropped, and the file has others perhaps."""
        self._running: Deferred[None] | None = None

    def start(self) -> None:
        """Settle what there is to settle, however long that takes."""
        self._running = Deferred.fromCoroutine(self._settle_all())
        self._running.addErrback(lambda failure: failure.trap(CancelledError, Stopped))
        self._running.addErrback(
            lambda failure: self._log.failure("files stay unconfirmed until the next start", failure)
        )

    def stop(self) -> None:
        """Say nothing more, and confirm nothing more."""
        if self._running is not None:
            self._running.cancel()

    def forget_file(self, file_id: FileId) -> None:
        """The file was deleted."""
        self._settling.pop(file_id, None)

    def forget_chunk(self, chunk_id: ChunkId) -> None:
        """The copy is gone: its file had been confirmed by a PUTCHUNK, so that it could be dropped."""
        if self._settling.get(chunk_id.file_id) == chunk_id:
            self._settling[chunk_id.file_id] = None

    async def _settle_all(self) -> None:
        after: FileId | None = None
        files = 0
        while found := await self._store_lane.run(self._store.unconfirmed, after, MAX_FILES_SETTLING):
            after = found[-1].file_id
            # A DELETE may have come since the index was read.
            self._settling = {
                chunk_id.file_id: chunk_id for chunk_id in found if not self._is_deleted(chunk_id.file_id)
            }
            await self._settle(list(self._settling))
            await self._store_lane.run(self._store.confirm, sorted(self._settling))
            files += len(self._settling)
            self._settling = {}
        if after is not None:
            self._log.info("{files} files that were found on the disk are served again", files=files)

    async def _settle(self, file_ids: list[FileId]) -> None:
        """Say STORED for each file as often as must be, and wait until the last one's home has had its time."""
        began = self._clock.seconds()
        for sending in range(SETTLING_SENDINGS):
            for number, file_id in enumerate(file_ids):
                await self._until(began + sending * SETTLING_SPACING + number / SETTLING_PER_SECOND)
                chunk_id = self._settling.get(file_id)
                if chunk_id is not None:
                    self._vouch(chunk_id)
        await self._until(self._clock.seconds() + SETTLING_SPACING)

    async def _until(self, time: float) -> None:
        await deferLater(self._clock, max(0.0, time - self._clock.seconds()))
