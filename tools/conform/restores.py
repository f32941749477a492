"""A RESTORE that the peer was told to do, as the probe sees it: its GETCHUNKs, and the answers to them."""

from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred

from protocol.messages import GetChunk
from tools.conform.backups import WatchedBackup
from tools.conform.bench import Bench
from tools.conform.commands import CommandFailure
from tools.conform.wire import Entry

QUIET = 10.0
"""Seconds after the last GETCHUNK in which a restored file is there; some wait 8 s for an empty last chunk."""

Answer = Callable[[int, int], None]
"""Is called with the number of the chunk asked for, and how many GETCHUNKs came for it so far."""


@define(kw_only=True, eq=False)
class WatchedRestore:
    """The GETCHUNKs for one file that the peer has backed up."""

    bench: Bench
    backup: WatchedBackup
    answer: Answer
    getchunks: list[Entry] = field(factory=list)
    restored: Path | None = None
    complaint: str = ""
    is_ended: bool = False
    """Whether the command has ended."""
    _end_listening: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """Tell the peer to restore the file."""
        self._end_listening = self.bench.wire.listen_to(self._heard)
        command = Deferred.fromCoroutine(self.bench.commands.restore(self.backup.file.path))
        command.addCallback(self._command_ended).addErrback(self._command_failed)

    async def first(self) -> Entry | None:
        """The first GETCHUNK; None if none comes in time."""
        await self.bench.begun(lambda: bool(self.getchunks), lambda: self.is_ended)
        return self.getchunks[0] if self.getchunks else None

    def end(self) -> None:
        """Answer no more."""
        self._end_listening()

    def attempts(self, number: int) -> list[Entry]:
        """The GETCHUNKs for one chunk."""
        return [
            entry
            for entry in self.getchunks
            if isinstance(entry.content, GetChunk) and entry.content.chunk_no == number
        ]

    def give(self, number: int, *, delay: float, body: bytes | None = None) -> None:
        """Send the chunk, or other bytes in its place, after so many seconds."""
        given = self.backup.body(number) if body is None else body
        message = self.bench.chunk(self.backup.chunk_id(number), given, voice=0)
        self.bench.say_later(delay, message)

    async def content(self) -> bytes | None:
        """The restored file, once it is right or should be; None if it isn't known where it is."""
        found: bytes | None = None
        while self.bench.wire.now() - self.getchunks[-1].at < QUIET:
            if self.restored is not None:
                found = self.bench.folder.read(self.restored)
                if found == self.backup.file.content:
                    break
            await self.bench.pause(0.2)
        return found

    def _command_ended(self, restored: Path | None) -> None:
        self.restored = restored
        self.is_ended = True

    def _command_failed(self, failure: object) -> None:
        self.is_ended = True
        error = getattr(failure, "value", None)
        if not isinstance(error, CommandFailure):
            assert isinstance(error, BaseException)
            raise error
        self.complaint = str(error)

    def _heard(self, entry: Entry) -> None:
        message = entry.said(GetChunk)
        if message is not None and message.file_id == self.backup.file_id:
            self.getchunks.append(entry)
            self.answer(message.chunk_no, len(self.attempts(message.chunk_no)))
