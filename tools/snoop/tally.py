"""What has been seen so far, in numbers: by type and sender, and by chunk."""

from attrs import define, field

from protocol.errors import ProtocolError
from tools.snoop.chunks import ChunkStories
from tools.snoop.sighting import Sighting

MAX_ROWS = 10_000
"""Rows of the table by type and sender: forged senders beyond it are counted together."""

OTHERS = "others"


@define
class Row:
    """How many datagrams of one type came from one sender, and how many bytes they had."""

    datagrams: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.datagrams += 1
        self.bytes += size


@define
class Tally:
    """Counts of everything seen."""

    rows: dict[tuple[str, str], Row] = field(factory=dict)
    """By type and sender; what is malformed is counted by its reason and the address that it came from."""
    total: Row = field(factory=Row)
    chunks: ChunkStories = field(factory=ChunkStories)

    def note(self, sighting: Sighting) -> None:
        """Count a datagram."""
        content = sighting.content
        if isinstance(content, ProtocolError):
            key = (content.reason.value, sighting.source[0])
        else:
            key = (content.message_type, str(content.sender_id))
            self.chunks.note(content, sighting.at)
        if key not in self.rows and len(self.rows) >= MAX_ROWS:
            key = (key[0], OTHERS)
        self.rows.setdefault(key, Row()).add(sighting.size)
        self.total.add(sighting.size)
