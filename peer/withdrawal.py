"""Dropping one's own copy without two holders dropping the last ones together (SPEC.md section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from peer.blocking import Lane
from peer.speaker import Speaker
from protocol.timing import WITHDRAWAL_TIME
from protocol.values import ChunkId, FileId, PeerId
from storage.interfaces import IChunkStore


class _End(Enum):
    """Why a withdrawal was given up before its time."""

    RIVAL = "another peer with a greater id withdraws the same chunk, and needs us to keep it"
    VOID = "the file was deleted, or the peer stops: there is nothing to say about the copy any more"


@define(eq=False)
class _Withdrawal:
    """A copy on offer: who has said since that he holds the chunk and doesn't withdraw it himself."""

    confirmed: set[PeerId] = field(factory=set)
    waiting: Deferred[None] | None = None
    given_up: _End | None = None

    def give_up(self, why: _End) -> None:
        self.given_up = self.given_up or why
        if self.waiting is not None:
            self.waiting.cancel()


class Withdrawals:
    """Copies that this peer is about to drop.

    While a copy is being withdrawn this peer sends no STORED for it, and it is dropped only on STOREDs that
    came after the withdrawal began. So of two peers that rely on each other at most one can drop: whoever
    confirmed to the other was not withdrawing then, and needs a confirmation of its own to drop later.
    """

    def __init__(
        self,
        *,
        speaker: Speaker,
        store: IChunkStore,
        store_lane: Lane,
        on_dropped: Iterable[Callable[[ChunkId], None]],
        clock: IReactorTime,
    ) -> None:
        self._speaker = speaker
        self._store = store
        self._store_lane = store_lane
        self._on_dropped = tuple(on_dropped)
        self._clock = clock
        self._under_way: dict[ChunkId, _Withdrawal] = {}

    def is_withdrawing(self, chunk_id: ChunkId) -> bool:
        """Whether this peer's copy of the chunk may be gone in a moment."""
        return chunk_id in self._under_way

    async def offer(self, chunk_id: ChunkId, threshold: int) -> bool:
        """Say REMOVED, keep the bytes for 2 s, and drop them if *threshold* others say that they hold the chunk.

        False if the copy is kept, which STORED then says.
        """
        if chunk_id in self._under_way:
            return False
        withdrawal = self._under_way[chunk_id] = _Withdrawal()
        try:
            self._speaker.removed(chunk_id)
            withdrawal.waiting = deferLater(self._clock, WITHDRAWAL_TIME)
            withdrawal.waiting.addErrback(lambda _cancelled: None)
            await withdrawal.waiting
            if self._is_to_be_kept(chunk_id, withdrawal, len(withdrawal.confirmed) >= threshold):
                return False
            return await self._drop(chunk_id)
        finally:
            del self._under_way[chunk_id]

    async def after(self, chunk_id: ChunkId, place: Callable[[], Deferred[int]], threshold: int) -> bool:
        """Withdraw the copy while *place* finds others for it, and drop it if they are *threshold* or more.

        REMOVED goes out only when it is dropped.
        """
        if chunk_id in self._under_way:
            return False
        withdrawal = self._under_way[chunk_id] = _Withdrawal()
        try:
            holders = await place()
            if self._is_to_be_kept(chunk_id, withdrawal, holders >= threshold):
                return False
            if not await self._drop(chunk_id):
                return False
            self._speaker.removed(chunk_id)
            return True
        finally:
            del self._under_way[chunk_id]

    async def drop(self, chunk_id: ChunkId) -> bool:
        """Drop the copy whoever else holds the chunk, and say REMOVED; False if there was none."""
        if not await self._drop(chunk_id):
            return False
        self._speaker.removed(chunk_id)
        return True

    def heard_stored(self, chunk_id: ChunkId, peer_id: PeerId) -> None:
        """*peer_id* says that it holds the chunk."""
        withdrawal = self._under_way.get(chunk_id)
        if withdrawal is not None:
            withdrawal.confirmed.add(peer_id)

    def heard_removed(self, chunk_id: ChunkId, peer_id: PeerId) -> None:
        """*peer_id* withdraws its copy too: the one with the smaller id gives up."""
        withdrawal = self._under_way.get(chunk_id)
        if withdrawal is None:
            return
        withdrawal.confirmed.discard(peer_id)
        if self._speaker.peer_id < peer_id:
            withdrawal.give_up(_End.RIVAL)

    def forget_file(self, file_id: FileId) -> None:
        """The file was deleted: nothing of it is ours to keep or to offer."""
        for chunk_id, withdrawal in list(self._under_way.items()):
            if chunk_id.file_id == file_id:
                withdrawal.give_up(_End.VOID)

    def stop(self) -> None:
        """Keep what is on offer."""
        for withdrawal in list(self._under_way.values()):
            withdrawal.give_up(_End.VOID)

    def _is_to_be_kept(self, chunk_id: ChunkId, withdrawal: _Withdrawal, is_held_elsewhere: bool) -> bool:
        """Whether the withdrawal came to nothing; STORED then says that the copy stays."""
        if withdrawal.given_up is _End.VOID:
            return True
        if withdrawal.given_up is _End.RIVAL or not is_held_elsewhere:
            self._speaker.stored(chunk_id)
            return True
        return False

    async def _drop(self, chunk_id: ChunkId) -> bool:
        is_dropped: bool = await self._store_lane.submit(self._store.delete, chunk_id)
        for on_dropped in self._on_dropped:
            on_dropped(chunk_id)
        return is_dropped
