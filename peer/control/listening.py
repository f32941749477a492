"""Opening the door: listening on an access point so that nobody but the user can come in by it."""

import fcntl
import os
import socket
import stat

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorCore
from twisted.internet.protocol import Factory

from peer.control.access_point import AccessPoint
from peer.control.interfaces import ErrorCode, OperationError


class ListeningControl:
    """An access point at which the peer can be reached until `close`."""

    def __init__(self, access_point: AccessPoint, port: IListeningPort, lock: int | None) -> None:
        self.access_point = access_point
        self._port = port
        self._lock = lock

    async def close(self) -> None:
        """Let nobody in any more; what is on its way to those who are in still goes out."""
        await maybeDeferred(self._port.stopListening)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def check_free(access_point: AccessPoint) -> None:
    """See that a TCP access point could be listened at now; an OperationError says why it can't."""
    family = socket.AF_INET6 if ":" in access_point.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((access_point.host, access_point.port))
            probe.listen()
    except OSError as error:
        raise _refusal(
            f"can't listen at {access_point}: {error.strerror or error}; "
            "stop what listens there, or give --control another port"
        ) from None


async def listen(access_point: AccessPoint, factory: Factory, *, reactor: IReactorCore) -> ListeningControl:
    """Listen at `access_point`. The result's access point has the true port where port 0 was asked for.

    An OperationError with the code NETWORK_FAILED says why it can't be.
    """
    if access_point.is_unix:
        return await _listen_unix(access_point, factory, reactor)
    endpoint_type = TCP6ServerEndpoint if ":" in access_point.host else TCP4ServerEndpoint
    endpoint = endpoint_type(reactor, access_point.port, interface=access_point.host)
    port = await _listening(endpoint.listen(factory), access_point)
    address = port.getHost()
    assert isinstance(address, IPv4Address | IPv6Address)
    return ListeningControl(AccessPoint(host=access_point.host, port=address.port), port, None)


async def _listen_unix(
    access_point: AccessPoint, factory: Factory, reactor: IReactorCore
) -> ListeningControl:
    lock = _lock_socket(access_point.path)
    try:
        _remove_stale_socket(access_point.path)
        # Twisted sets the mode between bind and listen: before listen nobody can connect.
        endpoint = UNIXServerEndpoint(reactor, access_point.path, mode=0o600, wantPID=False)
        port = await _listening(endpoint.listen(factory), access_point)
    except BaseException:
        os.close(lock)
        raise
    return ListeningControl(access_point, port, lock)


async def _listening(listening: Deferred[IListeningPort], access_point: AccessPoint) -> IListeningPort:
    try:
        return await listening
    except (CannotListenError, OSError) as error:
        reason = error.socketError if isinstance(error, CannotListenError) else error
        raise _refusal(
            f"can't listen at {access_point}: {getattr(reason, 'strerror', None) or reason}"
        ) from None


def _lock_socket(path: str) -> int:
    # Unlike a process id in a file, the lock goes with the process that holds it, however that ends. Its file
    # stays: removing it would let two peers each lock a file of that name.
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _refusal(f"can't listen at {path}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise _refusal(
            f"another peer is listening at {path}: stop it, or give this one another path"
        ) from None
    return lock


def _remove_stale_socket(path: str) -> None:
    """Remove what a peer that died has left at `path`, and nothing else."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise _refusal(
            f"something that is no socket is at {path}: move it away, or give the peer another path"
        )
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError as error:
            raise _refusal(f"can't listen at {path}: {error.strerror}") from None
        else:
            raise _refusal(f"another program is listening at {path}: give the peer another path")


def _refusal(sentence: str) -> OperationError:
    return OperationError(ErrorCode.NETWORK_FAILED, sentence)
