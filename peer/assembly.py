"""One peer, put together: what comes from the network goes to who answers it, and what a user asks is done."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from peer.alarms import Alarms
from peer.backup import ChunkBackups
from peer.backup_responder import PutChunkResponder, StoredAnswers
from peer.blocking import MAX_BATCH_ITEMS, IExecutor, Lane, Stopped
from peer.channel import Channel
from peer.config import PeerConfig
from peer.delete import DeadFiles, DeleteResponder
from peer.eviction import Eviction
from peer.holders import HolderKnowledge, Ledgers
from peer.home import Home
from peer.known_chunks import KnownChunks
from peer.metrics import Counters
from peer.network import IGroupNetwork
from peer.operations import Operations
from peer.outbox import Outbox
from peer.reclaim import SpaceReclaim
from peer.repair import RemovedResponder
from peer.restore import ChunkRestores
from peer.restore_responder import GetChunkResponder
from peer.router import Router
from peer.scrub import Scrub
from peer.settlement import Settlement
from peer.speaker import Speaker
from peer.state import PeerState
from peer.traffic import SendLimit, Traffic
from peer.withdrawal import Withdrawals
from protocol.flow import FlowControl
from protocol.limits import (
    CHUNK_BYTES_PER_SECOND,
    MAX_BACKUP_BYTES_UNDER_WAY,
    MAX_BACKUP_WINDOW_BYTES,
    MAX_RESTORE_BYTES_UNDER_WAY,
    MAX_RESTORE_WINDOW_BYTES,
    MAX_UNSENT_BYTES,
)
from protocol.messages import Chunk, Delete, GetChunk, PutChunk, Removed, Stored
from protocol.pacing import Pacer, burst_at
from protocol.scarcity import Scarcity
from protocol.suppression import RecentChunks
from protocol.values import ChunkId, FileId
from storage.disk import IDisk
from storage.opening import OpenStorage

MAX_FILE_CALLS_TOGETHER = 16
"""Calls about files in one hop to their thread: for small files hops cost more than bytes. Each may read 1 MB."""


@frozen(kw_only=True)
class Doors:
    """What a peer is given of the world: time, chance, the network, the disk, and where blocking calls run."""

    clock: IReactorTime
    """Never goes back; what happens outside doesn't move it."""
    wall_clock: Callable[[], float]
    """Seconds since 1970, for what outlives the process."""
    random: Random
    """For delays: they may be guessed, and are many."""
    salt_random: Random
    """For salts: nobody may guess them (SPEC.md 3.30)."""
    network: IGroupNetwork
    disk: IDisk
    executor: IExecutor


class Peer:
    """A running peer, from its opened storage and its doors.

    ``operations`` is what its user can have it do; ``counters`` what it has seen.
    """

    _log = Logger()

    def __init__(self, config: PeerConfig, storage: OpenStorage, doors: Doors) -> None:
        self.peer_id = storage.peer_id
        self.counters = Counters()
        self._storage = storage
        self._doors = doors
        clock, random = Alarms(doors.clock), doors.random
        store, catalog = storage.store, storage.catalog
        self._lanes = [
            Lane(doors.executor, "store"),
            Lane(doors.executor, "read"),
            Lane(doors.executor, "catalog", max_calls_together=MAX_BATCH_ITEMS, together=catalog.together),
            Lane(doors.executor, "files", max_calls_together=MAX_FILE_CALLS_TOGETHER),
        ]
        store_lane, read_lane, catalog_lane, file_lane = self._lanes

        self._channel = Channel(
            network=doors.network,
            groups=config.groups,
            peer_id=self.peer_id,
            edition=config.edition,
            clock=clock,
            counters=self.counters,
        )
        speaker = Speaker(peer_id=self.peer_id, version=config.version, send=self._channel.send)
        chunk_pacer = Pacer(CHUNK_BYTES_PER_SECOND, burst_at(CHUNK_BYTES_PER_SECOND))
        send_limit = SendLimit(config.send_limit)
        self._chunk_outbox = Outbox(clock=clock, pacers=[chunk_pacer, send_limit.pacer])
        self._backup_traffic = Traffic(
            flow=FlowControl(most_window=MAX_BACKUP_WINDOW_BYTES),
            most_unsent_bytes=MAX_UNSENT_BYTES,
            most_bytes_under_way=MAX_BACKUP_BYTES_UNDER_WAY,
            limit=send_limit,
            clock=clock,
        )
        self._restore_traffic = Traffic(
            flow=FlowControl(most_window=MAX_RESTORE_WINDOW_BYTES),
            most_bytes_under_way=MAX_RESTORE_BYTES_UNDER_WAY,
            clock=clock,
        )

        self._dead_files = DeadFiles(
            speaker=speaker,
            catalog=catalog,
            catalog_lane=catalog_lane,
            clock=clock,
            wall_clock=doors.wall_clock,
            on_buried=[
                lambda file_id: self._repairs.forget_file(file_id),
                lambda file_id: self._backups.forget_file(file_id),
            ],
        )
        self._home = Home(
            disk=doors.disk,
            catalog=catalog,
            catalog_lane=catalog_lane,
            file_lane=file_lane,
            dead_files=self._dead_files,
            random=doors.salt_random,
        )
        self._answers = StoredAnswers(
            speaker=speaker,
            is_withdrawing=lambda chunk_id: self._withdrawals.is_withdrawing(chunk_id),
            clock=clock,
            random=random,
        )
        self._backups = ChunkBackups(
            speaker=speaker,
            vouch=self._answers.vouch,
            traffic=self._backup_traffic,
            scarcity=Scarcity(),
            clock=clock,
        )
        restores = ChunkRestores(
            speaker=speaker, traffic=self._restore_traffic, counters=self.counters, clock=clock
        )
        self._holders = HolderKnowledge(
            ledgers=Ledgers(store, store_lane, catalog, catalog_lane),
            is_ours=self._home.is_ours,
            is_counted_by_run=self._backups.is_counted_by_run,
            clock=clock,
        )
        self._withdrawals = Withdrawals(
            speaker=speaker,
            store=store,
            store_lane=store_lane,
            read_lane=read_lane,
            on_dropped=[self._answers.forget_chunk, lambda chunk_id: self._settlement.forget_chunk(chunk_id)],
            on_kept=lambda chunk_id: self._repairs.repair(chunk_id),
            clock=clock,
        )
        known_chunks = KnownChunks(
            home=self._home,
            store=store,
            store_lane=store_lane,
            read_lane=read_lane,
            drop_damaged=self._drop_damaged,
        )
        self._putchunks_heard = RecentChunks()
        self._removed_heard = RecentChunks()
        self._repairs = RemovedResponder(
            peer_id=self.peer_id,
            is_ours=self._home.is_ours,
            holders=self._holders,
            backups=self._backups,
            known_chunks=known_chunks,
            putchunks_heard=self._putchunks_heard,
            confirm=self._answers.answer,
            is_withdrawing=self._withdrawals.is_withdrawing,
            clock=clock,
            random=random,
        )
        self._reclaiming = SpaceReclaim(
            store=store,
            store_lane=store_lane,
            withdrawals=self._withdrawals,
            place_elsewhere=self._repairs.place_elsewhere,
            putchunks_heard=self._putchunks_heard,
            removed_heard=self._removed_heard,
            last_copy_grace=config.last_copy_grace,
            clock=clock,
        )
        self._eviction = Eviction(store=store, store_lane=store_lane, withdrawals=self._withdrawals)
        self._putchunk_responder = PutChunkResponder(
            peer_id=self.peer_id,
            store=store,
            store_lane=store_lane,
            answers=self._answers,
            may_store=self._may_store,
            recent_holders=self._holders.recent,
            make_room=self._eviction.make_room,
            counters=self.counters,
        )
        self._getchunk_responder = GetChunkResponder(
            speaker=speaker,
            store=store,
            read_lane=read_lane,
            outbox=self._chunk_outbox,
            drop_damaged=self._drop_damaged,
            is_offered=self._withdrawals.is_offered,
            clock=clock,
            random=random,
        )
        self._scrub = Scrub(
            period=config.scrub_period,
            store=store,
            store_lane=store_lane,
            read_lane=read_lane,
            drop_damaged=self._drop_damaged,
            counters=self.counters,
            clock=clock,
            wall_clock=doors.wall_clock,
        )
        self._settlement = Settlement(
            vouch=self._answers.vouch,
            store=store,
            store_lane=store_lane,
            is_deleted=lambda file_id: self._delete_responder.is_refused(file_id),
            clock=clock,
        )
        self._delete_responder = DeleteResponder(
            store=store,
            store_lane=store_lane,
            is_ours=self._home.is_ours,
            forget_file=[
                self._putchunk_responder.forget_file,
                self._answers.forget_file,
                self._getchunk_responder.forget_file,
                self._repairs.forget_file,
                self._withdrawals.forget_file,
                self._backups.forget_file,
                self._settlement.forget_file,
            ],
            clock=clock,
        )
        self.operations = Operations(
            home=self._home,
            backups=self._backups,
            restores=restores,
            reclaiming=self._reclaiming,
            store=store,
            store_lane=store_lane,
            state=PeerState(
                peer_id=self.peer_id,
                version=config.version,
                store=store,
                store_lane=store_lane,
                catalog=catalog,
                catalog_lane=catalog_lane,
            ),
            restored_folder=storage.restored_folder,
            send_limit=send_limit,
            clock=clock,
        )
        router = Router(own_id=self.peer_id, dead_files=self._dead_files)
        router.add(PutChunk, lambda m: self._putchunks_heard.heard(m.chunk_id, clock.seconds()))
        router.add(PutChunk, self._putchunk_responder.respond)
        heard_holder = self._holders.heard_holder
        router.add_holder_listeners(
            Stored, self._backups.heard_holder, self._withdrawals.heard_stored, heard_holder
        )
        router.add_holder_listeners(Chunk, self._backups.heard_chunk, heard_holder)
        router.add(GetChunk, self._getchunk_responder.respond)
        router.add(Chunk, restores.heard)
        router.add(Chunk, self._getchunk_responder.overheard)
        router.add(Delete, self._delete_responder.respond)
        router.add(Removed, lambda m: self._backups.heard_removed(m.chunk_id, m.sender_id))
        router.add(Removed, lambda m: self._withdrawals.heard_removed(m.chunk_id, m.sender_id))
        router.add(Removed, self._repairs.respond)
        router.add(Removed, lambda m: self._removed_heard.heard(m.chunk_id, clock.seconds()))
        self._router = router

    async def start(self) -> None:
        """Join the groups, recall what the disk remembers, and go on with what a stop has cut off."""
        await self._home.start()
        self._channel.start(self._router.route)
        await self._delete_responder.start()
        self._settlement.start()
        self._scrub.start()
        await self._dead_files.start()
        await self.operations.resume()

    async def stop(self) -> None:
        """Leave the groups, let what is being written end, and close the storage."""
        self._channel.stop()
        self.operations.stop()
        for part in (
            self._scrub,
            self._settlement,
            self._reclaiming,
            self._eviction,
            self._repairs,
            self._withdrawals,
            self._putchunk_responder,
            self._answers,
            self._getchunk_responder,
            self._dead_files,
            self._backup_traffic.outbox,
            self._restore_traffic.outbox,
            self._chunk_outbox,
        ):
            part.stop()
        self._holders.flush()
        for lane in self._lanes:
            await lane.stop()
        self._storage.close()

    def _may_store(self, file_id: FileId) -> bool:
        return not (
            self._home.is_ours(file_id)
            or file_id in self._dead_files
            or self._delete_responder.is_refused(file_id)
        )

    def _drop_damaged(self, chunk_id: ChunkId) -> None:
        """A copy's bytes are not what they were: it is no copy any more, and the group is to know."""
        dropped = Deferred.fromCoroutine(self._drop_if_damaged(chunk_id))
        dropped.addErrback(lambda failure: failure.trap(CancelledError, Stopped))
        dropped.addErrback(lambda failure: self._log.failure("a damaged copy stays", failure))

    async def _drop_if_damaged(self, chunk_id: ChunkId) -> None:
        if await self._withdrawals.drop_damaged(chunk_id):
            self.counters.count("damaged_copies_dropped")
            self._log.error("the copy of {chunk} is damaged and was dropped", chunk=str(chunk_id))
