"""Backing up one file: a chunk backup for every chunk that needs one (SPEC.md section 3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import frozen
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from peer.backup import ChunkBackup, ChunkBackups, ChunkToBackUp
from peer.home import Home, batches, is_of
from peer.traffic import Place
from peer.waiting import TaskGroup, to_its_end
from protocol.chunking import chunk_length
from protocol.digest import Digest
from protocol.values import ChunkId, PeerId
from storage.errors import SourceChanged
from storage.interfaces import FileVersion, HomeChunk, VersionState
from storage.source import SourceFile

RECORD_INTERVAL = 1.0
"""Seconds for which chunks that are done gather before they are recorded in one commit. What a crash makes the
peer forget of them is sent again."""

ReportProgress = Callable[[int, int], None]
"""Is told how many chunks are done, of how many."""


@frozen
class BackupOutcome:
    """What became of a version: how often its worst chunk is held, and how many are below the desired degree."""

    version: FileVersion
    perceived_min: int
    below_degree: int
    without_copy: int
    """How many of those nobody holds at all."""


@frozen
class _EndedRun:
    """A chunk backup that waits no longer, but counts until it is recorded."""

    run: ChunkBackup
    digest: Digest
    had_met: bool


class FileBackup:
    """One backup of one path; begun again after a restart, it sends only what is below its degree."""

    def __init__(
        self,
        path: str,
        desired: int,
        *,
        home: Home,
        backups: ChunkBackups,
        clock: IReactorTime,
        report: ReportProgress,
    ) -> None:
        self._path = path
        self._desired = desired
        self._home = home
        self._backups = backups
        self._clock = clock
        self._report = report
        self._tasks = TaskGroup()
        self._open_runs: set[ChunkBackup] = set()
        self._ended: list[_EndedRun] = []
        self._degrees: list[int] = []
        self._timer: IDelayedCall | None = None
        self._source: SourceFile | None = None
        self._version: FileVersion | None = None

    async def run(self) -> BackupOutcome:
        """Back the file up in its turn; what the disk or the file itself forbids is a StorageError."""
        try:
            # While it is read only: to wait for the answers takes neither an open file nor what was read.
            async with self._home.reads_at_once.place():
                version = await self._read_all()
            await self._settle(version)
        except SourceChanged:
            self._stop_runs()
            if self._version is not None and self._version.state is VersionState.UNDER_WAY:
                await self._home.bury([self._version])
            raise
        except CancelledError:
            self._stop_runs()
            if self._version is not None:
                await self._write_down(self._version, self._ended)
            raise
        finally:
            self._stop_runs()
        return await self._finish(version)

    async def _read_all(self) -> FileVersion:
        """Read the original from end to end, and begin a run for each chunk that needs one."""
        file_lane = self._home.file_lane
        try:
            source: SourceFile = await file_lane.run(self._open)
            version, is_new = await self._home.version_for(source, self._path, self._desired)
            self._version = version
            for numbers in batches(version.chunk_count):
                known = {} if is_new else await self._home.known_chunks(version, numbers)
                await self._read_some(source, version, numbers, known)
                self._tasks.check()
            await file_lane.run(source.close_unchanged)
        except BaseException:
            await to_its_end(file_lane.run(self._close))
            raise
        return version

    def _open(self) -> SourceFile:
        """Open the original. Kept here, since a BACKUP that is cancelled meanwhile is never told of it."""
        self._source = SourceFile.open(self._home.disk, self._path)
        return self._source

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()

    async def _read_some(
        self, source: SourceFile, version: FileVersion, numbers: range, known: dict[int, HomeChunk]
    ) -> None:
        safe = [no for no in numbers if self._is_safe(known.get(no), version)]
        for no in safe:
            self._count(version, len(known[no].holders))
        if len(safe) < len(numbers):
            async with self._home.read_ahead.place(sum(chunk_length(version.size, no) for no in numbers)):
                read = await self._home.read(source, numbers)
                for no, (body, digest) in zip(numbers, read, strict=True):
                    if no not in safe:
                        await self._start(version, known.get(no), no, body, digest)

    async def _settle(self, version: FileVersion) -> None:
        """Wait until every run has ended and is recorded."""
        while True:
            await self._tasks.join()
            if not self._ended:
                break
            await self._record_ended(version)

    def _stop_runs(self) -> None:
        self._tasks.cancel()
        self._stop_timer()
        while self._open_runs:
            self._open_runs.pop().close()

    @staticmethod
    def _is_safe(chunk: HomeChunk | None, version: FileVersion) -> bool:
        return chunk is not None and chunk.digest is not None and len(chunk.holders) >= version.desired

    async def _start(
        self, version: FileVersion, known: HomeChunk | None, chunk_no: int, body: bytes, digest: Digest
    ) -> None:
        if known is not None and known.digest is not None and not is_of(known.digest, (body, digest)):
            raise SourceChanged(self._path)
        holders = frozenset() if known is None else known.holders
        place = await self._backups.turn(ChunkId(version.file_id, chunk_no), len(body))
        self._start_run(version, chunk_no, place, digest, holders, body)

    def _start_run(
        self,
        version: FileVersion,
        chunk_no: int,
        place: Place,
        digest: Digest,
        holders: frozenset[PeerId],
        body: bytes | None = None,
    ) -> None:
        self._tasks.began()
        run = self._backups.start(
            ChunkToBackUp(
                chunk_id=ChunkId(version.file_id, chunk_no),
                desired=version.desired,
                read=partial(self._home.read_again, version, chunk_no, digest),
                holders=holders,
                keeps_own_count=True,
            ),
            place,
            partial(self._has_ended, version, digest),
            body,
        )
        self._open_runs.add(run)

    def _has_ended(
        self, version: FileVersion, digest: Digest, run: ChunkBackup, failure: Failure | None
    ) -> None:
        if failure is None:
            self._ended.append(_EndedRun(run, digest, had_met=run.replication.is_met))
            self._record_soon(version)
        self._tasks.ended(failure)

    def _record_soon(self, version: FileVersion) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(
                RECORD_INTERVAL, lambda: self._tasks.add(self._record_ended(version))
            )

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    async def _record_ended(self, version: FileVersion) -> None:
        """Write down what ended; a chunk that fell below its degree after it was met is backed up once more."""
        # It stays set while the catalog writes, so that nobody begins to record the same runs beside this.
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        ended = list(self._ended)
        for end in ended:
            self._open_runs.discard(end.run)
            end.run.close()
        await self._write_down(version, ended)
        del self._ended[: len(ended)]
        self._timer = None
        if self._ended:
            self._record_soon(version)
        for end in ended:
            if end.had_met and not end.run.replication.is_met:
                chunk_id = end.run.chunk.chunk_id
                place = await self._backups.turn(chunk_id, chunk_length(version.size, chunk_id.chunk_no))
                self._start_run(version, chunk_id.chunk_no, place, end.digest, end.run.replication.holders)
            else:
                self._count(version, end.run.replication.perceived)

    async def _write_down(self, version: FileVersion, ended: list[_EndedRun]) -> None:
        chunks = [
            HomeChunk(end.run.chunk.chunk_id.chunk_no, end.digest, end.run.replication.holders)
            for end in ended
        ]
        if chunks:
            await self._home.catalog_lane.run(self._home.catalog.record_chunks, version.version_id, chunks)

    def _count(self, version: FileVersion, perceived: int) -> None:
        self._degrees.append(perceived)
        self._report(len(self._degrees), version.chunk_count)

    async def _finish(self, version: FileVersion) -> BackupOutcome:
        """Settle the version's state; once it has its degree, the older ones are of no more use."""
        outcome = BackupOutcome(
            version=version,
            perceived_min=min(self._degrees),
            below_degree=sum(degree < version.desired for degree in self._degrees),
            without_copy=self._degrees.count(0),
        )
        # One that was complete stays so, and is taken up again at the next start.
        if not outcome.without_copy or version.state is VersionState.COMPLETE:
            degree_met = outcome.below_degree == 0
            superseded: list[FileVersion] = await self._home.catalog_lane.run(
                partial(self._home.catalog.finish_version, degree_met=degree_met), version.version_id
            )
            await self._home.bury(superseded)
        return outcome
