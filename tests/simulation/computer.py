"""One computer of a simulated group: a disk that stays, and the processes of a peer that come and go on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import Enum
from random import Random
from typing import TYPE_CHECKING

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from peer.assembly import Doors, Peer
from peer.config import PeerConfig
from protocol.codec import parse
from protocol.errors import ProtocolError
from protocol.messages import Chunk, Delete, Removed, Stored
from protocol.values import ChunkId, FileId, PeerId
from storage.errors import StorageError
from storage.interfaces import ChunkToStore, FileVersion, PutOutcome
from storage.opening import OpenStorage, open_storage
from tests.simulation.doors import (
    HeardNetwork,
    ProcessClock,
    SimExecutor,
    StorageWatcher,
    watched_catalog,
    watched_store,
)
from tests.simulation.facts import DAMAGED, DROPPED, LEFT, Copies, Heard, Version
from tests.simulation.promises import compare_with_promises
from tests.simulation.transcript import message_of
from tests.support.disk import MemoryDisk, PowerLost
from tests.support.lan import Datagram

if TYPE_CHECKING:
    from tests.simulation.world import World

STORE = "/store"
FIRST_WALL_TIME = 1_700_000_000.0
USUAL_SLOWNESS = 0.005
"""Seconds that a call to the disk takes at the most."""
DISK_BYTES = 10**9
STOP_LIMIT = 300.0
"""Seconds in which a peer that is told to stop has to have stopped."""


class Power(Enum):
    """What a computer is doing."""

    OFF = "off"
    RUNNING = "running"
    STOPPING = "stopping"
    GONE = "gone for ever"


@define(eq=False)
class Process:
    """A peer that runs, from its start to its stop or its end."""

    clock: ProcessClock
    network: HeardNetwork
    executor: SimExecutor
    peer: Peer
    storage: OpenStorage
    started: Deferred[None] | None = None


@define(eq=False)
class Computer(StorageWatcher):
    """See the module."""

    world: World
    peer_id: int
    capacity_bytes: int
    read_seconds: float = 0.0
    receive_buffer_bytes: int = 64 * 1024 * 1024
    scrub_period: float | None = None
    disk: MemoryDisk = field(factory=lambda: MemoryDisk(total_bytes=DISK_BYTES))
    power: Power = Power.OFF
    process: Process | None = None
    wall_step: float = 0.0
    slowness: float = USUAL_SLOWNESS
    starts: int = 0
    started_at: float = 0.0
    lent_bytes: int = 0
    """The most that its user may have set as its capacity."""
    files: dict[str, dict[int, bytes]] = field(factory=dict)
    """What each path of the user's has held, by the time of change that the disk gave it."""
    restored: dict[str, bytes] = field(factory=dict)
    """What was reported as restored, by the path that it was written to."""

    def __attrs_post_init__(self) -> None:
        self.world.facts.copies[self.peer_id] = Copies()
        self.lent_bytes = self.capacity_bytes

    @property
    def name(self) -> str:
        return f"peer {self.peer_id}"

    @property
    def host(self) -> str:
        return f"10.0.0.{self.peer_id}"

    @property
    def copies(self) -> Copies:
        return self.world.facts.copies[self.peer_id]

    @property
    def is_running(self) -> bool:
        return self.power is Power.RUNNING

    # What happens to it

    def start(self) -> None:
        """Start the peer on what the disk holds; with a disk that refuses even that, it stays off."""
        if self.power is not Power.OFF:
            return
        world = self.world
        self.starts += 1
        for path in self.files:
            # A write that the power cut off has left what chance let it leave.
            self._look_at(path)
        try:
            storage = open_storage(
                self.disk,
                STORE,
                peer_id=PeerId(self.peer_id),
                draw_peer_id=lambda: PeerId(self.peer_id),
                capacity_bytes=self.capacity_bytes,
            )
        except PowerLost:
            self.crash(is_torn=True)
            return
        except StorageError as error:
            world.say(self.name, f"can't start: {error}")
            if not world.disk_faults:
                world.break_promise(7, f"{self.name} can't start: {error}")
            return
        with self.unhindered():
            compare_with_promises(self, storage)
        clock = ProcessClock(world.clock)
        executor = SimExecutor(clock=clock, random=self._random("executor"), max_delay=self.slowness)
        network = HeardNetwork(
            world.lan.network(
                self.host, receive_buffer_bytes=self.receive_buffer_bytes, read_seconds=self.read_seconds
            ),
            self._hear,
        )
        watched = evolve(
            storage, store=watched_store(storage.store, self), catalog=watched_catalog(storage.catalog, self)
        )
        doors = Doors(
            clock=clock,
            wall_clock=lambda: FIRST_WALL_TIME + world.clock.seconds() + self.wall_step,
            random=self._random("peer"),
            salt_random=self._random("salt"),
            network=network,
            disk=self.disk,
            executor=executor,
        )
        peer = Peer(PeerConfig(store=STORE, scrub_period=self.scrub_period), watched, doors)
        process = self.process = Process(clock, network, executor, peer, watched)
        self.power = Power.RUNNING
        self.started_at = world.clock.seconds()
        world.say(self.name, "starts")
        process.started = Deferred.fromCoroutine(peer.start())
        process.started.addErrback(self._not_started, process)

    def stop(self) -> Deferred[None] | None:
        """Stop the peer in good order; fires when it has. None if it isn't running."""
        if self.power is not Power.RUNNING:
            return None
        assert self.process is not None
        self.power = Power.STOPPING
        self.world.say(self.name, "is told to stop")
        stopped = Deferred.fromCoroutine(self._stop(self.process))
        stopped.addErrback(self._not_stopped, self.process)
        self.world.clock.callLater(STOP_LIMIT, self._check_stopped, self.process)
        return stopped

    def crash(self, *, is_torn: bool) -> None:
        """Lose power: what was synced stays, and of the rest what chance leaves if *is_torn*."""
        if self.power is Power.GONE:
            return
        self.kill()
        self.disk.crash(self._random("crash") if is_torn else None)
        if self.power is not Power.OFF:
            self.world.say(self.name, "loses power" + (", its writes torn" if is_torn else ""))
        self.power = Power.OFF

    def leave(self) -> None:
        """Go for ever, with all that it holds."""
        self.kill()
        self.power = Power.GONE
        world = self.world
        world.say(self.name, "leaves for ever")
        for chunk_id in sorted(self.copies.held):
            if self.copies.good(chunk_id):
                world.facts.lose(world.clock.seconds(), self.peer_id, chunk_id, LEFT)
        world.facts.departed.add(self.peer_id)

    def write(self, path: str, content: bytes) -> None:
        """Have the user write a file; OSError, and part of it, if the disk doesn't take it."""
        self.files.setdefault(path, {})
        try:
            self.disk.write_file(path, content)
        finally:
            self._look_at(path)

    def _look_at(self, path: str) -> None:
        if self.disk.exists(path):
            content = self.files[path][self.disk.stat(path).mtime_ns] = self.read_file(path)
            self.world.facts.file_holds(self.world.clock.seconds(), self.peer_id, path, content)

    def read_file(self, path: str) -> bytes:
        """What a file holds, whatever is wrong with the disk just now."""
        with self.unhindered():
            return self.disk.read_file(path)

    @contextmanager
    def unhindered(self) -> Iterator[None]:
        """Let whoever looks at the disk from outside pass by what was made to go wrong with it."""
        interceptors = list(self.disk._interceptors)
        self.disk._interceptors.clear()
        try:
            yield
        finally:
            self.disk._interceptors.extend(interceptors)

    def set_slowness(self, max_delay: float) -> None:
        """Have the disk take up to *max_delay* seconds a call."""
        self.slowness = max_delay
        if self.process is not None:
            self.process.executor.set_slowness(max_delay)

    def slot_was_damaged(self, chunk_id: ChunkId) -> None:
        """The bytes of a stored chunk are not what they were."""
        if self.copies.good(chunk_id):
            self.world.facts.lose(self.world.clock.seconds(), self.peer_id, chunk_id, DAMAGED)
        self.copies.damaged.add(chunk_id)
        self.copies.flipped.setdefault(chunk_id, self.world.clock.seconds())

    # What it is seen doing

    def saw_sent(self, datagram: Datagram) -> None:
        """A datagram left this computer."""
        message = message_of(datagram.payload)
        world = self.world
        world.transcript.sent(self.name, message)
        if isinstance(message, bytes):
            world.break_promise(7, f"{self.name} sends what is no message: {message[:80]!r}")
        elif isinstance(message, Stored | Chunk):
            chunk_id = message.chunk_id
            world.facts.answer(chunk_id, self.peer_id)
            if isinstance(message, Stored):
                self.copies.acknowledged.add(chunk_id)
            if chunk_id not in self.copies.held:
                world.break_promise(2, f"{self.name} says {message.message_type} and holds no {chunk_id}")

    def stored(self, chunk: ChunkToStore, outcome: PutOutcome) -> None:
        world, copies = self.world, self.copies
        if outcome not in (PutOutcome.STORED, PutOutcome.HELD, PutOutcome.MENDED):
            return
        if chunk.chunk_id.file_id in self._own_files():
            world.break_promise(6, f"{self.name} stores {chunk.chunk_id}, which is of its own file")
        copies.held.add(chunk.chunk_id)
        copies.in_doubt.discard(chunk.chunk_id)
        if outcome is not PutOutcome.HELD:
            world.facts.stored_at[self.peer_id, chunk.chunk_id] = world.clock.seconds()
            copies.damaged.discard(chunk.chunk_id)
            copies.flipped.pop(chunk.chunk_id, None)
            if not world.facts.is_right(chunk.chunk_id, bytes(chunk.body)):
                # A stranger's: it counts as a copy, and is none.
                copies.damaged.add(chunk.chunk_id)
                world.facts.lose(world.clock.seconds(), self.peer_id, chunk.chunk_id, DAMAGED)

    def put_ended(self, used_before: int) -> None:
        assert self.process is not None
        usage = self.process.storage.store.usage()
        capacity_bytes = min(usage.capacity_bytes, self.lent_bytes)
        if usage.used_bytes > max(capacity_bytes, used_before):
            self.world.break_promise(
                6, f"{self.name} uses {usage.used_bytes} bytes of a capacity of {capacity_bytes}"
            )

    def drop_begins(self, chunk_id: ChunkId) -> None:
        self.copies.in_doubt.add(chunk_id)

    def dropped(self, chunk_id: ChunkId) -> None:
        world = self.world
        was_good = self.copies.good(chunk_id)
        self.copies.forget(chunk_id)
        if was_good:
            world.facts.lose(world.clock.seconds(), self.peer_id, chunk_id, DROPPED)
            world.last_copy_dropped(self, chunk_id)

    def deletion_begins(self, file_id: FileId) -> None:
        self.copies.files_in_doubt.add(file_id)

    def deleted(self, file_id: FileId) -> None:
        self.copies.files_in_doubt.discard(file_id)
        for chunk_id in [chunk_id for chunk_id in self.copies.held if chunk_id.file_id == file_id]:
            self.copies.forget(chunk_id)

    def version_begun(self, version: FileVersion) -> None:
        contents = self.files.get(version.path, {})
        self.world.facts.versions[version.file_id] = Version(
            file_id=version.file_id,
            home=self.peer_id,
            path=version.path,
            version_id=version.version_id,
            content=contents[version.fingerprint.mtime_ns],
            desired=version.desired,
        )

    def buried(self, version_ids: Collection[int]) -> None:
        for version in self.world.facts.versions.values():
            if version.home == self.peer_id and version.version_id in version_ids:
                version.buried_at = self.world.clock.seconds()

    def has_room(self, charge: int) -> bool:
        """Whether its peer runs and has room for so many bytes."""
        if self.process is None or not self.is_running:
            return False
        usage = self.process.storage.store.usage()
        return usage.capacity_bytes - usage.used_bytes >= charge

    def _own_files(self) -> set[FileId]:
        return {v.file_id for v in self.world.facts.versions.values() if v.home == self.peer_id}

    def _hear(self, datagram: bytes, _source: object) -> None:
        facts = self.world.facts
        is_short = len(datagram) <= 1_000
        if not (is_short and (b"REMOVED" in datagram or b"DELETE" in datagram)) and not facts.given_up:
            return
        try:
            message = parse(datagram)
        except ProtocolError:
            return
        if isinstance(message, Removed):
            self.world.removed_heard(self, message)
        elif isinstance(message, Delete):
            facts.delete_heard.setdefault(message.file_id, []).append(
                Heard(self.world.clock.seconds(), self.peer_id, message.sender_id)
            )
        elif isinstance(message, Stored | Chunk):
            facts.answer_heard(self.world.clock.seconds(), self.peer_id, message.chunk_id, message.sender_id)

    def kill(self) -> None:
        """End the process at once; none of it runs any more."""
        process, self.process = self.process, None
        if process is not None:
            process.executor.crash()
            process.network.close()
            process.clock.kill()
            self.world.graveyard.append(process)
            self._unhear_deletions()
            self.world.cut_off(self)

    def _unhear_deletions(self) -> None:
        """A DELETE that was heard, but not carried out before the end, is as good as not heard."""
        for file_id in {chunk_id.file_id for chunk_id in self.copies.held}:
            heard = self.world.facts.delete_heard.get(file_id, [])
            heard[:] = [one for one in heard if one.by != self.peer_id]

    async def _stop(self, process: Process) -> None:
        assert process.started is not None
        await process.started
        await process.peer.stop()
        await process.network.close()
        await process.executor.stop()
        self.world.say(self.name, "has stopped")
        if self.process is process:
            self.process = None
            self.power = Power.OFF
            if process.clock.pending():
                pending = ", ".join(process.clock.pending_names())
                self.world.break_promise(7, f"{self.name} has stopped and left timers behind: {pending}")

    def _check_stopped(self, process: Process) -> None:
        if self.process is process and self.power is Power.STOPPING:
            self.world.break_promise(7, f"{self.name} doesn't come to its stop")

    def _not_started(self, failure: Failure, process: Process) -> None:
        if self.process is process:
            self.world.break_promise(7, f"{self.name} fails to start: {failure.getTraceback()}")

    def _not_stopped(self, failure: Failure, process: Process) -> None:
        if failure.check(CancelledError) or self.process is not process:
            return
        if self.disk.is_off:
            self.crash(is_torn=True)
        else:
            self.world.break_promise(7, f"{self.name} fails to stop: {failure.getTraceback()}")

    def _random(self, what: str) -> Random:
        return Random(f"{self.world.seed} {what} {self.peer_id} {self.starts}")
