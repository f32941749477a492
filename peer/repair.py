"""Copying again what fell below its degree (SPEC.md section 6)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from peer.backup import ChunkBackups, ChunkToBackUp
from peer.blocking import Stopped
from peer.holders import HolderKnowledge
from peer.known_chunks import KnownChunk, KnownChunks
from protocol.limits import MAX_REPAIRS_DUE
from protocol.messages import Removed
from protocol.suppression import RecentChunks
from protocol.timing import LOOK_AGAIN_SPACING, response_delay
from protocol.values import ChunkId, FileId, PeerId


@define(eq=False)
class _Repair:
    """A chunk backup that REMOVEDs have asked for, from its delay to its end."""

    is_fresh_look: bool
    lost: set[PeerId] = field(factory=set)
    """Who has said REMOVED since: what is looked up meanwhile may not know of it yet."""
    ended: Deferred[None] | None = None


class RemovedResponder:
    """Answers REMOVED: confirms that this peer still holds the chunk, and starts a chunk backup if it has to.

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
        putchunks_heard: RecentChunks,
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
        self._responding: dict[Deferred[None], ChunkId] = {}
        self._due: dict[ChunkId, _Repair] = {}
        self._looked_again_at: dict[ChunkId, float] = {}
        self._is_stopped = False

    def respond(self, message: Removed) -> None:
        """See what the loss of a copy means for the chunk of *message*."""
        due = self._due.get(message.chunk_id)
        if due is not None:
            due.lost.add(message.sender_id)
        now = self._clock.seconds()
        responding = Deferred.fromCoroutine(self._respond(message.chunk_id, message.sender_id, now))
        self._responding[responding] = message.chunk_id
        responding.addErrback(lambda failure: failure.trap(CancelledError, Stopped))
        responding.addErrback(lambda failure: self._log.failure("a REMOVED was not answered", failure))
        responding.addBoth(lambda _result: self._responding.pop(responding))

    def repair(self, chunk_id: ChunkId, *, since: float | None = None, is_fresh_look: bool = False) -> None:
        """Start a chunk backup for the chunk after a random delay, unless somebody else does so first.

        *since*: from when on a PUTCHUNK of somebody else counts, in the clock's seconds; by default, from now on.
        Nothing comes of it if the degree is met by then; but a fresh look sends at least one PUTCHUNK, and counts
        only those who answer it.
        """
        if self._is_stopped:
            return
        due = self._due.get(chunk_id)
        if due is not None:
            due.is_fresh_look |= is_fresh_look
            return
        if len(self._due) >= MAX_REPAIRS_DUE:
            return
        repair = self._due[chunk_id] = _Repair(is_fresh_look)
        began = self._clock.seconds() if since is None else since
        repair.ended = Deferred.fromCoroutine(self._repair(chunk_id, repair, began))
        repair.ended.addErrback(lambda failure: failure.trap(CancelledError, Stopped))
        repair.ended.addErrback(lambda failure: self._log.warn("not repaired: {why}", why=failure.value))
        repair.ended.addBoth(lambda _result: self._due.pop(chunk_id))

    async def place_elsewhere(self, chunk_id: ChunkId) -> None:
        """Run a chunk backup that counts only what other peers answer to it. Raises CopyLost."""
        chunk = await self._known_chunks.find(chunk_id)
        if chunk is None:
            return
        place = await self._backups.turn(chunk_id)
        placing = ChunkToBackUp(
            chunk_id=chunk_id, desired=chunk.desired, read=chunk.read, counts_answers_only=True
        )
        await self._backups.run(placing, place)

    def forget_file(self, file_id: FileId) -> None:
        """The file was deleted: repair nothing of it."""
        for chunk_id in [chunk_id for chunk_id in self._due if chunk_id.file_id == file_id]:
            self._cancel(self._due[chunk_id])
        for responding, chunk_id in list(self._responding.items()):
            if chunk_id.file_id == file_id:
                responding.cancel()

    def stop(self) -> None:
        """Repair and confirm nothing more."""
        self._is_stopped = True
        for repair in list(self._due.values()):
            self._cancel(repair)
        for responding in list(self._responding):
            responding.cancel()

    @staticmethod
    def _cancel(repair: _Repair) -> None:
        if repair.ended is not None:
            repair.ended.cancel()

    async def _respond(self, chunk_id: ChunkId, peer_id: PeerId, now: float) -> None:
        if self._backups.is_counted_by_run(chunk_id):
            return
        if peer_id == self._peer_id:
            self._look_again(chunk_id, now)
            return
        change = await self._holders.heard_removed(chunk_id, peer_id)
        if change is None:
            return
        if not change.was_news:
            self._look_again(chunk_id, now)
        elif change.perceived < change.desired:
            self.repair(chunk_id, since=now)
        # Also where a chunk backup is due: it may be long in coming, and the sender decides within 2 s. He may drop
        # the last good copy on the strength of what we say.
        if not self._is_ours(chunk_id.file_id) and await self._known_chunks.is_copy_good(chunk_id):
            self._confirm(chunk_id)

    def _look_again(self, chunk_id: ChunkId, now: float) -> None:
        if now - self._looked_again_at.get(chunk_id, float("-inf")) < LOOK_AGAIN_SPACING:
            return
        self._looked_again_at.pop(chunk_id, None)
        self._looked_again_at[chunk_id] = now
        while len(self._looked_again_at) > MAX_REPAIRS_DUE:
            del self._looked_again_at[next(iter(self._looked_again_at))]
        self.repair(chunk_id, since=now, is_fresh_look=True)

    async def _repair(self, chunk_id: ChunkId, repair: _Repair, since: float) -> None:
        await deferLater(self._clock, response_delay(self._random))
        if self._is_needless(chunk_id, since):
            return
        place = await self._backups.turn(chunk_id)
        try:
            # Looked up in our turn: who holds the chunk may have changed while we waited for it.
            chunk = await self._known_chunks.find(chunk_id)
        except BaseException:
            place.end()
            raise
        if chunk is None or self._is_needless(chunk_id, since):
            place.end()
            return
        counted = self._counted(chunk, repair)
        if len(counted) >= chunk.desired and not repair.is_fresh_look:
            place.end()
            return
        repairing = ChunkToBackUp(
            chunk_id=chunk_id,
            desired=chunk.desired,
            read=chunk.read,
            holders=counted,
            announces_own_copy=not chunk.is_ours,
        )
        await self._backups.run(repairing, place)

    def _counted(self, chunk: KnownChunk, repair: _Repair) -> frozenset[PeerId]:
        """Who counts from the start of the chunk backup."""
        own_copy = frozenset() if chunk.is_ours else frozenset({self._peer_id})
        return own_copy if repair.is_fresh_look else (chunk.holders - repair.lost) | own_copy

    def _is_needless(self, chunk_id: ChunkId, since: float) -> bool:
        return (
            self._putchunks_heard.heard_since(chunk_id, since)
            or self._backups.is_running(chunk_id)
            or self._is_withdrawing(chunk_id)
        )
