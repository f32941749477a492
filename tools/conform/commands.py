"""The peer's own commands: how the probe has it back up, restore, delete and reclaim."""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from peer.control.interfaces import OperationError
from peer.control.session import Session

SECONDS = 90.0
"""How long a command may take, after which it is ended."""


AT_ONCE = 3
"""Command lines that run at the same time: as many as wait 31 s for something, and few for a small machine."""


class Command(Enum):
    """What a peer can be told to do, by the option of conform that tells how."""

    BACKUP = "--command-backup"
    RESTORE = "--command-restore"
    DELETE = "--command-delete"
    RECLAIM = "--command-reclaim"


class CommandFailure(Exception):
    """The peer was told to do something and did not; says why, in one sentence."""


class Commands(Protocol):
    """A way to tell the peer what to do. Each may return before it is done, and fails with a CommandFailure."""

    @property
    def known(self) -> frozenset[Command]:
        """What it can be told."""

    @property
    def capacity_kbytes(self) -> int:
        """The capacity that the peer is to have again after RECLAIM was probed, in KByte."""

    async def backup(self, path: Path, degree: int) -> None:
        """Back the file up."""

    async def restore(self, path: Path) -> Path | None:
        """Restore the file; where it will be, if that is known."""

    async def delete(self, path: Path) -> None:
        """Delete the file's backup."""

    async def reclaim(self, kbytes: int) -> None:
        """Lend at most so much disk."""


@define
class SessionCommands:
    """By the control protocol of this project (SPEC.md section 10)."""

    session: Session
    capacity_kbytes: int
    known: frozenset[Command] = frozenset(Command)

    @classmethod
    async def of(cls, session: Session) -> "SessionCommands":
        """Commands over a session, whose peer is to have the capacity again that it has now."""
        summary = await session.summary()
        return cls(session, summary.capacity_kbytes)

    async def backup(self, path: Path, degree: int) -> None:
        """See Commands."""
        try:
            await self.session.backup(str(path), degree)
        except OperationError as error:
            raise CommandFailure(error.sentence) from None

    async def restore(self, path: Path) -> Path | None:
        """See Commands."""
        try:
            return Path((await self.session.restore(str(path))).path)
        except OperationError as error:
            raise CommandFailure(error.sentence) from None

    async def delete(self, path: Path) -> None:
        """See Commands."""
        try:
            await self.session.delete(str(path))
        except OperationError as error:
            raise CommandFailure(error.sentence) from None

    async def reclaim(self, kbytes: int) -> None:
        """See Commands."""
        try:
            await self.session.reclaim(kbytes)
        except OperationError as error:
            raise CommandFailure(error.sentence) from None


@define(kw_only=True)
class TemplateCommands:
    """By command lines, in which `{path}`, `{name}`, `{degree}`, `{kbytes}` and `{bytes}` are filled in."""

    templates: Mapping[Command, str]
    restored: str | None
    """Where a restored file is, with `{name}` for its name and `{path}` for where it was backed up from."""
    capacity_kbytes: int
    reactor: Any
    _running: list["_Run"] = field(factory=list)
    _turns: DeferredSemaphore = field(factory=lambda: DeferredSemaphore(AT_ONCE))

    @property
    def known(self) -> frozenset[Command]:
        """See Commands."""
        return frozenset(self.templates)

    async def backup(self, path: Path, degree: int) -> None:
        """See Commands."""
        await self._run(Command.BACKUP, {"path": path, "name": path.name, "degree": degree})

    async def restore(self, path: Path) -> Path | None:
        """See Commands."""
        await self._run(Command.RESTORE, {"path": path, "name": path.name})
        if self.restored is None:
            return None
        return Path(_filled(self.restored, {"path": path, "name": path.name}))

    async def delete(self, path: Path) -> None:
        """See Commands."""
        await self._run(Command.DELETE, {"path": path, "name": path.name})

    async def reclaim(self, kbytes: int) -> None:
        """See Commands."""
        await self._run(Command.RECLAIM, {"kbytes": kbytes, "bytes": kbytes * 1000})

    def end(self) -> None:
        """End the commands that still run."""
        for run in list(self._running):
            run.kill()

    async def _run(self, command: Command, values: Mapping[str, object]) -> None:
        words = [_filled(word, values) for word in shlex.split(self.templates[command])]
        await self._turns.acquire()
        try:
            await self._run_words(words)
        finally:
            self._turns.release()

    async def _run_words(self, words: list[str]) -> None:
        run = _Run()
        try:
            self.reactor.spawnProcess(run, words[0], words, env=None)
        except OSError as error:
            raise CommandFailure(f"{words[0]} can't be started: {error.strerror}") from None
        self._running.append(run)
        try:
            timeout = self.reactor.callLater(SECONDS, run.kill)
            status = await run.ended
            if timeout.active():
                timeout.cancel()
        finally:
            self._running.remove(run)
        if status != 0:
            last = run.output.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise CommandFailure(
                f"{shlex.join(words)} ended with status {status}: {last or 'it said nothing'}"
            )


def _filled(text: str, values: Mapping[str, object]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


class _Run(ProcessProtocol):
    """A command that runs, with what it says."""

    MAX_OUTPUT_BYTES = 10_000

    def __init__(self) -> None:
        self.ended: Deferred[int | None] = Deferred()
        self.output = b""

    def kill(self) -> None:
        """End it now."""
        if self.transport is not None:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess("KILL")

    def outReceived(self, data: bytes) -> None:
        """Keep the last that it says."""
        self.output = (self.output + data)[-self.MAX_OUTPUT_BYTES :]

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        """Tell that it is over."""
        self.ended.callback(getattr(reason.value, "exitCode", None))


@define
class NoCommands:
    """No way to tell the peer anything."""

    known: frozenset[Command] = frozenset()
    capacity_kbytes: int = 0

    async def backup(self, path: Path, degree: int) -> None:
        """See Commands."""
        raise CommandFailure("there is no command for it")

    async def restore(self, path: Path) -> Path | None:
        """See Commands."""
        raise CommandFailure("there is no command for it")

    async def delete(self, path: Path) -> None:
        """See Commands."""
        raise CommandFailure("there is no command for it")

    async def reclaim(self, kbytes: int) -> None:
        """See Commands."""
        raise CommandFailure("there is no command for it")
