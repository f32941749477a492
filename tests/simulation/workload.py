"""What users do in a run: back up, restore, change, delete, reclaim. And what came of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from peer.assembly import Peer
from peer.control.interfaces import BackupReport, Progress, ReclaimReport, RestoreReport
from peer.errors import ErrorCode, OperationError
from protocol.chunking import chunk_count, chunk_length
from protocol.values import ChunkId, FileId
from storage.capacity import charged_bytes
from tests.simulation.computer import Computer
from tests.simulation.facts import Version
from tests.simulation.world import World

KBYTE = 1_000

LINGERING = 60.0
"""Seconds for which what a DELETE, a RECLAIM or a fault has set off may go on."""


def _ignore(progress: Progress) -> None:
    """Nobody looks at the progress."""


@define(eq=False)
class Operation:
    """Something that a user has asked a peer for."""

    computer: Computer
    said: str
    began: float
    is_over: bool = False
    ended: float = float("inf")
    result: Any = None
    newest_before: int = 0
    """Of a restore: the newest version of the path that was complete when it began."""
    roomy_before: int = 0
    """Of a backup: how many other peers had room for all of the file when it began."""


@frozen
class Write:
    """The user writes a file, over an older one if there is one."""

    peer_id: int
    path: str
    content: bytes

    def __str__(self) -> str:
        return f"peer {self.peer_id} writes {self.path}: {len(self.content)} bytes"

    def act(self, users: Users) -> None:
        computer = users.world.computers[self.peer_id]
        try:
            computer.write(self.path, self.content)
        except OSError as error:
            users.world.say(computer.name, f"{self.path} can't be written: {error.strerror}")
        else:
            users.world.say(computer.name, f"{self.path} is written: {len(self.content)} bytes")


@frozen
class Backup:
    """BACKUP of a path at a degree."""

    peer_id: int
    path: str
    degree: int

    def __str__(self) -> str:
        return f"peer {self.peer_id} BACKUP {self.path} {self.degree}"

    def act(self, users: Users) -> None:
        users.begin(
            self.peer_id,
            f"BACKUP {self.path} {self.degree}",
            lambda peer: peer.operations.backup(self.path, self.degree, _ignore),
            users.backed_up,
            lambda operation, error: users.not_backed_up(operation, error, self.path, self.degree),
            roomy_before=users.roomy(self.peer_id, self.path),
        )


@frozen
class Restore:
    """RESTORE of a path."""

    peer_id: int
    path: str

    def __str__(self) -> str:
        return f"peer {self.peer_id} RESTORE {self.path}"

    def act(self, users: Users) -> None:
        users.begin(
            self.peer_id,
            f"RESTORE {self.path}",
            lambda peer: peer.operations.restore(self.path, _ignore),
            users.restored,
            newest_before=users.newest_reported(self.peer_id, self.path),
        )


@frozen
class Delete:
    """DELETE of a path."""

    peer_id: int
    path: str

    def __str__(self) -> str:
        return f"peer {self.peer_id} DELETE {self.path}"

    def act(self, users: Users) -> None:
        users.begin(self.peer_id, f"DELETE {self.path}", lambda peer: peer.operations.delete(self.path))


@frozen
class Reclaim:
    """RECLAIM to a capacity in KByte."""

    peer_id: int
    kbytes: int

    def __str__(self) -> str:
        return f"peer {self.peer_id} RECLAIM {self.kbytes}"

    def act(self, users: Users) -> None:
        computer = users.world.computers[self.peer_id]
        computer.lent_bytes = max(computer.lent_bytes, self.kbytes * KBYTE)
        users.begin(
            self.peer_id,
            f"RECLAIM {self.kbytes}",
            lambda peer: peer.operations.reclaim(self.kbytes, _ignore),
            users.reclaimed,
        )


Act = Write | Backup | Restore | Delete | Reclaim


class Users:
    """Has the peers do what their users ask, and compares what they report with what is so."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.operations: list[Operation] = []
        world.on_cut_off.append(self._cut_off)

    def begin(
        self,
        peer_id: int,
        said: str,
        ask: Callable[[Peer], Coroutine[Any, Any, Any]],
        check: Callable[[Operation], None] = lambda operation: None,
        check_refusal: Callable[[Operation, OperationError], None] = lambda operation, error: None,
        newest_before: int = 0,
        roomy_before: int = 0,
    ) -> None:
        """Ask a peer for something; *check* looks at what it came to, *check_refusal* at why it came to nothing."""
        world = self.world
        computer = world.computers[peer_id]
        if not computer.is_running or computer.process is None:
            world.say(computer.name, f"{said}: but it doesn't run")
            return
        world.say(computer.name, said)
        operation = Operation(
            computer,
            said,
            world.clock.seconds(),
            newest_before=newest_before,
            roomy_before=roomy_before,
        )
        self.operations.append(operation)
        ended: Deferred[Any] = Deferred.fromCoroutine(ask(computer.process.peer))
        ended.addBoth(self._ended, operation, check, check_refusal)

    def pending(self) -> list[Operation]:
        """What hasn't ended yet."""
        return [operation for operation in self.operations if not operation.is_over]

    def newest_reported(self, peer_id: int, path: str) -> int:
        """The number of the newest version of a path whose backup was reported as done and that lives."""
        return max(
            (
                version.version_id
                for version in self.world.facts.versions.values()
                if version.home == peer_id
                and version.path == path
                and version.reported_at is not None
                and version.buried_at is None
            ),
            default=0,
        )

    def backed_up(self, operation: Operation) -> None:
        """A BACKUP was reported: what it says must be so (invariant 3)."""
        report: BackupReport = operation.result
        facts = self.world.facts
        version = facts.versions[FileId.from_hex(report.file_id)]
        if report.below_degree:
            self._check_hindered(operation, version, report.desired)
            return
        version.reported_at, version.desired = self.world.clock.seconds(), report.desired
        version.really_held = min(
            len(facts.holders(ChunkId(version.file_id, chunk_no))) for chunk_no in range(version.chunks)
        )
        for chunk_no in range(chunk_count(report.bytes)):
            chunk_id = ChunkId(version.file_id, chunk_no)
            answered = facts.said_to(version.home, chunk_id)
            if len(answered) < report.desired:
                self.world.break_promise(
                    3,
                    f"{operation.computer.name} reports {chunk_id} at degree {report.desired}, "
                    f"and only {sorted(answered)} have ever said that they hold it",
                )

    def not_backed_up(self, operation: Operation, error: OperationError, path: str, degree: int) -> None:
        """A BACKUP failed: if for want of copies, something must have hindered it (invariant 4)."""
        if error.code is ErrorCode.NO_COPIES:
            versions = self.world.facts.versions.values()
            home = operation.computer.peer_id
            own = [one for one in versions if (one.home, one.path, one.buried_at) == (home, path, None)]
            self._check_hindered(operation, max(own, key=lambda one: one.version_id), degree)

    def roomy(self, home: int, path: str) -> int:
        """How many peers besides the home have room for all of a file."""
        computer = self.world.computers[home]
        size = computer.disk.stat(path).size if computer.disk.exists(path) else 0
        charge = sum(charged_bytes(chunk_length(size, chunk_no)) for chunk_no in range(chunk_count(size)))
        return sum(other.has_room(charge) for other in self.world.running() if other is not computer)

    def _check_hindered(self, operation: Operation, version: Version, desired: int) -> None:
        """A BACKUP that nothing hindered reaches its degree (invariant 4)."""
        world, now = self.world, self.world.clock.seconds()
        others = [
            other
            for other in self.operations
            if other.said.startswith(("RECLAIM", "DELETE")) and other.ended >= operation.began - LINGERING
        ]
        if (
            others
            or world.strangers
            or not world.is_calm(operation.began - LINGERING, now)
            or operation.roomy_before < desired
        ):
            return
        for chunk_no in range(version.chunks):
            chunk_id = ChunkId(version.file_id, chunk_no)
            if world.places_for(chunk_id) >= desired > len(world.facts.holders(chunk_id)):
                world.break_promise(
                    4, f"nothing hindered {operation.said}, and {chunk_id} is below its degree"
                )

    def restored(self, operation: Operation) -> None:
        """A RESTORE was reported: the bytes must be those of a version, and of none that is too old."""
        report: RestoreReport = operation.result
        version = self.world.facts.versions[FileId.from_hex(report.file_id)]
        found = operation.computer.read_file(report.path)
        name = operation.computer.name
        if found != version.content:
            self.world.break_promise(
                1, f"{name} restores wrong bytes of {version.path}: {len(found)} of them"
            )
        elif version.version_id < operation.newest_before:
            self.world.break_promise(1, f"{name} restores an old version of {version.path}")
        operation.computer.restored[report.path] = version.content

    def reclaimed(self, operation: Operation) -> None:
        """A RECLAIM was reported: what is used fits, unless the report says that some could not be placed."""
        report: ReclaimReport = operation.result
        computer = operation.computer
        is_last = not any(
            other.computer is computer and other.said.startswith("RECLAIM") for other in self.pending()
        )
        assert computer.process is not None
        used_bytes = computer.process.storage.store.usage().used_bytes
        if is_last:
            computer.lent_bytes = report.capacity_kbytes * KBYTE
        if is_last and used_bytes > report.capacity_kbytes * KBYTE and not report.unplaced_chunks:
            self.world.break_promise(6, f"{computer.name} still uses {used_bytes} bytes after {report}")

    def _ended(
        self,
        result: Any,
        operation: Operation,
        check: Callable[[Operation], None],
        check_refusal: Callable[[Operation, OperationError], None],
    ) -> None:
        if operation.is_over:
            return
        operation.is_over, operation.result = True, result
        operation.ended = self.world.clock.seconds()
        name = operation.computer.name
        if not isinstance(result, Failure):
            self.world.say(name, f"{operation.said} is done: {_brief(result)}")
            check(operation)
        elif isinstance(result.value, OperationError):
            self.world.say(name, f"{operation.said} fails: {result.value.code.value}")
            check_refusal(operation, result.value)
        elif not operation.computer.disk.is_off:
            self.world.break_promise(7, f"{name}: {operation.said} raises {result.getTraceback()}")

    def _cut_off(self, computer: Computer) -> None:
        for operation in self.pending():
            if operation.computer is computer:
                operation.is_over = True
                operation.ended = self.world.clock.seconds()
                self.world.say(computer.name, f"{operation.said} is cut off")


def _brief(report: object) -> str:
    if isinstance(report, BackupReport):
        below = f", {report.below_degree} below" if report.below_degree else ""
        return (
            f"{report.chunks} chunks, the worst held {report.perceived_min} times of {report.desired}{below}"
        )
    if isinstance(report, RestoreReport):
        return f"{report.bytes} bytes"
    if isinstance(report, ReclaimReport):
        return f"{report.removed_chunks} dropped, {report.unplaced_chunks} unplaced"
    return "gone"
