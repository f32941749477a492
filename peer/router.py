"""Which message goes to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field

from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import ChunkId, FileId, PeerId

# Not as a union, which is made anew, for each message, wherever it stands.
_OF_HOLDERS = (Stored, Chunk)

HolderListener = Callable[[ChunkId, PeerId], None]


class _Dead(Protocol):
    def __contains__(self, file_id: FileId) -> bool: ...

    def heard(self, file_id: FileId) -> None: ...


@define(eq=False)
class _Route:
    """Where messages of one type go."""

    shows_copy: bool
    """Whether such a message shows that somebody keeps a chunk, or is about to."""
    holder_listeners: list[HolderListener] = field(factory=list)
    responders: list[Callable[[Any], None]] = field(factory=list)


class Router:
    """Hands each message to all who answer its type.

    STORED and CHUNK both say that their sender holds the chunk, unless it uses our own id: an id is a claim,
    and what we hold we know better. What shows that somebody keeps chunks of a dead file goes to *dead_files*.
    """

    def __init__(self, *, own_id: PeerId, dead_files: _Dead) -> None:
        self._own_id = own_id
        self._dead_files = dead_files
        self._routes: dict[type[Message], _Route] = {
            PutChunk: _Route(shows_copy=True),
            Stored: _Route(shows_copy=True),
            Chunk: _Route(shows_copy=True),
            GetChunk: _Route(shows_copy=False),
            Delete: _Route(shows_copy=False),
            Removed: _Route(shows_copy=False),
        }

    def add(self, message_type: type[Message], respond: Callable[[Any], None]) -> None:
        """Have every message of the type given to *respond*, after those added before."""
        self._routes[message_type].responders.append(respond)

    def add_holder_listeners(self, message_type: type[Stored | Chunk], *listeners: HolderListener) -> None:
        """Have each told who says by a message of the type that he holds a chunk, after those added before."""
        self._routes[message_type].holder_listeners.extend(listeners)

    def route(self, message: Message) -> None:
        """Hand the message on."""
        route = self._routes[type(message)]
        if route.shows_copy and message.file_id in self._dead_files:
            self._dead_files.heard(message.file_id)
        if isinstance(message, _OF_HOLDERS) and message.sender_id != self._own_id:
            for listener in route.holder_listeners:
                listener(message.chunk_id, message.sender_id)
        for respond in route.responders:
            respond(message)
