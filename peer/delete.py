"""The file deletion subprotocol (SPEC.md section 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from peer.blocking import Lane, Stopped
from peer.speaker import Speaker
from protocol.limits import MAX_DELETIONS_REMEMBERED
from protocol.messages import Delete
from protocol.timing import (
    DEAD_FILE_KEPT,
    DELETE_AGAIN_SPACING,
    DELETE_SENDINGS,
    DELETE_SPACING,
    DELETED_REFUSAL,
)
from protocol.values import FileId
from storage.interfaces import ICatalog, IChunkStore


class DeadFiles:
    """The fileIds of this peer's deleted files: announced with DELETE, and again to whoever shows one."""

    _log = Logger()

    def __init__(
        self,
        *,
        speaker: Speaker,
        catalog: ICatalog,
        catalog_lane: Lane,
        clock: IReactorTime,
        wall_clock: Callable[[], float],
        on_buried: Iterable[Callable[[FileId], None]],
    ) -> None:
        """*on_buried* ends what this peer itself still does for a file that is dead now."""
        self._speaker = speaker
        self._catalog = catalog
        self._catalog_lane = catalog_lane
        self._clock = clock
        self._wall_clock = wall_clock
        self._on_buried = tuple(on_buried)
        self._last_sent: dict[FileId, float] = {}
        self._announcements: set[Deferred[None]] = set()
        self._is_stopped = False

    async def start(self) -> None:
        """Recall the dead files, and announce those that a stop kept from being announced."""
        await self._catalog_lane.run(self._catalog.forget_dead, self._wall_clock() - DEAD_FILE_KEPT)
        dead = await self._catalog_lane.run(self._catalog.dead)
        for file in dead:
            self._last_sent[file.file_id] = float("-inf")
        self._announce([file.file_id for file in dead if not file.is_announced])

    def stop(self) -> None:
        """Announce nothing more; what is not announced yet will be after the next start."""
        self._is_stopped = True
        for announcement in tuple(self._announcements):
            announcement.cancel()

    def __contains__(self, file_id: FileId) -> bool:
        return file_id in self._last_sent

    async def bury(self, version_ids: Iterable[int], file_ids: Iterable[FileId]) -> None:
        """Take the versions from the catalog for good, then tell the group to delete their chunks."""
        file_ids = list(file_ids)
        await self._catalog_lane.run(self._catalog.bury, list(version_ids), self._wall_clock())
        for file_id in file_ids:
            self._last_sent[file_id] = float("-inf")
            for on_buried in self._on_buried:
                on_buried(file_id)
        self._announce(file_ids)

    def heard(self, file_id: FileId) -> None:
        """A message showed that somebody has chunks of this dead file: say DELETE again, at a bounded rate."""
        now = self._clock.seconds()
        if now - self._last_sent[file_id] >= DELETE_AGAIN_SPACING:
            self._send_delete(file_id, now)

    def _announce(self, file_ids: list[FileId]) -> None:
        if not file_ids or self._is_stopped:
            return
        announcement = Deferred.fromCoroutine(self._send_repeatedly(file_ids))
        self._announcements.add(announcement)
        announcement.addErrback(lambda failure: failure.trap(CancelledError))
        announcement.addErrback(lambda failure: self._log.failure("a deletion was not announced", failure))
        announcement.addBoth(lambda _result: self._announcements.discard(announcement))

    async def _send_repeatedly(self, file_ids: list[FileId]) -> None:
        for repeat in range(DELETE_SENDINGS):
            if repeat:
                await deferLater(self._clock, DELETE_SPACING)
            for file_id in file_ids:
                self._send_delete(file_id, self._clock.seconds())
        await self._catalog_lane.run(self._catalog.set_announced, file_ids)

    def _send_delete(self, file_id: FileId, now: float) -> None:
        self._last_sent[file_id] = now
        self._speaker.delete(file_id)


class DeleteResponder:
    """Removes every chunk of a deleted file, and all that is still queued for it.

    ``forget_file`` is whatever has to cancel writes, delays and answers of the file.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        store: IChunkStore,
        store_lane: Lane,
        is_ours: Callable[[FileId], bool],
        forget_file: Iterable[Callable[[FileId], None]],
        clock: IReactorTime,
    ) -> None:
        self._store = store
        self._store_lane = store_lane
        self._is_ours = is_ours
        self._forget_file = tuple(forget_file)
        self._clock = clock
        self._deleted_at: dict[FileId, float] = {}
        self._being_deleted: set[FileId] = set()

    async def start(self) -> None:
        """Go on with the deletions that a stop has cut off."""
        for file_id in await self._store_lane.run(self._store.deletions):
            self._begin(file_id)

    def respond(self, message: Delete) -> None:
        """Delete what is held of the file of *message*."""
        file_id = message.file_id
        if self._is_ours(file_id):
            self._log.warn(
                "peer {peer} sent DELETE for {file}, a file of this peer that was not deleted here; "
                "other peers may have dropped its chunks: back it up again",
                peer=message.sender_id,
                file=file_id.hex(),
            )
            return
        self._deleted_at.pop(file_id, None)
        self._deleted_at[file_id] = self._clock.seconds()
        while len(self._deleted_at) > MAX_DELETIONS_REMEMBERED:
            del self._deleted_at[next(iter(self._deleted_at))]
        for forget_file in self._forget_file:
            forget_file(file_id)
        self._begin(file_id)

    def is_refused(self, file_id: FileId) -> bool:
        """Whether the file is being deleted, or was so lately that a PUTCHUNK for it is a straggler."""
        if file_id in self._being_deleted:
            return True
        deleted_at = self._deleted_at.get(file_id)
        return deleted_at is not None and self._clock.seconds() - deleted_at < DELETED_REFUSAL

    def _begin(self, file_id: FileId) -> None:
        if file_id in self._being_deleted:
            return
        self._being_deleted.add(file_id)
        deleted = Deferred.fromCoroutine(self._delete(file_id))
        # What a stop cuts off goes on after the next start.
        deleted.addErrback(lambda failure: failure.trap(Stopped))
        deleted.addErrback(lambda failure: self._log.failure("chunks of a deleted file stay", failure))

    async def _delete(self, file_id: FileId) -> None:
        # One slice a turn: whoever wants to store something meanwhile has his turn between two of them.
        try:
            while not await self._store_lane.submit(self._store.delete_files, file_id):
                pass
        finally:
            self._being_deleted.discard(file_id)
