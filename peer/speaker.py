"""What this peer says: messages with its own id and version on them."""

from __future__ import annotations

from collections.abc import Callable

from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import Body, ChunkId, FileId, PeerId, Version


class Speaker:
    """Speaks in the name of one peer. What is paced is only made here at first, and said in its turn."""

    def __init__(self, *, peer_id: PeerId, version: Version, send: Callable[[Message], None]) -> None:
        self.peer_id = peer_id
        self.version = version
        self._send = send

    def stored(self, chunk_id: ChunkId) -> None:
        """This peer holds the chunk."""
        self._send(Stored(self.version, self.peer_id, *chunk_id))

    def removed(self, chunk_id: ChunkId) -> None:
        """This peer drops its copy of the chunk."""
        self._send(Removed(self.version, self.peer_id, *chunk_id))

    def delete(self, file_id: FileId) -> None:
        """Every chunk of the file is to go."""
        self._send(Delete(self.version, self.peer_id, file_id))

    def getchunk(self, chunk_id: ChunkId) -> GetChunk:
        """This peer wants the chunk."""
        return GetChunk(self.version, self.peer_id, *chunk_id)

    def putchunk(self, chunk_id: ChunkId, degree: int, body: Body) -> PutChunk:
        """A chunk that *degree* peers are to hold."""
        return PutChunk(self.version, self.peer_id, *chunk_id, degree, body)

    def chunk(self, chunk_id: ChunkId, body: Body) -> Chunk:
        """A chunk that somebody asked for."""
        return Chunk(self.version, self.peer_id, *chunk_id, body)

    def say(self, message: Message) -> None:
        """Send what was made here."""
        self._send(message)
