"""Somebody in the middle, who hears every byte of a connection and may add some."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from peer.control.access_point import AccessPoint
from peer.control.listening import listen


class RelayEnd(Protocol):
    """One end: passes what it hears to `other`, once that is connected."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear
        self._early: list[bytes] = []
        self.other: RelayEnd | None = None

    def pair(self, other: "RelayEnd") -> None:
        self.other = other
        for data in self._early:
            other.write(data)

    def write(self, data: bytes) -> None:
        """Send `data` out at this end."""
        ITCPTransport(self.transport).write(data)

    def end(self) -> None:
        ITCPTransport(self.transport).loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self._hear(data)
        if self.other is None:
            self._early.append(data)
        else:
            self.other.write(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self.other is not None:
            self.other.end()


class Relay(Factory):
    """Takes connections and makes one to `target` for each; `outward` are the ends there."""

    noisy = False

    def __init__(self, target: AccessPoint, hear: Callable[[bytes], None]) -> None:
        self._target = target
        self._hear = hear
        self.outward: list[RelayEnd] = []

    def buildProtocol(self, addr: IAddress | None) -> RelayEnd:
        inward, outward = RelayEnd(self._hear), RelayEnd(self._hear)
        outward.pair(inward)

        def pair(_: object) -> None:
            inward.pair(outward)
            self.outward.append(outward)

        endpoint = TCP4ClientEndpoint(reactor, self._target.host, self._target.port)
        connectProtocol(endpoint, outward).addCallback(pair)
        return inward


@asynccontextmanager
async def relaying(
    target: AccessPoint, hear: Callable[[bytes], None] = lambda _: None
) -> AsyncIterator[tuple[AccessPoint, Relay]]:
    """Stand between a client, who is to go to the access point given, and `target`."""
    relay = Relay(target, hear)
    control = await listen(AccessPoint.parse("0"), relay, reactor=reactor)
    try:
        yield control.access_point, relay
    finally:
        await control.close()
