"""Dropping one's own copy without two holders dropping the last ones together (SPEC.md section 6)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from enum import Enum
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from peer.blocking import Lane
from peer.speaker import Speaker
from peer.waiting import Turnstile
from protocol.limits import MAX_WITHDRAWALS, REMOVED_PER_SECOND
from protocol.pacing import Pacer
from protocol.timing import WITHDRAWAL_QUIET, WITHDRAWAL_TIME
from protocol.values import ChunkId, FileId, PeerId
from protocol.window import Window
from storage.errors import StorageError
from storage.interfaces import HeldChunk, IChunkStore, ReadOutcome


class Fate(Enum):
    """What became of a copy that was to be dropped."""

    DROPPED = "it is gone, and REMOVED has said so"
    KEPT = "it stays, and STORED has said so; or somebody else withdraws it already"
    GONE = "it is gone for another reason: its file was deleted, or the copy is damaged and is being dropped for that"


class _End(Enum):
    """Why a withdrawal was given up before its time."""

    RIVAL = "another peer with a greater id withdraws the same chunk, and needs us to keep it"
    VOID = "the file was deleted: there is nothing to say about the copy any more"


@define(eq=False)
class _Withdrawal:
    """A copy that may go: who has said that he holds the chunk, since it counts, and doesn't withdraw it himself."""

    is_offer: bool
    """Whether REMOVED goes out before the copy does, so that rivals hear of each other."""
    counts_from: float = float("inf")
    """In the clock's seconds: what was said before may be of somebody who withdraws the chunk by now."""
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
    came when this peer had been silent for so long that its own last one had arrived everywhere. So whoever
    drops relies on a peer that fell silent later than itself, if at all, and the last of them all keeps its
    copy, whatever messages are lost, unless it may be dropped though it is the last (SPEC.md 6.13).

    Calling contract: enter ``room`` before each ``offer`` and ``after``, and leave it when that has ended.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        speaker: Speaker,
        store: IChunkStore,
        store_lane: Lane,
        read_lane: Lane,
        on_dropped: Iterable[Callable[[ChunkId], None]],
        on_kept: Callable[[ChunkId], None],
        clock: IReactorTime,
    ) -> None:
        """*on_kept* is told of copies that were offered in vain: what was heard meanwhile may ask for a repair."""
        self.room = Turnstile(Window(MAX_WITHDRAWALS))
        self._speaker = speaker
        self._store = store
        self._store_lane = store_lane
        self._read_lane = read_lane
        self._on_dropped = tuple(on_dropped)
        self._on_kept = on_kept
        self._clock = clock
        self._pacer = Pacer(REMOVED_PER_SECOND, 1)
        self._under_way: dict[ChunkId, _Withdrawal] = {}
        self._being_dropped: dict[ChunkId, _Withdrawal] = {}
        self._waiting_for_end: dict[ChunkId, list[Deferred[None]]] = {}
        self._is_stopped = False

    def is_withdrawing(self, chunk_id: ChunkId) -> bool:
        """Whether this peer's copy of the chunk may be gone in a moment: no STORED may vouch for it."""
        return chunk_id in self._under_way or chunk_id in self._being_dropped

    def is_offered(self, chunk_id: ChunkId) -> bool:
        """Whether REMOVED is said before the copy is dropped: a CHUNK would have the others count it again."""
        withdrawal = self._under_way.get(chunk_id)
        return chunk_id in self._being_dropped or (withdrawal is not None and withdrawal.is_offer)

    async def ended(self, chunk_id: ChunkId) -> None:
        """Wait until nobody is withdrawing or dropping the copy."""
        while self.is_withdrawing(chunk_id):
            ended: Deferred[None] = Deferred()
            self._waiting_for_end.setdefault(chunk_id, []).append(ended)
            await ended

    async def offer(self, chunk_id: ChunkId) -> Fate:
        """Say REMOVED, keep the bytes for 2 s, and drop them if as many others hold the chunk as should."""
        if self.is_withdrawing(chunk_id):
            return Fate.KEPT
        withdrawal = self._under_way[chunk_id] = _Withdrawal(is_offer=True)
        try:
            await self._wait(withdrawal, WITHDRAWAL_QUIET)
            await self._wait(withdrawal, self._pace())
            # A DELETE that came just before this began was carried out without a word to it.
            is_held = await self._held(chunk_id) is not None
            if is_held and withdrawal.given_up is None:
                self._count_from_now(withdrawal)
                self._speaker.removed(chunk_id)
                await self._wait(withdrawal, WITHDRAWAL_TIME)
            held = await self._held(chunk_id)
            fate = await self._settle(
                chunk_id, withdrawal, held, threshold=0 if held is None else held.desired
            )
        finally:
            self._end(self._under_way, chunk_id)
        if fate is Fate.KEPT:
            self._on_kept(chunk_id)
        return fate

    async def after(
        self,
        chunk_id: ChunkId,
        place: Callable[[], Coroutine[Deferred[Any], Any, None]],
        *,
        threshold: Callable[[], int],
    ) -> Fate:
        """Withdraw the copy while *place* looks for others to hold the chunk, and drop it if as many do as have to.

        *threshold* tells at the end how many that is. REMOVED goes out only when it is dropped. What *place* raises
        passes through, and nothing is said of the copy.
        """
        if self.is_withdrawing(chunk_id):
            return Fate.KEPT
        withdrawal = self._under_way[chunk_id] = _Withdrawal(is_offer=False)
        try:
            await self._wait(withdrawal, WITHDRAWAL_QUIET)
            self._count_from_now(withdrawal)
            if withdrawal.given_up is None:
                await self._until(withdrawal, Deferred.fromCoroutine(place()))
            await self._wait(withdrawal, self._pace())
            held = await self._held(chunk_id)
            return await self._settle(chunk_id, withdrawal, held, threshold=threshold())
        finally:
            self._end(self._under_way, chunk_id)

    async def drop_damaged(self, chunk_id: ChunkId) -> bool:
        """Say REMOVED and drop the copy, if it is still damaged: False if it is gone, or was replaced by a good one.

        The good one is vouched for then: whoever sent it has had no STORED while this peer was about to drop it.
        """
        if chunk_id in self._being_dropped or self._is_stopped:
            return False
        drop = self._being_dropped[chunk_id] = _Withdrawal(is_offer=False)
        try:
            await self._wait(drop, self._pace())
            outcome = await self._read(chunk_id)
            if drop.given_up is not None:
                return False
            if outcome.is_damaged:
                # Said first: whoever crashes between the two is not counted on for a copy that is gone.
                self._speaker.removed(chunk_id)
                return await self._delete(chunk_id)
        finally:
            self._end(self._being_dropped, chunk_id)
        if outcome.body is not None and not self.is_withdrawing(chunk_id):
            self._speaker.stored(chunk_id)
        return False

    def heard_stored(self, chunk_id: ChunkId, peer_id: PeerId) -> None:
        """*peer_id*, another peer, says that it holds the chunk."""
        withdrawal = self._under_way.get(chunk_id)
        if withdrawal is not None and self._clock.seconds() >= withdrawal.counts_from:
            withdrawal.confirmed.add(peer_id)

    def heard_removed(self, chunk_id: ChunkId, peer_id: PeerId) -> None:
        """*peer_id* drops its copy, or offers to: of two that offer, the one with the smaller id gives up."""
        withdrawal = self._under_way.get(chunk_id)
        if withdrawal is None:
            return
        withdrawal.confirmed.discard(peer_id)
        if withdrawal.is_offer and self._speaker.peer_id < peer_id:
            withdrawal.give_up(_End.RIVAL)

    def forget_file(self, file_id: FileId) -> None:
        """The file was deleted: nothing of it is ours to keep or to offer."""
        for chunk_id, withdrawal in [*self._under_way.items(), *self._being_dropped.items()]:
            if chunk_id.file_id == file_id:
                withdrawal.give_up(_End.VOID)

    def stop(self) -> None:
        """Begin to drop nothing more; whoever withdraws a copy is to be cancelled by who began it."""
        self._is_stopped = True
        for drop in list(self._being_dropped.values()):
            if drop.waiting is not None:
                drop.waiting.cancel()

    def _end(self, table: dict[ChunkId, _Withdrawal], chunk_id: ChunkId) -> None:
        del table[chunk_id]
        for ended in self._waiting_for_end.pop(chunk_id, ()):
            ended.callback(None)

    def _pace(self) -> float:
        """How many seconds the next REMOVED has to wait, so that all of them keep their rate."""
        return self._pacer.delay(self._clock.seconds(), 1)

    def _count_from_now(self, withdrawal: _Withdrawal) -> None:
        withdrawal.counts_from = self._clock.seconds()

    async def _wait(self, withdrawal: _Withdrawal, seconds: float) -> None:
        """Let time pass, less of it if the withdrawal is given up."""
        if withdrawal.given_up is None:
            await self._until(withdrawal, deferLater(self._clock, seconds))

    @staticmethod
    async def _until(withdrawal: _Withdrawal, awaited: Deferred[None]) -> None:
        """Wait for *awaited*, which is cancelled if the withdrawal is given up."""
        withdrawal.waiting = awaited
        try:
            await awaited
        except CancelledError:
            # Unless it is given up, whoever began it has cancelled the whole.
            if withdrawal.given_up is None:
                raise
        finally:
            withdrawal.waiting = None

    async def _settle(
        self, chunk_id: ChunkId, withdrawal: _Withdrawal, held: HeldChunk | None, *, threshold: int
    ) -> Fate:
        if held is None or chunk_id in self._being_dropped or withdrawal.given_up is _End.VOID:
            return Fate.GONE
        if withdrawal.given_up is _End.RIVAL or len(withdrawal.confirmed) < threshold:
            self._speaker.stored(chunk_id)
            return Fate.KEPT
        if not withdrawal.is_offer:
            self._speaker.removed(chunk_id)
        try:
            is_deleted = await self._delete(chunk_id)
        except StorageError:
            self._log.failure("the copy of {chunk} stays", chunk=str(chunk_id))
            self._speaker.stored(chunk_id)
            return Fate.KEPT
        if is_deleted and not withdrawal.confirmed:
            self._log.warn(
                "dropped what may be the last copy of {chunk}: nobody took it in the time that it was kept",
                chunk=str(chunk_id),
            )
        return Fate.DROPPED if is_deleted else Fate.GONE

    async def _held(self, chunk_id: ChunkId) -> HeldChunk | None:
        held: HeldChunk | None = await self._store_lane.submit(self._store.describe, chunk_id)
        return held

    async def _read(self, chunk_id: ChunkId) -> ReadOutcome:
        # First let the store do what it was asked for before, a deletion perhaps. What it says is no matter: the
        # row may be damaged too, and tell nothing.
        await self._held(chunk_id)
        outcome: ReadOutcome = await self._read_lane.submit(self._store.get, chunk_id)
        return outcome

    async def _delete(self, chunk_id: ChunkId) -> bool:
        is_deleted: bool = await self._store_lane.submit(self._store.delete, chunk_id)
        for on_dropped in self._on_dropped:
            on_dropped(chunk_id)
        return is_deleted
