"""What a program can have a peer do once it has reached it: IOperations from the other side of the wire."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.protocols.amp import AmpError, Command, CommandLocator
from twisted.python.failure import Failure

from peer.control import commands
from peer.control.access_point import AccessPoint
from peer.control.connection import ControlConnection
from peer.control.interfaces import (
    BackupReport,
    ChunkState,
    DeleteReport,
    ErrorCode,
    FileState,
    OperationError,
    Progress,
    ProgressListener,
    ReclaimReport,
    RestoreReport,
    StateSummary,
)
from peer.control.pages import read_page


@frozen(kw_only=True)
class State:
    """All that STATE tells of a peer, the parts of each file joined."""

    summary: StateSummary
    files: tuple[FileState, ...]
    chunks: tuple[ChunkState, ...]


class ClientConnection(ControlConnection):
    """The connection, with those who want to hear of progress by the run they started."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: dict[int, ProgressListener] = {}
        self.ended: Deferred[None] = Deferred()
        self.answer_with(_ProgressResponder(self.listeners))

    def end(self) -> None:
        """End the connection once what was written has gone."""
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Say that it is over."""
        super().connectionLost(reason)
        self.ended.callback(None)


class _ProgressResponder(CommandLocator):
    def __init__(self, listeners: dict[int, ProgressListener]) -> None:
        super().__init__()
        self._listeners = listeners

    @commands.Progressed.responder
    def progressed(self, run: int, done: int, total: int, unit: str) -> dict[str, object]:
        listener = self._listeners.get(run)
        if listener is not None:
            listener(Progress(done=done, total=total, unit=unit))
        return {}


class Session:
    """A connection to a peer that has proven itself. Each call fails with an OperationError.

    What a call starts goes on in the peer when the session ends before its answer.
    """

    def __init__(self, connection: ClientConnection, access_point: AccessPoint) -> None:
        self._connection = connection
        self._access_point = access_point
        self._runs = itertools.count(1)

    async def backup(
        self, path: str, degree: int, *, enhanced: bool = False, progress: ProgressListener | None = None
    ) -> BackupReport:
        """IOperations.backup; `enhanced` asks for the enhanced subprotocol by name, here and below."""
        with self._listening(progress) as run:
            fields = await self._call(commands.Backup, run=run, path=path, degree=degree, enhanced=enhanced)
        return BackupReport(**fields)

    async def restore(
        self, path: str, *, enhanced: bool = False, progress: ProgressListener | None = None
    ) -> RestoreReport:
        """IOperations.restore."""
        with self._listening(progress) as run:
            fields = await self._call(commands.Restore, run=run, path=path, enhanced=enhanced)
        return RestoreReport(**fields)

    async def delete(self, path: str, *, enhanced: bool = False) -> DeleteReport:
        """IOperations.delete."""
        return DeleteReport(**await self._call(commands.Delete, path=path, enhanced=enhanced))

    async def reclaim(
        self, kbytes: int, *, enhanced: bool = False, progress: ProgressListener | None = None
    ) -> ReclaimReport:
        """IOperations.reclaim."""
        with self._listening(progress) as run:
            fields = await self._call(commands.Reclaim, run=run, kbytes=kbytes, enhanced=enhanced)
        return ReclaimReport(**fields)

    async def limit_sending(self, bytes_per_second: int) -> None:
        """IOperations.limit_sending."""
        await self._call(commands.Limit, bytes_per_second=bytes_per_second)

    async def summary(self) -> StateSummary:
        """IOperations.state_summary."""
        return StateSummary(**await self._call(commands.Summary))

    async def state(self) -> State:
        """The summary and every page of the state."""
        summary = await self.summary()
        files: list[FileState] = []
        chunks: list[ChunkState] = []
        cursor = ""
        while True:
            fields = await self._call(commands.Page, cursor=cursor)
            with self._readable_answers():
                page = read_page(fields["entries"], fields["cursor"])
            files += page.files
            chunks += page.chunks
            cursor = page.cursor
            if not cursor:
                return State(summary=summary, files=tuple(joined(files)), chunks=tuple(chunks))

    async def close(self) -> None:
        """End the connection."""
        self._connection.end()
        await self._connection.ended

    @contextmanager
    def _listening(self, progress: ProgressListener | None) -> Iterator[int]:
        run = next(self._runs)
        if progress is not None:
            self._connection.listeners[run] = progress
        try:
            yield run
        finally:
            self._connection.listeners.pop(run, None)

    async def _call(self, command: type[Command], **arguments: object) -> dict[str, Any]:
        try:
            answer = self._connection.call(command, **arguments)
        except ValueError:
            raise OperationError(
                ErrorCode.USAGE, "no peer can do that: a path is too long, or a number is out of range"
            ) from None
        with self._readable_answers():
            try:
                return await answer
            except ConnectionClosed:
                raise OperationError(
                    ErrorCode.CONNECTION_LOST,
                    f"the connection to the peer at {self._access_point} was lost before it answered:"
                    " if it has stopped, start it again, and ask for its STATE",
                ) from None

    @contextmanager
    def _readable_answers(self) -> Iterator[None]:
        try:
            yield
        except (AmpError, KeyError, TypeError, ValueError) as error:
            raise OperationError(
                ErrorCode.INTERNAL,
                f"the peer at {self._access_point} and this command don't understand each other"
                f" ({type(error).__name__}): use those of one release",
            ) from error


def joined(parts: Iterable[FileState]) -> Iterator[FileState]:
    """The files whose parts these are: those of one file follow each other."""
    for _, group in itertools.groupby(parts, key=lambda part: part.file_id):
        first, *rest = group
        chunks = itertools.chain(first.chunks, *(part.chunks for part in rest))
        yield evolve(first, chunks=tuple(chunks))
