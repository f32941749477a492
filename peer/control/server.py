"""The peer's side of the control protocol: who is let in, how many wait at the door, and for how long."""

from random import Random

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from peer.control.connection import ControlConnection
from peer.control.interfaces import IOperations
from peer.control.responders import Greeting, OperationResponders

MAX_UNPROVEN_SECONDS = 10.0
"""How long a connection may take to prove itself, which takes milliseconds. Stops strangers from staying."""

MAX_UNPROVEN = 32
"""How many may be at that. A new connection ends the oldest, so that strangers can't keep the owner out."""

DROP_LOG_INTERVAL = 60.0
"""Seconds between two lines in the log about connections ended. Stops a stranger from filling the disk."""


class ServerConnection(ControlConnection):
    """A connection that somebody made to this peer."""

    def __init__(self, server: "ControlFactory") -> None:
        super().__init__()
        self._server = server

    def connectionMade(self) -> None:
        """Notice some time when the other machine is no longer there."""
        transport = ITCPTransport(self.transport)
        if not isinstance(transport.getHost(), UNIXAddress):
            transport.setTcpKeepAlive(True)

    def prove(self) -> None:
        """Let it stay."""
        super().prove()
        self._server.has_proven(self)

    def drop(self, why: str) -> None:
        """End it, and say so in the log, within bounds."""
        if not self.is_over:
            self._server.has_dropped(self, why)
        super().drop(why)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Forget it. What it has started goes on."""
        self._server.has_lost(self)
        super().connectionLost(reason)


class ControlFactory(Factory):
    """Makes a ServerConnection of each connection; `operations` does what the user asks.

    `secret` is None for a Unix socket, whose mode keeps others out. `random` must be fit for nonces:
    SystemRandom.
    """

    noisy = False

    def __init__(
        self, *, operations: IOperations, secret: bytes | None, clock: IReactorTime, random: Random
    ) -> None:
        self._operations = operations
        self._secret = secret
        self._clock = clock
        self._random = random
        self._log = Logger()
        self._connections: set[ServerConnection] = set()
        self._unproven: dict[ServerConnection, IDelayedCall] = {}
        self._drops_untold = 0
        self._last_told: float | None = None

    def buildProtocol(self, addr: IAddress | None) -> ServerConnection:
        """Let a stranger in as far as Hello."""
        while len(self._unproven) >= MAX_UNPROVEN:
            next(iter(self._unproven)).drop("made room for a newer one")
        connection = ServerConnection(self)
        operations = OperationResponders(connection, operations=self._operations, clock=self._clock)
        greeting = Greeting(connection, secret=self._secret, random=self._random, then=operations)
        connection.answer_with(greeting)
        self._connections.add(connection)
        self._unproven[connection] = self._clock.callLater(
            MAX_UNPROVEN_SECONDS, connection.drop, "took too long to prove itself"
        )
        return connection

    def stopFactory(self) -> None:
        """End the connections, once the answers that are on their way have gone."""
        for connection in list(self._connections):
            ITCPTransport(connection.transport).loseConnection()

    def has_proven(self, connection: ServerConnection) -> None:
        """Let it take its time from now on."""
        self._stop_timing(connection)

    def has_dropped(self, connection: ServerConnection, why: str) -> None:
        """Tell the log, or count it for the next line there."""
        self._stop_timing(connection)
        now = self._clock.seconds()
        if self._last_told is not None and now - self._last_told < DROP_LOG_INTERVAL:
            self._drops_untold += 1
            return
        self._log.warn(
            "ended a control connection that {why} ({untold} more since the last such line)",
            why=why,
            untold=self._drops_untold,
        )
        self._last_told, self._drops_untold = now, 0

    def has_lost(self, connection: ServerConnection) -> None:
        """Forget it."""
        self._stop_timing(connection)
        self._connections.discard(connection)

    def _stop_timing(self, connection: ServerConnection) -> None:
        timeout = self._unproven.pop(connection, None)
        if timeout is not None and timeout.active():
            timeout.cancel()
