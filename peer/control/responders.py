"""What answers the commands of a client: Hello at first, the operations once it is greeted (SPEC.md 10.3)."""

import os.path
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from attrs import asdict
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.protocols.amp import CommandLocator

from peer.control import commands
from peer.control.commands import wire_error
from peer.control.connection import ControlConnection, Seals
from peer.control.handshake import NONCE_BYTES, VERSIONS, Handshake
from peer.control.interfaces import ErrorCode, IOperations, OperationError, Progress
from peer.control.pages import page_entries
from peer.control.progress import ProgressPush

_log = Logger()

Fields = dict[str, object]


class Greeting(CommandLocator):
    """Answers the one command that a stranger may send; `then` answers whatever the greeted client sends.

    Without a secret, on a Unix socket, whoever could connect is the owner.
    """

    def __init__(
        self, connection: ControlConnection, *, secret: bytes | None, random: Random, then: CommandLocator
    ) -> None:
        super().__init__()
        self._connection = connection
        self._secret = secret
        self._random = random
        self._then = then

    @commands.Hello.responder
    def hello(self, versions: list[int], nonce: bytes) -> Fields:
        """Agree on a version, prove that we know the secret, and from then on ask the same of the client."""
        version = max(set(versions).intersection(VERSIONS), default=None)
        if version is None:
            asked, spoken = " or ".join(map(str, versions)), " or ".join(map(str, VERSIONS))
            raise wire_error(
                ErrorCode.REFUSED,
                f"this peer speaks version {spoken} of the control protocol, not {asked or 'none'}:"
                " use a command of the peer's own release",
            )
        if self._secret is None:
            self._connection.prove()
            self._connection.answer_with(self._then)
            return {"version": version, "nonce": b"", "proof": b""}
        server_nonce = self._random.randbytes(NONCE_BYTES)
        try:
            handshake = Handshake.of(self._secret, client_nonce=nonce, server_nonce=server_nonce)
        except ValueError as error:
            raise wire_error(ErrorCode.USAGE, str(error)) from None
        self._connection.seal_after_next(
            Seals(outgoing=handshake.server_seal(), incoming=handshake.client_seal())
        )
        self._connection.answer_with(self._then)
        return {"version": version, "nonce": server_nonce, "proof": handshake.server_proof}


class OperationResponders(CommandLocator):
    """Has the peer do what its user asks, and answers when it is done."""

    def __init__(
        self, connection: ControlConnection, *, operations: IOperations, clock: IReactorTime
    ) -> None:
        super().__init__()
        self._connection = connection
        self._operations = operations
        self._clock = clock

    @commands.Backup.responder
    async def backup(self, run: int, path: str, degree: int, enhanced: bool) -> Fields:
        """IOperations.backup."""
        with self._progress(run) as push, _errors_for_the_wire():
            _refuse_enhanced("BACKUP", enhanced)
            _check_path(path)
            if not 1 <= degree <= 9:
                raise OperationError(ErrorCode.USAGE, f"a replication degree is from 1 to 9, not {degree}")
            return asdict(await self._operations.backup(path, degree, push))

    @commands.Restore.responder
    async def restore(self, run: int, path: str, enhanced: bool) -> Fields:
        """IOperations.restore."""
        with self._progress(run) as push, _errors_for_the_wire():
            _refuse_enhanced("RESTORE", enhanced)
            _check_path(path)
            return asdict(await self._operations.restore(path, push))

    @commands.Delete.responder
    async def delete(self, path: str, enhanced: bool) -> Fields:
        """IOperations.delete."""
        with _errors_for_the_wire():
            _refuse_enhanced("DELETE", enhanced)
            _check_path(path)
            return asdict(await self._operations.delete(path))

    @commands.Reclaim.responder
    async def reclaim(self, run: int, kbytes: int, enhanced: bool) -> Fields:
        """IOperations.reclaim."""
        with self._progress(run) as push, _errors_for_the_wire():
            _refuse_enhanced("RECLAIM", enhanced)
            return asdict(await self._operations.reclaim(kbytes, push))

    @commands.Limit.responder
    async def limit(self, bytes_per_second: int) -> Fields:
        """IOperations.limit_sending."""
        with _errors_for_the_wire():
            await self._operations.limit_sending(bytes_per_second)
            return {}

    @commands.Summary.responder
    async def summary(self) -> Fields:
        """IOperations.state_summary."""
        with _errors_for_the_wire():
            return asdict(await self._operations.state_summary())

    @commands.Page.responder
    async def page(self, cursor: str) -> Fields:
        """IOperations.state_page."""
        with _errors_for_the_wire():
            page = await self._operations.state_page(cursor)
            return {"entries": page_entries(page), "cursor": page.cursor}

    @contextmanager
    def _progress(self, run: int) -> Iterator[ProgressPush]:
        def send(progress: Progress) -> Deferred[Fields]:
            return self._connection.call(commands.Progressed, run=run, **asdict(progress))

        push = ProgressPush(send, clock=self._clock)
        try:
            yield push
        finally:
            push.finish()


@contextmanager
def _errors_for_the_wire() -> Iterator[None]:
    try:
        yield
    except OperationError as error:
        raise wire_error(error.code, error.sentence) from None
    except Exception:
        _log.failure("an operation failed in a way that nobody foresaw")
        raise wire_error(ErrorCode.INTERNAL, commands.INTERNAL_SENTENCE) from None


def _refuse_enhanced(name: str, enhanced: bool) -> None:
    if enhanced:
        raise OperationError(
            ErrorCode.NOT_ENHANCED,
            f"this peer speaks version 1.0 only, which has no {name}ENH: use {name}",
        )


def _check_path(path: str) -> None:
    size = len(path.encode("utf-8", "surrogateescape"))
    if size > commands.MAX_PATH_BYTES or "\0" in path:
        raise OperationError(
            ErrorCode.USAGE,
            f"no file has such a path: it has no NUL and at most {commands.MAX_PATH_BYTES} bytes",
        )
    if not os.path.isabs(path):
        raise OperationError(
            ErrorCode.PATH_NOT_ABSOLUTE,
            f"{path!r} is relative, and to the peer's own folder that means nothing:"
            " give the path as the peer sees it, from / on",
        )
