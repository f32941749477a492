"""Which message goes to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from protocol.messages import Chunk, Message, PutChunk, Stored
from protocol.values import ChunkId, FileId, PeerId

# Not as unions, which are made anew, for each message, wherever they stand.
_OF_HOLDERS = (Stored, Chunk)
_OF_KEPT = (PutChunk, Stored, Chunk)

HolderListener = Callable[[ChunkId, PeerId], None]


class _Dead(Protocol):
    def __contains__(self, file_id: FileId) -> bool: ...

    def heard(self, file_id: FileId) -> None: ...


class Router:
    """Hands each message to all who answer its type.

    STORED and CHUNK both say that their sender holds the chunk, unless it uses our own id: an id is a claim,
    and what we hold we know better. What shows that somebody keeps chunks of a dead file goes to *dead_files*.
    """

    def __init__(self, *, own_id: PeerId, dead_files: _Dead) -> None:
        self._own_id = own_id
        self._dead_files = dead_files
        self._responders: dict[type[Message], list[Callable[[Any], None]]] = {}
        self._holder_listeners: dict[type[Message], tuple[HolderListener, ...]] = {}

    def add(self, message_type: type[Message], respond: Callable[[Any], None]) -> None:
        """Have every message of the type given to *respond*, after those added before."""
        self._responders.setdefault(message_type, []).append(respond)

    def add_holder_listeners(self, message_type: type[Stored | Chunk], *listeners: HolderListener) -> None:
        """Have each told who says by a message of the type that he holds a chunk, after those added before."""
        self._holder_listeners[message_type] = self._holder_listeners.get(message_type, ()) + listeners

    def route(self, message: Message) -> None:
        """Hand the message on."""
        message_type = type(message)
        if message_type in _OF_KEPT and message.file_id in self._dead_files:
            self._dead_files.heard(message.file_id)
        if isinstance(message, _OF_HOLDERS) and message.sender_id != self._own_id:
            for listener in self._holder_listeners.get(message_type, ()):
                listener(message.chunk_id, message.sender_id)
        for respond in self._responders.get(message_type, ()):
            respond(message)
