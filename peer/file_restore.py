"""Restoring one file: a chunk restore for every chunk (SPEC.md section 4)."""

from __future__ import annotations

from functools import partial

from attrs import frozen
from twisted.python.failure import Failure

from peer.errors import ErrorCode, OperationError
from peer.file_backup import ReportProgress
from peer.home import Home, batches
from peer.restore import ChunkRestore, ChunkRestores, Judged
from peer.traffic import Place
from peer.waiting import TaskGroup, to_its_end
from protocol.chunking import chunk_length
from protocol.digest import Digest
from protocol.values import Body, ChunkId, PeerId
from storage.interfaces import FileVersion, VersionState
from storage.restored import RestoredFile


@frozen
class RestoreOutcome:
    """A version that was restored, and the path that its bytes were written to."""

    version: FileVersion
    restored_path: str


class FileRestore:
    """One restore of the newest complete version of a path, into the peer's restore folder."""

    def __init__(
        self, path: str, *, home: Home, restores: ChunkRestores, folder: str, report: ReportProgress
    ) -> None:
        self._path = path
        self._home = home
        self._restores = restores
        self._folder = folder
        self._report = report
        self._tasks = TaskGroup()
        self._runs: set[ChunkRestore] = set()
        self._target: RestoredFile | None = None
        self._done = 0

    async def run(self) -> RestoreOutcome:
        """Restore the file in its turn: the exact bytes, or an OperationError or StorageError and no file."""
        async with self._home.restores_at_once.place():
            return await self._restore()

    async def _restore(self) -> RestoreOutcome:
        version = await self._newest_complete()
        file_lane = self._home.file_lane
        try:
            target: RestoredFile = await file_lane.run(self._create, version)
            await self._restore_chunks(version, target)
            # Who ends the RESTORE now would be told that nothing was left, and find the file.
            restored_path: str = await to_its_end(file_lane.run(target.commit))
        except BaseException:
            self._stop_runs()
            await to_its_end(file_lane.run(self._abort))
            raise
        return RestoreOutcome(version, restored_path)

    def _create(self, version: FileVersion) -> RestoredFile:
        """Begin the file. Kept here, since a RESTORE that is cancelled meanwhile is never told of it."""
        home = self._home
        self._target = RestoredFile.create(
            home.disk, self._folder, version.path, version.size, first_number=next(home.restore_numbers)
        )
        return self._target

    def _abort(self) -> None:
        if self._target is not None:
            self._target.abort()

    async def _newest_complete(self) -> FileVersion:
        versions = await self._home.versions(self._path)
        if not versions:
            raise OperationError(
                ErrorCode.NEVER_BACKED_UP,
                f"{self._path!r} was never backed up by this peer: "
                "give the path as it was given to BACKUP (STATE lists them all).",
            )
        for version in versions:
            if version.state is VersionState.COMPLETE:
                return version
        raise OperationError(
            ErrorCode.NOT_YET_COMPLETE,
            f"No backup of {self._path!r} has been completed yet: run BACKUP on it until it ends, then restore.",
        )

    async def _restore_chunks(self, version: FileVersion, target: RestoredFile) -> None:
        for numbers in batches(version.chunk_count):
            known = await self._home.known_chunks(version, numbers)
            if len(known) < len(numbers):
                raise OperationError(
                    ErrorCode.CANCELLED,
                    f"A newer backup of {self._path!r} has replaced the one that was being restored: "
                    "restore it again.",
                )
            for no in numbers:
                digest = known[no].digest
                assert digest is not None, "a complete version has the digest of every chunk"
                length = chunk_length(version.size, no)
                if length == 0:
                    # Real peers return the empty last chunk with four bytes, or never: it needs nobody.
                    await self._home.file_lane.submit(target.write, (no, b"", digest))
                    self._count(version)
                else:
                    self._begin(version, target, no, digest, await self._restores.turn(length))
            self._tasks.check()
        await self._tasks.join()

    def _begin(
        self, version: FileVersion, target: RestoredFile, chunk_no: int, digest: Digest, place: Place
    ) -> None:
        self._tasks.began()
        run = self._restores.start(
            ChunkId(version.file_id, chunk_no),
            place,
            partial(self._accept, target, chunk_no, digest),
            partial(self._has_ended, version),
        )
        self._runs.add(run)

    def _accept(
        self,
        target: RestoredFile,
        chunk_no: int,
        digest: Digest,
        body: Body,
        tell: Judged,
        peer_id: PeerId,
    ) -> None:
        self._home.file_lane.hand_in(target.write, (chunk_no, body, digest), tell, peer_id)

    def _has_ended(self, version: FileVersion, run: ChunkRestore, outcome: bool | Failure) -> None:
        self._runs.discard(run)
        if outcome is True:
            self._count(version)
            self._tasks.ended()
        elif isinstance(outcome, Failure):
            self._tasks.ended(outcome)
        else:
            missing = OperationError(
                ErrorCode.CHUNKS_MISSING,
                f"No peer gave chunk {run.chunk_id.chunk_no} of {self._path!r}: "
                "start the peers that hold its chunks (STATE shows how many do), then restore again.",
            )
            self._tasks.ended(Failure(missing))

    def _stop_runs(self) -> None:
        while self._runs:
            self._runs.pop().close()

    def _count(self, version: FileVersion) -> None:
        self._done += 1
        self._report(self._done, version.chunk_count)
