"""Coverage-guided fuzzing of the control protocol's server: ``python -m tests.fuzz.control [libFuzzer's options]``.

An input is what somebody sends over one connection, in pieces: to a peer that asks for the secret, or on a Unix
socket, before or after a right Hello. Whatever it is (SPEC.md 10.2, 10.3): who hasn't shown the secret has nothing
done, what is asked of the peer is what the operations take, nothing is raised or logged as an error, and nothing is
left when the connection is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from random import Random
from typing import Any, Final

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.protocols.amp import AmpBox, Command
from twisted.python.failure import Failure
from zope.interface import implementer

from peer.control import commands
from peer.control.commands import MAX_NUMBER, MAX_PATH_BYTES
from peer.control.handshake import NONCE_BYTES, SECRET_BYTES
from peer.control.interfaces import (
    BackupReport,
    DeleteReport,
    ErrorCode,
    IOperations,
    OperationError,
    Progress,
    ProgressListener,
    ReclaimReport,
    RestoreReport,
    StatePage,
    StateSummary,
)
from peer.control.server import ControlFactory
from tests.fuzz.running import fuzz
from tests.support.clock import SimClock

FILE_ID: Final = "1a" * 32
LONGEST: Final = 20_000
"""Bytes of an input: more than a stranger may send."""

ASKED: Final[list[tuple[type[Command], dict[str, Any]]]] = [
    (commands.Backup, {"run": 1, "path": "/photo", "degree": 2, "enhanced": False}),
    (commands.Restore, {"run": 2, "path": "/photo", "enhanced": False}),
    (commands.Delete, {"path": "/photo", "enhanced": True}),
    (commands.Reclaim, {"run": 3, "kbytes": 640, "enhanced": False}),
    (commands.Limit, {"bytes_per_second": 1_000_000}),
    (commands.Summary, {}),
    (commands.Page, {"cursor": ""}),
]


@implementer(IOperations)
class Operations:
    """Does nothing, and fails if it is asked for what can't be asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def backup(self, path: str, degree: int, progress: ProgressListener) -> BackupReport:
        self._note(path)
        assert 1 <= degree <= 9
        progress(Progress(done=1, total=2, unit="chunks"))
        return BackupReport(
            file_id=FILE_ID, bytes=1, chunks=1, desired=degree, perceived_min=1, below_degree=0, seconds=0.5
        )

    async def restore(self, path: str, progress: ProgressListener) -> RestoreReport:
        self._note(path)
        progress(Progress(done=2, total=2, unit="chunks"))
        return RestoreReport(file_id=FILE_ID, path=path, bytes=1, chunks=1, seconds=0.5)

    async def delete(self, path: str) -> DeleteReport:
        self._note(path)
        raise OperationError(ErrorCode.NEVER_BACKED_UP, f"{path!r} was never backed up")

    async def reclaim(self, kbytes: int, progress: ProgressListener) -> ReclaimReport:
        self._note()
        assert 0 <= kbytes <= MAX_NUMBER
        return ReclaimReport(capacity_kbytes=kbytes, used_kbytes=0, removed_chunks=0, unplaced_chunks=0)

    async def limit_sending(self, bytes_per_second: int) -> None:
        self._note()
        assert 0 <= bytes_per_second <= MAX_NUMBER

    async def state_summary(self) -> StateSummary:
        self._note()
        return StateSummary(peer=7, version="1.0", capacity_kbytes=1, used_kbytes=0, files=0, chunks=0)

    async def state_page(self, cursor: str) -> StatePage:
        self._note()
        return StatePage(files=(), chunks=(), cursor=cursor)

    def _note(self, path: str = "/") -> None:
        self.asked += 1
        assert path.startswith("/")
        assert "\0" not in path
        assert len(path.encode("utf-8", "surrogateescape")) <= MAX_PATH_BYTES


@implementer(ITCPTransport)
class Wire:
    """The server's end of a connection, which keeps what the server says."""

    def __init__(self, *, is_unix: bool) -> None:
        self._host = UNIXAddress("/peer.sock") if is_unix else IPv4Address("TCP", "127.0.0.1", 7600)
        self.said = bytearray()
        self.is_over = False

    def write(self, data: bytes) -> None:
        self.said += data

    def writeSequence(self, data: Iterable[bytes]) -> None:  # noqa: N802 - as in ITransport
        self.write(b"".join(data))

    def loseConnection(self) -> None:  # noqa: N802 - as in ITransport
        self.is_over = True

    def abortConnection(self) -> None:  # noqa: N802 - as in ITCPTransport
        self.is_over = True

    def loseWriteConnection(self) -> None:  # noqa: N802 - as in ITCPTransport
        self.is_over = True

    def getHost(self) -> Any:  # noqa: N802 - as in ITransport
        return self._host

    def getPeer(self) -> Any:  # noqa: N802 - as in ITransport
        return self._host

    def getTcpNoDelay(self) -> bool:  # noqa: N802 - as in ITCPTransport
        return True

    def setTcpNoDelay(self, enabled: bool) -> None: ...  # noqa: N802 - as in ITCPTransport

    def getTcpKeepAlive(self) -> bool:  # noqa: N802 - as in ITCPTransport
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None: ...  # noqa: N802 - as in ITCPTransport


@implementer(ILogObserver)
class Conversation:
    """One connection to a server, and what it says. Errors that are logged meanwhile are kept."""

    def __init__(self, operations: IOperations, *, secret: bytes | None, clock: SimClock) -> None:
        self.clock = clock
        self.errors: list[str] = []
        self.wire = Wire(is_unix=secret is None)
        self._factory = ControlFactory(operations=operations, secret=secret, clock=clock, random=Random(1))
        self._connection = self._factory.buildProtocol(None)
        globalLogPublisher.addObserver(self)
        self._connection.makeConnection(self.wire)

    def say(self, data: bytes, piece: int = LONGEST) -> None:
        """Send it, so many bytes at a time, until the server ends the connection."""
        for start in range(0, len(data), piece):
            if self.wire.is_over:
                return
            self._connection.dataReceived(data[start : start + piece])

    def end(self) -> None:
        """The connection is lost; fail if anything was logged as an error, or is left of it."""
        self._connection.connectionLost(Failure(ConnectionDone()))
        globalLogPublisher.removeObserver(self)
        assert not self.errors, self.errors[0]
        assert not self._factory._connections
        assert not self._factory._unproven

    def __call__(self, event: LogEvent) -> None:
        """Keep an error."""
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            failure = event.get("log_failure")
            self.errors.append(formatEvent(event) + (failure.getTraceback() if failure is not None else ""))


def one_input(data: bytes) -> None:
    """Fail if a server does anything else with these bytes than the module says."""
    how, piece, sent = (data + b"\0\0")[0], (data + b"\0\0")[1], data[2:]
    operations, clock = Operations(), SimClock()
    secret = None if how & 1 else bytes(SECRET_BYTES)
    conversation = Conversation(operations, secret=secret, clock=clock)
    if how & 2:
        conversation.say(hello())
    conversation.say(sent, piece or LONGEST)
    conversation.end()
    assert secret is None or not operations.asked, "a stranger has had something done"
    assert not clock.getDelayedCalls(), "a timer is left"


@cache
def hello() -> bytes:
    """A right Hello."""
    return box(commands.Hello, {"versions": [1], "nonce": bytes(NONCE_BYTES)})


def box(command: type[Command], arguments: dict[str, Any], ask: bytes = b"1") -> bytes:
    """A command as it goes over the wire."""
    made: AmpBox = command.makeArguments(arguments, None)
    made[b"_command"], made[b"_ask"] = command.commandName, ask
    return bytes(made.serialize())


def seeds() -> list[bytes]:
    """Every command in each of the four ways, and answers to none."""
    answer = AmpBox(_answer=b"1", _error=b"USAGE", _error_description=b"no").serialize()
    sent: list[bytes] = [hello(), answer, *(box(command, arguments) for command, arguments in ASKED)]
    sent.append(b"".join(sent))
    return [bytes([how, piece]) + one for how in range(4) for piece in (0, 7) for one in sent]


if __name__ == "__main__":
    fuzz("control", one_input, seeds(), longest=LONGEST)
