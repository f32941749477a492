"""Copying again what fell below its degree (SPEC.md section 6)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from peer.backup import ChunkBackups, ChunkToBackUp
from peer.holders import HolderKnowledge
from peer.known_chunks import KnownChunks
from protocol.limits import MAX_REPAIRS_DUE
from protocol.messages import Removed
from protocol.suppression import RecentPutChunks
from protocol.timing import LOOK_AGAIN_SPACING, response_delay
from protocol.values import ChunkId, FileId, PeerId


class RemovedResponder:
    """Answers REMOVED: confirms that this peer still holds the chunk, or starts a chunk backup for it.

    A REMOVED in the name of a peer that isn't known as a holder makes it look again instead of counting down.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        peer_id: PeerId,
        is_ours: Callable[[FileId], bool],
        holders: HolderKnowledge,
        backups: ChunkBackups,
        known_chunks: KnownChunks,
        putchunks_heard: RecentPutChunks,
        confirm: Callable[[ChunkId], None],
        is_withdrawing: Callable[[ChunkId], bool],
        clock: IReactorTime,
        random: Random,
    ) -> None:
        self._peer_id = peer_id
        self._is_ours = is_ours
        self._holders = holders
        self._backups = backups
        self._known_chunks = known_chunks
        self._putchunks_heard = putchunks_heard
        self._confirm = confirm
        self._is_withdrawing = is_withdrawing
        self._clock = clock
        self._random = random
        self._due: dict[ChunkId, Deferred[None]] = {}
        self._looked_again_at: dict[ChunkId, float] = {}

    def respond(self, message: Removed) -> None:
        """See what the loss of a copy means for the chunk of *message*."""
        settled = Deferred.fromCoroutine(self._respond(message.chunk_id, message.sender_id))
        settled.addErrback(lambda failure: self._log.failure("a REMOVED was not answered", failure))

    def forget_file(self, file_id: FileId) -> None:
        """The file was deleted: repair nothing of it."""
        for chunk_id in [chunk_id for chunk_id in self._due if chunk_id.file_id == file_id]:
            self._due[chunk_id].cancel()

    def stop(self) -> None:
        """Repair nothing more."""
        for repair in list(self._due.values()):
            repair.cancel()

    def repair(self, chunk_id: ChunkId, *, is_fresh_look: bool) -> None:
        """Start a chunk backup for the chunk after a random delay, unless somebody else does so first.

        A fresh look sends at least one PUTCHUNK, and counts only those who answer it.
        """
        if chunk_id in self._due or len(self._due) >= MAX_REPAIRS_DUE:
            return
        repair = Deferred.fromCoroutine(self._repair(chunk_id, is_fresh_look))
        if repair.called:
            return
        self._due[chunk_id] = repair
        repair.addErrback(lambda failure: failure.trap(CancelledError))
        repair.addErrback(lambda failure: self._log.warn("not repaired: {why}", why=failure.value))
        repair.addBoth(lambda _result: self._forget(chunk_id))

    def _forget(self, chunk_id: ChunkId) -> None:
        del self._due[chunk_id]

    async def _respond(self, chunk_id: ChunkId, peer_id: PeerId) -> None:
        if self._backups.is_counted_by_run(chunk_id):
            return
        change = None
        if peer_id != self._peer_id:
            change = await self._holders.heard_removed(chunk_id, peer_id)
            if change is None:
                return
        if change is None or not change.was_news:
            is_repaired = self._look_again(chunk_id)
        elif change.perceived < change.desired:
            self.repair(chunk_id, is_fresh_look=False)
            is_repaired = True
        else:
            is_repaired = False
        if change is not None and not is_repaired and not self._is_ours(chunk_id.file_id):
            self._confirm(chunk_id)

    def _look_again(self, chunk_id: ChunkId) -> bool:
        """Look again, unless that was done a moment ago; returns whether it is."""
        now = self._clock.seconds()
        if now - self._looked_again_at.get(chunk_id, float("-inf")) < LOOK_AGAIN_SPACING:
            return False
        self._looked_again_at.pop(chunk_id, None)
        self._looked_again_at[chunk_id] = now
        while len(self._looked_again_at) > MAX_REPAIRS_DUE:
            del self._looked_again_at[next(iter(self._looked_again_at))]
        self.repair(chunk_id, is_fresh_look=True)
        return True

    async def place_elsewhere(self, chunk_id: ChunkId) -> int:
        """Run a chunk backup that counts only other peers: how many of them hold the chunk."""
        chunk = await self._known_chunks.find(chunk_id)
        if chunk is None:
            return 0
        await self._backups.turn(chunk_id)
        run = self._backups.start(ChunkToBackUp(chunk_id=chunk_id, desired=chunk.desired, read=chunk.read))
        try:
            await run.done
        finally:
            run.close()
        return run.replication.perceived

    async def _repair(self, chunk_id: ChunkId, is_fresh_look: bool) -> None:
        since = self._clock.seconds()
        await deferLater(self._clock, response_delay(self._random))
        if self._is_needless(chunk_id, since):
            return
        chunk = await self._known_chunks.find(chunk_id)
        if chunk is None:
            return
        own_copy = frozenset() if chunk.is_ours else frozenset({self._peer_id})
        counted = own_copy if is_fresh_look else chunk.holders | own_copy
        if not is_fresh_look and len(counted) >= chunk.desired:
            return
        await self._backups.turn(chunk_id)
        if self._is_needless(chunk_id, since):
            self._backups.give_up_turn()
            return
        run = self._backups.start(
            ChunkToBackUp(
                chunk_id=chunk_id,
                desired=chunk.desired,
                read=chunk.read,
                holders=counted,
                announces_own_copy=not chunk.is_ours,
            )
        )
        try:
            await run.done
        finally:
            run.close()
        self._holders.note(chunk_id, run.replication.holders)

    def _is_needless(self, chunk_id: ChunkId, since: float) -> bool:
        return (
            self._putchunks_heard.heard_since(chunk_id, since)
            or self._backups.is_running(chunk_id)
            or self._is_withdrawing(chunk_id)
        )
