"""Any bytes on the control port, and any number of connections, never stop the peer (SPEC.md 10.1)."""

import socket
from random import Random

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from peer.control import commands
from peer.control.access_point import AccessPoint
from peer.control.connection import MAX_UNPROVEN_BYTES
from peer.control.server import MAX_UNPROVEN, MAX_UNPROVEN_SECONDS
from tests.peer.control.stand_in import SUMMARY, StandIn, listening, reach
from tests.support.in_reactor import in_reactor


class Stranger(Protocol):
    """Says what it likes; `gone` fires when the peer has had enough."""

    def __init__(self) -> None:
        self.heard = b""
        self.gone: Deferred[None] = Deferred()

    def say(self, data: bytes) -> None:
        ITCPTransport(self.transport).write(data)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.gone.callback(None)


async def stranger_at(access_point: AccessPoint) -> Stranger:
    endpoint = TCP4ClientEndpoint(reactor, access_point.host, access_point.port)
    stranger: Stranger = await connectProtocol(endpoint, Stranger())
    return stranger


def string(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


NONSENSE = {
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an empty box": b"\0\0",
    "a box without a command": string(b"a") + string(b"b") + b"\0\0",
    "an answer to nothing": string(b"_answer") + string(b"1") + b"\0\0",
    "a command that wants no answer": string(b"_command") + string(b"Delete") + b"\0\0",
    "a Hello that wants no answer": string(b"_command") + string(b"Hello") + b"\0\0",
    "an error to nothing": string(b"_error") + string(b"1") + b"\0\0",
    "a key too long": string(b"k" * 256),
    "all ones": b"\xff" * 1_000,
    "more than a stranger may say": (string(b"k") + string(b"v" * 1_000)) * 17,
    "one value more than a stranger may say": string(b"k") + string(b"v" * (MAX_UNPROVEN_BYTES + 1)),
    "a Hello that goes on": string(b"_command") + string(b"Hello") + string(b"n") + string(bytes(65_535)),
}


@pytest.mark.parametrize("kind", NONSENSE)
@in_reactor
async def test_nonsense_ends_the_connection_and_nothing_else(kind: str) -> None:
    # With a clock that stands still it isn't its time that ends the connection.
    async with listening(StandIn(), clock=Clock()) as control:
        stranger = await stranger_at(control.access_point)
        stranger.say(NONSENSE[kind])
        await stranger.gone
        assert stranger.heard == b""
        session = await reach(control.access_point)
        assert await session.summary() == SUMMARY
        await session.close()


@pytest.mark.parametrize("seed", range(20))
@in_reactor
async def test_random_bytes_leave_the_peer_as_it_was(seed: int) -> None:
    random = Random(seed)
    async with listening(StandIn()) as control:
        stranger = await stranger_at(control.access_point)
        stranger.say(random.randbytes(random.choice([1, 2, 3, 100, 100_000])))
        session = await reach(control.access_point)
        assert await session.summary() == SUMMARY
        await session.close()
        stranger.transport.loseConnection()  # type: ignore[union-attr]
        await stranger.gone


HELLOS = {
    "no fields": {},
    "no nonce": {b"versions": b"\0\x011"},
    "a version that is no number": {b"versions": b"\0\x01x", b"nonce": bytes(32)},
    "a version of 5,000 digits": {b"versions": string(b"9" * 5_000), b"nonce": bytes(32)},
}


@pytest.mark.parametrize("kind", HELLOS)
@in_reactor
async def test_a_hello_that_cannot_be_read_is_refused_with_a_sentence(kind: str) -> None:
    async with listening(StandIn()) as control:
        stranger = await stranger_at(control.access_point)
        fields = {b"_command": b"Hello", b"_ask": b"1", **HELLOS[kind]}
        box = b"".join(string(part) for pair in fields.items() for part in pair)
        stranger.say(box + b"\0\0")
        while b"_error_code" not in stranger.heard:
            await _soon()
        assert string(b"USAGE") in stranger.heard
        assert b"can't read the fields of this Hello" in stranger.heard
        stranger.transport.loseConnection()  # type: ignore[union-attr]
        await stranger.gone


@in_reactor
async def test_who_says_nothing_is_shown_out_after_some_seconds() -> None:
    clock = Clock()
    async with listening(StandIn(), clock=clock) as control:
        silent = await stranger_at(control.access_point)
        slow = await stranger_at(control.access_point)
        slow.say(string(b"_command"))
        session = await reach(control.access_point)
        clock.advance(MAX_UNPROVEN_SECONDS - 0.1)
        assert await session.summary() == SUMMARY
        assert not silent.gone.called
        clock.advance(0.1)
        await silent.gone
        await slow.gone
        assert await session.summary() == SUMMARY, "who has proven to be the user may stay"
        await session.close()
    assert clock.getDelayedCalls() == []


@in_reactor
async def test_strangers_at_the_door_do_not_keep_the_user_out() -> None:
    async with listening(StandIn()) as control:
        strangers = [await stranger_at(control.access_point) for _ in range(MAX_UNPROVEN + 5)]
        session = await reach(control.access_point)
        assert await session.summary() == SUMMARY
        for stranger in strangers[:6]:
            await stranger.gone
        assert not any(stranger.gone.called for stranger in strangers[6:])
        await session.close()


@in_reactor
async def test_a_connection_that_is_reset_leaves_nothing_behind() -> None:
    clock = Clock()
    async with listening(StandIn(), clock=clock) as control:
        with socket.create_connection((control.access_point.host, control.access_point.port)) as half_open:
            half_open.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        session = await reach(control.access_point)
        assert await session.summary() == SUMMARY
        await session.close()
        while clock.getDelayedCalls():
            await _soon()


@in_reactor
async def test_the_user_s_own_mistakes_leave_the_session_open() -> None:
    async with listening(StandIn()) as control:
        session = await reach(control.access_point)
        connection = session._connection  # the commands of a Session make no mistakes
        with pytest.raises(Exception, match="Unhandled Command"):
            await connection.call(commands.Hello, versions=[1], nonce=bytes(32))
        assert await session.summary() == SUMMARY
        await session.close()


async def _soon() -> None:
    turn: Deferred[None] = Deferred()
    reactor.callLater(0, turn.callback, None)
    await turn
