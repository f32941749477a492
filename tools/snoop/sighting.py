"""One datagram seen in a group, and whether the user wants to see it."""

from attrs import frozen

from peer.network import SourceAddress
from protocol.codec import parse
from protocol.errors import ProtocolError
from protocol.messages import Message

MALFORMED = "malformed"
"""What stands for the type of a datagram that is no message."""


@frozen(kw_only=True)
class Sighting:
    """A datagram as it came, and what it says: a message, or why it is none."""

    at: float
    """When it came, in seconds of a clock that never steps."""
    wall_time: float
    """When it came, in seconds since 1970."""
    channel: str
    """The group by name: MC, MDB, MDR."""
    source: SourceAddress
    size: int
    """Bytes of the datagram, header and body."""
    content: Message | ProtocolError

    @property
    def kind(self) -> str:
        """The message type, or MALFORMED."""
        return MALFORMED if isinstance(self.content, ProtocolError) else self.content.message_type


def decoded(datagram: bytes) -> Message | ProtocolError:
    """What the datagram says, or why it says nothing."""
    try:
        return parse(datagram)
    except ProtocolError as error:
        return error


@frozen(kw_only=True)
class Filter:
    """What the user wants to see; empty or None means everything."""

    kinds: frozenset[str] = frozenset()
    senders: frozenset[int] = frozenset()
    files: tuple[str, ...] = ()
    """Beginnings of file ids, in lower case."""

    def wants(self, sighting: Sighting) -> bool:
        """Whether it is to be shown, and counted.

        What is malformed has neither sender nor file: asking for either leaves it out.
        """
        content = sighting.content
        if self.kinds and sighting.kind not in self.kinds:
            return False
        if isinstance(content, ProtocolError):
            return not self.senders and not self.files
        if self.senders and content.sender_id not in self.senders:
            return False
        return not self.files or str(content.file_id).startswith(self.files)
