"""What a user can have the peer do: the four subprotocols on whole files, and the state."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from peer.backup import ChunkBackups
from peer.blocking import Lane, Stopped
from peer.control.interfaces import (
    BackupReport,
    DeleteReport,
    IOperations,
    Progress,
    ProgressListener,
    ReclaimReport,
    RestoreReport,
    StatePage,
    StateSummary,
)
from peer.errors import ErrorCode, OperationError
from peer.file_backup import BackupOutcome, FileBackup
from peer.file_restore import FileRestore
from peer.home import Home
from peer.reclaim import SpaceReclaim
from peer.restore import ChunkRestores
from peer.state import KBYTE, PeerState
from peer.traffic import SendLimit
from protocol.values import MAX_DEGREE, MIN_DEGREE
from storage.errors import StorageError
from storage.interfaces import IChunkStore, StoreUsage

_T = TypeVar("_T")


@define(eq=False)
class _BackupUnderWay:
    """The one run for a path; a later BACKUP of the same path joins it."""

    run: Deferred[Any] | None = None
    is_cancelled: bool = False
    listeners: list[ProgressListener] = field(factory=list)
    waiting: list[Deferred[BackupOutcome]] = field(factory=list)

    def joined(self) -> Deferred[BackupOutcome]:
        """Fires with the outcome of the run, for one of those who wait for it."""
        outcome: Deferred[BackupOutcome] = Deferred()
        self.waiting.append(outcome)
        return outcome

    def report(self, done: int, total: int) -> None:
        """Tell all who listen how far the run has come."""
        for listener in self.listeners:
            listener(Progress(done=done, total=total))

    def cancel(self) -> None:
        """End the run."""
        self.is_cancelled = True
        if self.run is not None:
            self.run.cancel()

    def end(self, outcome: BackupOutcome | Failure) -> None:
        """Tell all who wait what the run came to; of one that was cancelled, that it was.

        It may not have seen that, as it was putting things in order after a failure of its own. Whoever joined it
        would take that failure for a reason to begin another run.
        """
        if self.is_cancelled:
            outcome = Failure(CancelledError())
        for waiting in self.waiting:
            if isinstance(outcome, Failure):
                waiting.errback(outcome)
            else:
                waiting.callback(outcome)


@implementer(IOperations)
class Operations:
    """The operations of one peer. One backup a path at a time; operations go on though nobody waits for them."""

    _log = Logger()

    def __init__(
        self,
        *,
        home: Home,
        backups: ChunkBackups,
        restores: ChunkRestores,
        reclaiming: SpaceReclaim,
        store: IChunkStore,
        store_lane: Lane,
        state: PeerState,
        restored_folder: str,
        send_limit: SendLimit,
        clock: IReactorTime,
    ) -> None:
        self._home = home
        self._backups = backups
        self._restores = restores
        self._reclaiming = reclaiming
        self._store = store
        self._store_lane = store_lane
        self._state = state
        self._restored_folder = restored_folder
        self._send_limit = send_limit
        self._clock = clock
        self._backups_under_way: dict[str, _BackupUnderWay] = {}
        self._interruptible_runs: dict[Deferred[Any], str] = {}
        self._deletions: dict[str, list[Deferred[None]]] = {}
        self._is_stopping = False

    async def resume(self) -> None:
        """Go on with backups whose degree isn't met, and with reclaiming the space used beyond the capacity."""
        unmet = await self._home.catalog_lane.run(self._home.catalog.unmet)
        for path, degree in {version.path: version.desired for version in unmet}.items():
            backup = Deferred.fromCoroutine(self.backup(path, degree, _nobody))
            self._in_background(backup, f"backup of {path}")
        usage = await self._store_lane.run(self._store.usage)
        if usage.used_bytes > usage.capacity_bytes:
            self._in_background(self._reclaiming.run(), "reclaiming")

    def stop(self) -> None:
        """End what is under way; unfinished backups resume after the next start."""
        self._is_stopping = True
        for under_way in list(self._backups_under_way.values()):
            under_way.cancel()
        for operation in list(self._interruptible_runs):
            operation.cancel()

    async def backup(self, path: str, degree: int, progress: ProgressListener) -> BackupReport:
        """Keep *degree* copies of the file on other peers; see IOperations."""
        path = _checked_path(path)
        if not MIN_DEGREE <= degree <= MAX_DEGREE:
            raise OperationError(
                ErrorCode.USAGE, f"A replication degree is from {MIN_DEGREE} to {MAX_DEGREE}, not {degree}."
            )
        began = self._clock.seconds()
        await self._until_deleted(path)
        # Only a run that began before this was asked for may have missed what was asked for.
        older = self._backups_under_way.get(path)
        outcome = await self._outcome_of(older, path, degree, progress)
        while outcome is None or outcome.version.desired < degree:
            outcome = await self._joined(path, degree, progress)
        version = outcome.version
        if outcome.without_copy:
            raise OperationError(
                ErrorCode.NO_COPIES,
                f"No peer took {outcome.without_copy:,} of the {version.chunk_count:,} chunks of {path!r}: it "
                "can't be restored as it is now. Start more peers, or RECLAIM more room on them, and BACKUP it again.",
            )
        return BackupReport(
            file_id=version.file_id.hex(),
            bytes=version.size,
            chunks=version.chunk_count,
            desired=version.desired,
            perceived_min=outcome.perceived_min,
            below_degree=outcome.below_degree,
            seconds=self._clock.seconds() - began,
        )

    async def restore(self, path: str, progress: ProgressListener) -> RestoreReport:
        """Get the newest complete version back; see IOperations."""
        path = _checked_path(path)
        began = self._clock.seconds()
        await self._until_deleted(path)
        self._check_running()
        restore = FileRestore(
            path,
            home=self._home,
            restores=self._restores,
            folder=self._restored_folder,
            report=lambda done, total: progress(Progress(done=done, total=total)),
        )
        outcome = await self._interruptible(path, restore.run())
        return RestoreReport(
            file_id=outcome.version.file_id.hex(),
            path=outcome.restored_path,
            bytes=outcome.version.size,
            chunks=outcome.version.chunk_count,
            seconds=self._clock.seconds() - began,
        )

    async def delete(self, path: str) -> DeleteReport:
        """Have every peer give up every version; see IOperations."""
        return await self._outcome(Deferred.fromCoroutine(self._delete(_checked_path(path))))

    async def reclaim(self, kbytes: int, progress: ProgressListener) -> ReclaimReport:
        """Lend at most *kbytes* from now on; see IOperations."""
        if kbytes < 0:
            raise OperationError(ErrorCode.USAGE, f"A capacity is a number of KByte from 0 up, not {kbytes}.")
        self._check_running()
        return await self._outcome(Deferred.fromCoroutine(self._reclaim(kbytes * KBYTE, progress)))

    async def limit_sending(self, bytes_per_second: int) -> None:
        """Send chunks at so many bytes a second at the most; see IOperations."""
        self._send_limit.set(bytes_per_second)

    async def state_summary(self) -> StateSummary:
        """What the peer is and has, in numbers."""
        return await self._outcome(Deferred.fromCoroutine(self._state.summary()))

    async def state_page(self, cursor: str) -> StatePage:
        """The part of the state that *cursor* stands for."""
        return await self._outcome(Deferred.fromCoroutine(self._state.page(cursor)))

    async def _delete(self, path: str) -> DeleteReport:
        await self._until_deleted(path)
        self._check_running()
        self._deletions[path] = []
        try:
            await self._interrupt(path)
            versions = await self._home.versions(path)
            if not versions:
                raise OperationError(
                    ErrorCode.NEVER_BACKED_UP,
                    f"{path!r} was never backed up by this peer: "
                    "give the path as it was given to BACKUP (STATE lists them all).",
                )
            await self._home.bury(versions)
        finally:
            for waiting in self._deletions.pop(path):
                waiting.callback(None)
        return DeleteReport(file_id=versions[0].file_id.hex())

    async def _reclaim(self, capacity_bytes: int, progress: ProgressListener) -> ReclaimReport:
        await self._state.check_capacity(capacity_bytes)
        await self._store_lane.run(self._store.set_capacity, capacity_bytes)
        result = await self._reclaiming.run(
            lambda done, total: progress(Progress(done=done // KBYTE, total=total // KBYTE, unit="KByte"))
        )
        usage: StoreUsage = await self._store_lane.run(self._store.usage)
        return ReclaimReport(
            capacity_kbytes=usage.capacity_bytes // KBYTE,
            used_kbytes=usage.used_bytes // KBYTE,
            removed_chunks=result.removed_chunks,
            # What others may have taken instead of these is gone, and all fits.
            unplaced_chunks=result.unplaced_chunks if usage.used_bytes > usage.capacity_bytes else 0,
        )

    async def _joined(self, path: str, degree: int, progress: ProgressListener) -> BackupOutcome:
        """The outcome of the run for *path*: the one under way, or one begun now."""
        self._check_running()
        under_way = self._backups_under_way.get(path)
        if under_way is None:
            under_way = self._backups_under_way[path] = _BackupUnderWay()
            backup = FileBackup(
                path,
                degree,
                home=self._home,
                backups=self._backups,
                clock=self._clock,
                report=under_way.report,
            )
            run = Deferred.fromCoroutine(backup.run())
            under_way.run = run.addBoth(partial(self._has_ended, path, under_way))
        under_way.listeners.append(progress)
        return await self._outcome(under_way.joined())

    async def _outcome_of(
        self, older: _BackupUnderWay | None, path: str, degree: int, progress: ProgressListener
    ) -> BackupOutcome | None:
        """What the run for *path* that was under way came to; None if it doesn't count for a BACKUP that joined it."""
        if older is None:
            return None
        try:
            outcome = await self._joined(path, degree, progress)
        except OperationError as error:
            if error.code in (ErrorCode.CANCELLED, ErrorCode.STOPPING):
                raise
            # It is about what the first found. This one may find another file there, or a disk with room.
            return None
        if outcome.without_copy or await self._interruptible(path, self._home.has_changed(outcome.version)):
            return None
        return outcome

    def _has_ended(self, path: str, under_way: _BackupUnderWay, outcome: BackupOutcome | Failure) -> None:
        del self._backups_under_way[path]
        under_way.end(outcome)

    async def _interruptible(self, path: str, operation: Coroutine[Deferred[Any], Any, _T]) -> _T:
        """Run *operation* so that a DELETE of *path* ends it."""
        running = Deferred.fromCoroutine(operation)
        self._interruptible_runs[running] = path
        try:
            return await self._outcome(running)
        finally:
            del self._interruptible_runs[running]

    async def _outcome(self, running: Deferred[_T]) -> _T:
        """What *running* comes to, its failure in the user's terms."""
        try:
            return await running
        except (CancelledError, Stopped):
            self._check_running()
            raise OperationError(
                ErrorCode.CANCELLED,
                "A DELETE of the same path came meanwhile: back it up again if it is to be kept.",
            ) from None
        except StorageError as error:
            raise as_operation_error(error) from error

    def _check_running(self) -> None:
        if self._is_stopping:
            raise OperationError(
                ErrorCode.STOPPING,
                "The peer was stopped: start it again; an unfinished backup resumes by itself.",
            )

    async def _interrupt(self, path: str) -> None:
        """End what is under way for *path*, and wait until a BACKUP of it has ended."""
        for running in [run for run, its_path in self._interruptible_runs.items() if its_path == path]:
            running.cancel()
        under_way = self._backups_under_way.get(path)
        if under_way is not None:
            ended = under_way.joined()
            ended.addErrback(lambda _cancelled: None)
            under_way.cancel()
            await ended

    async def _until_deleted(self, path: str) -> None:
        """Wait for a DELETE of *path* that is under way."""
        while path in self._deletions:
            deleted: Deferred[None] = Deferred()
            self._deletions[path].append(deleted)
            await deleted

    def _in_background(self, running: Deferred[Any], what: str) -> None:
        running.addErrback(lambda failure: failure.trap(CancelledError))
        running.addErrback(
            lambda failure: self._log.warn(
                "{what} was not done: {why}", what=what, why=failure.getErrorMessage()
            )
        )


def as_operation_error(error: StorageError) -> OperationError:
    """What the storage refused, in the user's terms; the codes of both have the same names."""
    name = error.code.upper().replace("-", "_")
    code = ErrorCode[name] if name in ErrorCode.__members__ else ErrorCode.STORAGE_FAILED
    return OperationError(code, error.sentence)


def _checked_path(path: str) -> str:
    if not os.path.isabs(path):
        raise OperationError(
            ErrorCode.PATH_NOT_ABSOLUTE,
            f"{path!r} is relative, and the peer has a working folder of its own: give the whole path, from / on.",
        )
    return os.path.normpath(path)


def _nobody(progress: Progress) -> None:
    """Listens to progress that nobody waits for."""
