"""Reaching a peer from the user's side, and making sure that it is the user's own."""

import os
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import TimeoutError
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.protocols.amp import AmpError

from peer.control import commands
from peer.control.access_point import AccessPoint
from peer.control.connection import Seals
from peer.control.handshake import NONCE_BYTES, VERSIONS, Handshake
from peer.control.interfaces import (
    ErrorCode,
    OperationError,
)
from peer.control.session import ClientConnection, Session

CONNECT_SECONDS = 5.0
"""How long a machine may take to take our connection; over any network that control is for, ample."""

HELLO_SECONDS = 10.0
"""How long a peer that is busy may take to greet; one that hangs is told from it by nothing else."""


async def connect(
    access_point: AccessPoint, *, secret: Callable[[], bytes], reactor: IReactorTime, random: Random
) -> Session:
    """Connect to the peer at `access_point` and have it prove itself.

    `secret` is called only if one is needed. An OperationError has the code UNREACHABLE when no peer answers
    there, REFUSED when the two won't have each other. `random` must be fit for nonces: SystemRandom.
    """
    _check_owner(access_point)
    connection = ClientConnection()
    try:
        await connectProtocol(_endpoint(access_point, reactor), connection)
    except (ConnectError, DNSLookupError, OSError, ValueError) as error:
        raise OperationError(
            ErrorCode.UNREACHABLE,
            f"no peer answers at {access_point} ({_reason(error)}): is it running, and is this its address?",
        ) from None
    try:
        await _greet(connection, access_point, secret=secret, reactor=reactor, random=random)
    except BaseException:
        connection.end()
        raise
    return Session(connection, access_point)


async def _greet(
    connection: ClientConnection,
    access_point: AccessPoint,
    *,
    secret: Callable[[], bytes],
    reactor: IReactorTime,
    random: Random,
) -> None:
    nonce = random.randbytes(NONCE_BYTES)
    known_secret = b"" if access_point.is_unix else secret()
    hello = connection.call(commands.Hello, versions=list(VERSIONS), nonce=nonce)
    try:
        answer: dict[str, Any] = await hello.addTimeout(HELLO_SECONDS, reactor)
    except TimeoutError:
        raise OperationError(
            ErrorCode.UNREACHABLE,
            f"what listens at {access_point} says nothing: is it a peer? If so it hangs, restart it",
        ) from None
    except OperationError as error:
        raise OperationError(ErrorCode.REFUSED, error.sentence) from None
    except (AmpError, ConnectionClosed, KeyError, ValueError):
        raise OperationError(
            ErrorCode.REFUSED, f"what listens at {access_point} is no peer: is that the peer's access point?"
        ) from None
    if not access_point.is_unix:
        _verify(connection, access_point, known_secret, nonce, answer)
    connection.prove()


def _verify(
    connection: ClientConnection,
    access_point: AccessPoint,
    secret: bytes,
    client_nonce: bytes,
    answer: dict[str, Any],
) -> None:
    refusal = OperationError(
        ErrorCode.REFUSED,
        f"what listens at {access_point} doesn't know this user's secret: is it another user's peer?",
    )
    try:
        handshake = Handshake.of(secret, client_nonce=client_nonce, server_nonce=answer["nonce"])
    except ValueError:
        raise refusal from None
    if answer["version"] not in VERSIONS or not handshake.is_server_proof(answer["proof"]):
        raise refusal
    connection.seal(Seals(outgoing=handshake.client_seal(), incoming=handshake.server_seal()))


def _endpoint(access_point: AccessPoint, reactor: IReactorTime) -> IStreamClientEndpoint:
    if access_point.is_unix:
        return UNIXClientEndpoint(reactor, access_point.path, timeout=CONNECT_SECONDS)
    return HostnameEndpoint(reactor, access_point.host, access_point.port, timeout=CONNECT_SECONDS)


def _check_owner(access_point: AccessPoint) -> None:
    """Refuse the socket of another user: it needs no secret to listen there in the peer's place."""
    if not access_point.is_unix or os.geteuid() == 0:
        return
    try:
        owner = os.stat(access_point.path).st_uid
    except OSError:
        return
    if owner not in (0, os.geteuid()):
        raise OperationError(ErrorCode.REFUSED, f"{access_point} belongs to another user")


def _reason(error: Exception) -> str:
    if isinstance(error, DNSLookupError | ValueError):
        return "no such host"
    number = getattr(error, "osError", None)
    return os.strerror(number).lower() if isinstance(number, int) else type(error).__name__
