"""Who doesn't know the secret gets nothing, whichever side they are on (SPEC.md 10.2)."""

# ruff: noqa: N802 (methods of a protocol have the names by which AMP calls them)

from collections.abc import Callable

import pytest
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.protocols.amp import AmpBox, BinaryBoxProtocol, Command
from twisted.python.failure import Failure

from peer.control import commands
from peer.control.access_point import AccessPoint
from peer.control.connection import Seals
from peer.control.handshake import Handshake, Seal
from peer.control.interfaces import ErrorCode, OperationError
from peer.control.listening import listen
from peer.control.session import ClientConnection
from tests.peer.control.relay import relaying
from tests.peer.control.stand_in import SECRET, SUMMARY, StandIn, listening, reach
from tests.support.in_reactor import in_reactor

OTHER_SECRET = bytes(32)


async def stranger_at(access_point: AccessPoint) -> ClientConnection:
    """A connection over which nothing was said yet."""
    endpoint = TCP4ClientEndpoint(reactor, access_point.host, access_point.port)
    connection: ClientConnection = await connectProtocol(endpoint, ClientConnection())
    return connection


async def greeted(connection: ClientConnection, nonce: bytes = bytes(32)) -> dict[str, object]:
    return await connection.call(commands.Hello, versions=[1], nonce=nonce)


@in_reactor
async def test_a_client_with_another_secret_is_told_so_and_asks_nothing() -> None:
    operations = StandIn()
    async with listening(operations) as control:
        with pytest.raises(OperationError, match="secret") as caught:
            await reach(control.access_point, OTHER_SECRET)
    assert caught.value.code is ErrorCode.REFUSED
    assert operations.asked == []


@in_reactor
async def test_a_command_before_hello_is_not_there() -> None:
    operations = StandIn()
    async with listening(operations) as control:
        stranger = await stranger_at(control.access_point)
        with pytest.raises(Exception, match="Unhandled Command"):
            await stranger.call(commands.Delete, path="/home/ada/photo.jpg", enhanced=False)
        stranger.end()
        await stranger.ended
    assert operations.asked == []


@pytest.mark.parametrize("command", [commands.Summary, commands.Hello])
@in_reactor
async def test_a_box_without_a_seal_after_hello_ends_the_connection(command: type[Command]) -> None:
    operations = StandIn()
    async with listening(operations) as control:
        stranger = await stranger_at(control.access_point)
        await greeted(stranger)
        arguments = {"versions": [1], "nonce": bytes(32)} if command is commands.Hello else {}
        with pytest.raises(Exception, match="onnection"):
            await stranger.call(command, **arguments)
        await stranger.ended
    assert operations.asked == []


def seals_by(handshake: Handshake) -> dict[str, Seals]:
    right = Seals(outgoing=handshake.client_seal(), incoming=handshake.server_seal())
    counted_on = handshake.client_seal()
    counted_on.of_next(b"")
    return {
        "right": right,
        "reflected": Seals(outgoing=handshake.server_seal(), incoming=handshake.client_seal()),
        "from a box later": Seals(outgoing=counted_on, incoming=handshake.server_seal()),
        "the server's proof as a key": Seals(
            outgoing=Seal(handshake.server_proof), incoming=handshake.server_seal()
        ),
    }


@pytest.mark.parametrize("kind", ["right", "reflected", "from a box later", "the server's proof as a key"])
@in_reactor
async def test_only_the_client_s_own_seal_lets_a_command_through(kind: str) -> None:
    operations = StandIn()
    async with listening(operations) as control:
        stranger = await stranger_at(control.access_point)
        answer = await greeted(stranger)
        handshake = Handshake.of(SECRET, client_nonce=bytes(32), server_nonce=answer["nonce"])  # type: ignore[arg-type]
        stranger.seal(seals_by(handshake)[kind])
        stranger.prove()
        summary = stranger.call(commands.Summary)
        if kind == "right":
            assert (await summary)["peer"] == SUMMARY.peer
            stranger.end()
        else:
            with pytest.raises(Exception, match="onnection"):
                await summary
            assert operations.asked == []
        await stranger.ended


@in_reactor
async def test_what_one_connection_said_is_of_no_use_on_another() -> None:
    """The server's nonce is another each time, so a recorded connection can't be played again."""
    async with listening(StandIn()) as control:
        answers = []
        for _ in range(2):
            stranger = await stranger_at(control.access_point)
            answers.append(await greeted(stranger))
            stranger.end()
            await stranger.ended
    assert answers[0]["nonce"] != answers[1]["nonce"]
    assert answers[0]["proof"] != answers[1]["proof"]


@in_reactor
async def test_the_secret_itself_is_never_on_the_wire() -> None:
    heard: list[bytes] = []
    async with listening(StandIn()) as control, relaying(control.access_point, heard.append) as (relay, _):
        session = await reach(relay)
        await session.backup("/home/ada/photo.jpg", 2)
        await session.close()
    wire = b"".join(heard)
    assert b"/home/ada/photo.jpg" in wire, "the relay has heard it all"
    assert SECRET not in wire
    assert SECRET.hex().encode() not in wire


@in_reactor
async def test_who_relays_a_connection_cannot_slip_in_a_command() -> None:
    operations = StandIn()
    async with listening(operations) as control, relaying(control.access_point) as (relay_point, relay):
        session = await reach(relay_point)
        await session.summary()
        box = AmpBox(_command=b"Delete", _ask=b"ff", path=b"/home/ada/photo.jpg", enhanced=b"False")
        relay.outward[0].write(box.serialize())
        with pytest.raises(OperationError):
            await session.summary()
        await session.close()
    assert operations.asked == [("state_summary",)]


class FalsePeer(BinaryBoxProtocol):
    """Answers Hello as it likes: the client has to find out."""

    def __init__(self, proof: Callable[[bytes], tuple[bytes, bytes]]) -> None:
        super().__init__(self)
        self._proof = proof
        self.heard: list[AmpBox] = []

    def startReceivingBoxes(self, box_sender: object) -> None: ...

    def stopReceivingBoxes(self, reason: Failure) -> None: ...

    def ampBoxReceived(self, box: AmpBox) -> None:
        self.heard.append(box)
        nonce, proof = self._proof(box[b"nonce"])
        self.sendBox(AmpBox(_answer=box[b"_ask"], version=b"1", nonce=nonce, proof=proof))


def guesses(client_nonce: bytes) -> dict[str, tuple[bytes, bytes]]:
    other = Handshake.of(OTHER_SECRET, client_nonce=client_nonce, server_nonce=bytes(32))
    return {
        "of another secret": (bytes(32), other.server_proof),
        "reflected nonce": (client_nonce, client_nonce),
        "none": (b"", b""),
        "an empty proof": (bytes(32), b""),
    }


@pytest.mark.parametrize("kind", ["of another secret", "reflected nonce", "none", "an empty proof"])
@in_reactor
async def test_the_client_says_nothing_of_use_before_the_server_has_proven_itself(kind: str) -> None:
    false_peers: list[FalsePeer] = []

    def build(_address: object) -> FalsePeer:
        false_peers.append(FalsePeer(lambda nonce: guesses(nonce)[kind]))
        return false_peers[-1]

    factory = Factory()
    factory.noisy = False
    factory.buildProtocol = build  # type: ignore[method-assign, assignment]
    control = await listen(AccessPoint.parse("0"), factory, reactor=reactor)
    with pytest.raises(OperationError) as caught:
        await reach(control.access_point)
    assert caught.value.code is ErrorCode.REFUSED
    [box] = false_peers[0].heard
    assert set(box) == {b"_command", b"_ask", b"versions", b"nonce"}
    await control.close()


@in_reactor
async def test_a_version_that_nobody_speaks_is_refused_with_a_sentence() -> None:
    async with listening(StandIn()) as control:
        stranger = await stranger_at(control.access_point)
        with pytest.raises(OperationError, match="version 1 of the control protocol, not 2 or 7") as caught:
            await stranger.call(commands.Hello, versions=[2, 7], nonce=bytes(32))
        assert caught.value.code is ErrorCode.REFUSED
        stranger.end()
        await stranger.ended


@in_reactor
async def test_a_nonce_of_another_length_is_refused() -> None:
    """Nonces are joined before they are hashed: with lengths at will, two pairs could read the same."""
    async with listening(StandIn()) as control:
        stranger = await stranger_at(control.access_point)
        with pytest.raises(OperationError, match="nonce"):
            await greeted(stranger, bytes(31))
        stranger.end()
        await stranger.ended


def test_the_labels_keep_every_key_apart() -> None:
    handshake = Handshake.of(SECRET, client_nonce=bytes(32), server_nonce=bytes(32))
    seals = {handshake.client_seal().of_next(b""), handshake.server_seal().of_next(b"")}
    assert len(seals | {handshake.server_proof}) == 3


def test_the_bytes_of_proof_and_seal_are_those_of_the_specification() -> None:
    """Worked out with another program: the vectors of SPEC.md 10.2."""
    handshake = Handshake.of(SECRET, client_nonce=bytes([1]) * 32, server_nonce=bytes([2]) * 32)
    assert handshake.server_proof.hex() == "e453a8a276179f95c67612210db38bd840c252c6d886b37e0590ba8704287444"
    seal = handshake.client_seal()
    box = AmpBox(_ask=b"1", _command=b"Summary").serialize()
    assert seal.of_next(box).hex() == "f4f24925134817156b7ec4e1a645eee636e9cbae4c12f8cec66497dc0b0fe1f2"
    assert seal.of_next(box).hex() == "9c94c95af650a25b199f746674ae7a510e3907c51c2ba03ed8d7b01f17db3e96"


def test_neither_secret_nor_key_shows_in_a_log() -> None:
    handshake = Handshake.of(SECRET, client_nonce=bytes(32), server_nonce=bytes(32))
    shown = repr(handshake) + repr(handshake.client_seal())
    assert repr(SECRET)[2:-1] not in shown
    assert "key" not in shown
