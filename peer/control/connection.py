"""One connection of the control protocol, either side: AMP boxes, sealed once both sides know the secret."""

# ruff: noqa: N802 (methods have the names by which AMP calls them)

import hmac

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.protocols.amp import (
    AmpBox,
    BinaryBoxProtocol,
    BoxDispatcher,
    Command,
    CommandLocator,
    IBoxReceiver,
    RemoteAmpError,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from peer.control.handshake import Seal

SEAL_KEY = b"_seal"

MAX_UNPROVEN_BYTES = 16_384
"""What may come before a connection is proven: a Hello and one command, 5,000 bytes with the longest path.
Stops a stranger from filling our memory."""

MAX_BOX_BYTES = 32_000_000
"""The largest box, a page of the state with long paths, is half of it. Stops a box that never ends."""


@frozen(kw_only=True)
class Seals:
    """The seals of a connection's two directions."""

    outgoing: Seal
    incoming: Seal


@implementer(IBoxReceiver)
class ControlConnection(BinaryBoxProtocol):
    """Sends and receives boxes, and ends itself at the first byte that makes no sense.

    Nothing answers the other side's commands until `answer_with`.
    """

    def __init__(self) -> None:
        self._dispatcher = BoxDispatcher(CommandLocator())
        self._seals: Seals | None = None
        self._seals_to_come: Seals | None = None
        self._unfinished_bytes = 0
        self.is_proven = False
        self.is_over = False
        super().__init__(self)

    def answer_with(self, responders: CommandLocator) -> None:
        """Have `responders` answer the commands: one that the other side may not send yet isn't there."""
        self._dispatcher.locator = responders

    def seal(self, seals: Seals) -> None:
        """Seal every box from now on, and take none without the right seal."""
        self._seals = seals

    def seal_after_next(self, seals: Seals) -> None:
        """As `seal`, but send one more box without a seal: the answer that the other side waits for."""
        self._seals_to_come = seals

    def prove(self) -> None:
        """The other side is who it has to be: lift the bound for strangers."""
        self.is_proven = True

    def call(self, command: type[Command], **arguments: object) -> "Deferred[dict[str, object]]":
        """Send `command` and give its answer. It fails as the command declares, or as the connection does."""
        answer: Deferred[dict[str, object]] = self._dispatcher.callRemote(command, **arguments)
        return answer

    def drop(self, why: str) -> None:
        """End the connection at once, without waiting for what is still to be sent.

        `why` is the other side's fault, in a few words: "sent too much".
        """
        if not self.is_over:
            self.is_over = True
            ITCPTransport(self.transport).abortConnection()

    def sendBox(self, box: AmpBox) -> None:
        """Send `box`, sealed if it is time."""
        if self._seals is not None:
            box[SEAL_KEY] = self._seals.outgoing.of_next(box.serialize())
        super().sendBox(box)
        if self._seals_to_come is not None:
            self._seals, self._seals_to_come = self._seals_to_come, None

    def dataReceived(self, data: bytes) -> None:
        """Take in what came; whatever it is, nothing worse happens than that the connection ends."""
        while data and not self.is_over:
            # Piece by piece: the box that proves the client may come with many more behind it.
            most = (MAX_BOX_BYTES if self.is_proven else MAX_UNPROVEN_BYTES) - self._unfinished_bytes
            if most <= 0:
                self.drop("sent too much")
                return
            piece, data = data[:most], data[most:]
            self._unfinished_bytes += len(piece)
            try:
                super().dataReceived(piece)
            except Exception:
                self.drop("sent what is not the control protocol")

    def lengthLimitExceeded(self, length: int) -> None:
        """End the connection: no key of a box has `length` bytes."""
        self.drop("sent what is not the control protocol")

    def ampBoxReceived(self, box: AmpBox) -> None:
        """Pass on a box whose seal is right."""
        if self.is_over:
            return
        if self._seals is not None:
            seal = box.pop(SEAL_KEY, b"")
            if not hmac.compare_digest(seal, self._seals.incoming.of_next(box.serialize())):
                self.drop("doesn't know the secret")
                return
            self.prove()
        if self.is_proven:
            self._unfinished_bytes = 0
        self._dispatcher.ampBoxReceived(box)

    def unhandledError(self, failure: Failure) -> None:
        """End the connection: there is nobody to tell, or we are at fault ourselves."""
        if failure.check(RemoteAmpError) is None:
            super().unhandledError(failure)
        else:
            self.drop("sent what is not the control protocol")

    def startReceivingBoxes(self, box_sender: object) -> None:
        """Pass it on."""
        self._dispatcher.startReceivingBoxes(box_sender)

    def stopReceivingBoxes(self, reason: Failure) -> None:
        """Fail whatever still waits for an answer."""
        self.is_over = True
        self._dispatcher.stopReceivingBoxes(reason)
