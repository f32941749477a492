"""A peer that only pretends: what it is asked is written down, what it answers is set by the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random, SystemRandom

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from peer.control.access_point import AccessPoint
from peer.control.client import connect
from peer.control.interfaces import (
    BackupReport,
    ChunkState,
    DeleteReport,
    FileState,
    IOperations,
    ProgressListener,
    ReclaimReport,
    RestoreReport,
    StatePage,
    StateSummary,
)
from peer.control.listening import ListeningControl, listen
from peer.control.server import ControlFactory
from peer.control.session import Session

SECRET = bytes(range(32))
FILE_ID = "1a" * 32

BACKUP = BackupReport(
    file_id=FILE_ID, bytes=640_000, chunks=11, desired=2, perceived_min=2, below_degree=0, seconds=1.5
)
RESTORE = RestoreReport(
    file_id=FILE_ID, path="/store/restored/photo.jpg", bytes=640_000, chunks=11, seconds=0.25
)
RECLAIM = ReclaimReport(capacity_kbytes=1000, used_kbytes=640, removed_chunks=7, unplaced_chunks=1)
SUMMARY = StateSummary(peer=2**63, version="1.0", capacity_kbytes=10_000, used_kbytes=128, files=1, chunks=2)
PAGE = StatePage(
    files=(
        FileState(
            path="/home/ada/photo.jpg",
            file_id=FILE_ID,
            desired=2,
            chunk_count=2,
            is_complete=True,
            chunks=((0, 2), (1, 1)),
        ),
    ),
    chunks=(
        ChunkState(file_id="2b" * 32, no=0, length=64_000, desired=1, perceived=1),
        ChunkState(file_id="2b" * 32, no=1, length=0, desired=1, perceived=3),
    ),
    cursor="",
)


@implementer(IOperations)
@define
class StandIn:
    """Answers at once, unless `failure` is set, or `pending` for a backup that the test ends itself."""

    asked: list[tuple[object, ...]] = field(factory=list)
    failure: Exception | None = None
    pending: Deferred[BackupReport] | None = None
    progress: ProgressListener | None = None
    pages: dict[str, StatePage] = field(factory=lambda: {"": PAGE})
    backup_report: BackupReport = BACKUP

    def _note(self, *asked: object) -> None:
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure

    async def backup(self, path: str, degree: int, progress: ProgressListener) -> BackupReport:
        self._note("backup", path, degree)
        self.progress = progress
        if self.pending is not None:
            return await self.pending
        return self.backup_report

    async def restore(self, path: str, progress: ProgressListener) -> RestoreReport:
        self._note("restore", path)
        return RESTORE

    async def delete(self, path: str) -> DeleteReport:
        self._note("delete", path)
        return DeleteReport(file_id=FILE_ID)

    async def reclaim(self, kbytes: int, progress: ProgressListener) -> ReclaimReport:
        self._note("reclaim", kbytes)
        return RECLAIM

    async def limit_sending(self, bytes_per_second: int) -> None:
        self._note("limit_sending", bytes_per_second)

    async def state_summary(self) -> StateSummary:
        self._note("state_summary")
        return SUMMARY

    async def state_page(self, cursor: str) -> StatePage:
        self._note("state_page", cursor)
        return self.pages[cursor]


@asynccontextmanager
async def listening(
    operations: StandIn,
    *,
    at: AccessPoint | None = None,
    secret: bytes = SECRET,
    clock: IReactorTime = reactor,
) -> AsyncIterator[ListeningControl]:
    """`operations` behind the real server, on a port of its own unless `at` says otherwise."""
    at = at or AccessPoint.parse("0")
    factory = ControlFactory(
        operations=operations, secret=None if at.is_unix else secret, clock=clock, random=Random(1)
    )
    control = await listen(at, factory, reactor=reactor)
    try:
        yield control
    finally:
        await control.close()


async def reach(access_point: AccessPoint, secret: bytes = SECRET) -> Session:
    """The real client's session with whatever is at `access_point`."""
    return await connect(access_point, secret=lambda: secret, reactor=reactor, random=SystemRandom())


@asynccontextmanager
async def session_with(
    operations: StandIn,
    *,
    at: AccessPoint | None = None,
    clock: IReactorTime = reactor,
) -> AsyncIterator[Session]:
    """A session with `operations`, over real sockets."""
    async with listening(operations, at=at, clock=clock) as control:
        session = await reach(control.access_point)
        try:
            yield session
        finally:
            await session.close()


def unix_access_point(folder: Path) -> AccessPoint:
    """A socket in `folder`."""
    return AccessPoint.parse(str(folder / "peer.sock"))
