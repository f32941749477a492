"""How long each chunk takes until its degree: from the first PUTCHUNK to as many distinct senders of STORED."""

from collections.abc import Mapping

from attrs import define, field

from protocol.messages import Message, PutChunk, Stored
from protocol.values import ChunkId, PeerId

MAX_CHUNKS = 1_000_000
"""Chunks followed at once, of which each takes some hundred bytes; the oldest is forgotten first."""

MAX_HOLDERS = 64
"""Senders of STORED followed for one chunk, many times the highest degree."""


@define
class ChunkStory:
    """What was seen of the backup of one chunk; times in seconds of the watcher's clock."""

    first_at: float
    """When its first PUTCHUNK came."""
    desired: int
    """The highest degree that a PUTCHUNK asked for."""
    putchunks: int = 0
    holders: dict[PeerId, float] = field(factory=dict)
    """Who sent STORED, and when first, in that order."""

    @property
    def until_degree(self) -> float | None:
        """Seconds from the first PUTCHUNK until the degree was met; None if it was not."""
        if len(self.holders) < self.desired:
            return None
        return list(self.holders.values())[self.desired - 1] - self.first_at


class ChunkStories:
    """The backups of all chunks seen."""

    def __init__(self) -> None:
        self._stories: dict[ChunkId, ChunkStory] = {}
        self.forgotten = 0
        """Chunks that had to make room for newer ones."""
        self.strays = 0
        """STOREDs for chunks whose PUTCHUNK was not seen."""

    @property
    def stories(self) -> Mapping[ChunkId, ChunkStory]:
        """What was seen of each chunk, in the order of the first PUTCHUNKs."""
        return self._stories

    def note(self, message: Message, at: float) -> None:
        """Learn from a message that came."""
        if isinstance(message, PutChunk):
            self._note_putchunk(message, at)
        elif isinstance(message, Stored):
            story = self._stories.get(message.chunk_id)
            if story is None:
                self.strays += 1
            elif len(story.holders) < MAX_HOLDERS:
                story.holders.setdefault(message.sender_id, at)

    def _note_putchunk(self, message: PutChunk, at: float) -> None:
        story = self._stories.get(message.chunk_id)
        if story is None:
            story = self._stories[message.chunk_id] = ChunkStory(at, message.replication_degree)
            if len(self._stories) > MAX_CHUNKS:
                del self._stories[next(iter(self._stories))]
                self.forgotten += 1
        story.putchunks += 1
        story.desired = max(story.desired, message.replication_degree)
