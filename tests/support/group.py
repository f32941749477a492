"""A group of whole peers in one process: production code on a virtual clock, a LAN and disks in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher

from peer.assembly import Doors, Peer
from peer.config import PeerConfig
from peer.control.interfaces import BackupReport, DeleteReport, Progress, ReclaimReport, RestoreReport
from protocol.codec import parse
from protocol.errors import ProtocolError
from protocol.messages import Message
from protocol.values import ChunkId, FileId, PeerId
from storage.interfaces import HeldChunk
from storage.opening import OpenStorage, open_storage
from tests.support.clock import SimClock, run_for, run_until
from tests.support.disk import MemoryDisk
from tests.support.executor import ClockExecutor
from tests.support.lan import Datagram, MemoryLan, MemoryNetwork
from tests.support.own_clock import OwnClock

_T = TypeVar("_T")
_M = TypeVar("_M", bound=Message)

STORE = "/store"
PLENTY = 10**9
LONG = 3_600.0

_KILLED: Final[list[Peer]] = []
"""Kept: Python would end their coroutines when it frees them, and a killed process ends none."""


def ignore(progress: Progress) -> None:
    """Nobody looks at the progress."""


@define(eq=False)
class Member:
    """One computer of the group: its disk stays when its peer is stopped, killed or started again."""

    group: Group
    peer_id: PeerId
    capacity_bytes: int
    disk: MemoryDisk
    disk_seconds: float = 0.005
    """What a call to the disk takes at the most."""
    read_seconds: float = 0.0
    """What it takes to read one datagram."""
    receive_buffer_bytes: int = 64 * 1024 * 1024
    config: PeerConfig = field(factory=lambda: PeerConfig(store=STORE, scrub_period=None))
    """Without a scrub, which would read and draw among what is tested; its own tests switch it on."""
    peer: Peer | None = None
    storage: OpenStorage | None = None
    network: MemoryNetwork | None = None
    executor: ClockExecutor | None = None
    clock: OwnClock | None = None

    def start(self) -> None:
        """Start the peer on what its disk holds."""
        group = self.group
        self.storage = open_storage(
            self.disk,
            self.config.store,
            peer_id=self.peer_id,
            draw_peer_id=lambda: self.peer_id,
            capacity_bytes=self.capacity_bytes,
        )
        self.network = group.lan.network(
            f"10.0.0.{self.peer_id}",
            receive_buffer_bytes=self.receive_buffer_bytes,
            read_seconds=self.read_seconds,
        )
        self.clock = OwnClock(group.clock)
        self.executor = ClockExecutor(clock=self.clock, random=group.random, max_delay=self.disk_seconds)
        doors = Doors(
            clock=self.clock,
            wall_clock=group.clock.seconds,
            random=group.random,
            salt_random=group.random,
            network=self.network,
            disk=self.disk,
            executor=self.executor,
        )
        self.peer = Peer(self.config, self.storage, doors)
        self.group.run(self.peer.start())

    def stop(self) -> None:
        """Stop the peer in good order: nothing that it had still to do is left."""
        assert self.peer is not None
        assert self.network is not None
        assert self.clock is not None
        self.group.run(self.peer.stop())
        self.group.run(self.network.close())
        self.peer = None
        assert not self.clock.getDelayedCalls(), "a stopped peer has left timers"

    def kill(self) -> None:
        """Cut the power: the peer does nothing any more, and what wasn't synced is gone."""
        assert self.peer is not None
        assert self.network is not None
        assert self.clock is not None
        assert self.executor is not None
        _KILLED.append(self.peer)
        self.peer = None
        self.executor.crash()
        self.clock.stop()
        self.network.close()
        self.disk.crash()

    def restart(self) -> None:
        """Stop the peer and start it again."""
        self.stop()
        self.start()

    def write(self, path: str, content: bytes) -> None:
        """Put a file of the user's on this computer."""
        self.disk.write_file(path, content)

    def begin_backup(self, path: str, degree: int) -> Deferred[BackupReport]:
        """Start BACKUP; fires with its report."""
        return self._begin(lambda peer: peer.operations.backup(path, degree, ignore))

    def backup(self, path: str, degree: int) -> BackupReport:
        """Do BACKUP to its end."""
        return self.group.run(self.begin_backup(path, degree))

    def begin_restore(self, path: str) -> Deferred[RestoreReport]:
        """Start RESTORE; fires with its report."""
        return self._begin(lambda peer: peer.operations.restore(path, ignore))

    def restore(self, path: str) -> bytes:
        """Do RESTORE to its end: the bytes restored."""
        return self.disk.read_file(self.group.run(self.begin_restore(path)).path)

    def begin_delete(self, path: str) -> Deferred[DeleteReport]:
        """Start DELETE; fires with its report."""
        return self._begin(lambda peer: peer.operations.delete(path))

    def delete(self, path: str) -> DeleteReport:
        """Do DELETE to its end."""
        return self.group.run(self.begin_delete(path))

    def begin_reclaim(self, kbytes: int) -> Deferred[ReclaimReport]:
        """Start RECLAIM; fires with its report."""
        return self._begin(lambda peer: peer.operations.reclaim(kbytes, ignore))

    def reclaim(self, kbytes: int) -> ReclaimReport:
        """Do RECLAIM to its end."""
        return self.group.run(self.begin_reclaim(kbytes))

    def count(self, event: str) -> int:
        """How often the running peer has counted the event."""
        assert self.peer is not None
        return self.peer.counters.events[event]

    def held(self) -> list[HeldChunk]:
        """The copies on this computer, in the order of their ids."""
        assert self.storage is not None
        return self.storage.store.page(None, 1_000_000)

    def _begin(self, operation: Callable[[Peer], Awaitable[_T]]) -> Deferred[_T]:
        assert self.peer is not None
        return Deferred.fromCoroutine(operation(self.peer))  # type: ignore[arg-type]  # coroutines, all of them


class Group:
    """Some members on one LAN, started; everything that is drawn comes from one seed.

    As a context it stops all of them in the end, and sees that nothing is left to do and that nothing was
    logged as an error but what the test has taken from ``errors``.
    """

    def __init__(self, *peer_ids: int, seed: int = 1, capacity_bytes: int = PLENTY) -> None:
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self.clock = SimClock()
        self.random = Random(seed)
        self.lan = MemoryLan(clock=self.clock, random=self.random)
        self.sent: list[tuple[float, str, Message | None]] = []
        self.lan.tap(self._note)
        self.members: dict[int, Member] = {}
        for peer_id in peer_ids:
            self.add(peer_id, capacity_bytes)

    def __getitem__(self, peer_id: int) -> Member:
        return self.members[peer_id]

    def __enter__(self) -> Self:
        globalLogPublisher.addObserver(cast(ILogObserver, self._note_logged))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                # Nobody needs a second failure, of what the first one has left unfinished.
                _KILLED.extend(member.peer for member in self.members.values() if member.peer)
            else:
                for member in self.members.values():
                    if member.peer is not None:
                        member.stop()
                assert self.errors == []
        finally:
            globalLogPublisher.removeObserver(cast(ILogObserver, self._note_logged))

    def add(self, peer_id: int, capacity_bytes: int = PLENTY, **of_member: Any) -> Member:
        """Let one more computer join; *of_member* are further fields of it."""
        disk = MemoryDisk(total_bytes=10 * PLENTY)
        member = Member(self, PeerId(peer_id), capacity_bytes, disk, **of_member)
        self.members[peer_id] = member
        member.start()
        return member

    def run(self, awaited: Deferred[_T] | Awaitable[_T], limit: float = LONG) -> _T:
        """Let time pass until *awaited* has its result."""
        return run_until(self.clock, awaited, limit)  # type: ignore[arg-type]  # coroutines, all of them

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        run_for(self.clock, seconds)

    def run_to(self, time: float) -> None:
        """Let time pass until the clock shows *time*."""
        run_for(self.clock, time - self.clock.seconds())

    def holders(self, chunk_id: ChunkId) -> list[int]:
        """The running peers that really have the chunk on their disks."""
        return [
            peer_id
            for peer_id, member in self.members.items()
            if member.peer is not None and any(held.chunk_id == chunk_id for held in member.held())
        ]

    def copies(self, file_id: str) -> dict[int, list[int]]:
        """For each chunk number of a file, the running peers that have it on their disks."""
        wanted = FileId.from_hex(file_id)
        copies: dict[int, list[int]] = {}
        for peer_id, member in self.members.items():
            for held in member.held() if member.peer is not None else ():
                if held.chunk_id.file_id == wanted:
                    copies.setdefault(held.chunk_id.chunk_no, []).append(peer_id)
        return copies

    def messages(self, message_type: type[Message], since: float = 0.0) -> list[Message]:
        """What was sent of a type since a time."""
        return [
            message for time, _, message in self.sent if time >= since and isinstance(message, message_type)
        ]

    def said(
        self, message_type: type[_M], *, by: int | None = None, since: float = 0.0
    ) -> list[tuple[float, _M]]:
        """What was sent of a type since a time, each with its time; *by* tells from whose computer."""
        return [
            (time, message)
            for time, host, message in self.sent
            if time >= since and isinstance(message, message_type) and by in (None, int(host.split(".")[-1]))
        ]

    def _note(self, datagram: Datagram) -> None:
        try:
            message: Message | None = parse(datagram.payload)
        except ProtocolError:
            message = None
        self.sent.append((datagram.time, datagram.source[0], message))

    def _note_logged(self, event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.warn:
            logged = self.warnings if event["log_level"] is LogLevel.warn else self.errors
            logged.append(formatEvent(event) or repr(event))
