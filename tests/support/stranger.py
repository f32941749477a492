"""A participant of the LAN in memory that is driven by hand: it says what a test tells it to, and keeps no rule."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TypeVar

from attrs import frozen

from peer.config import DEFAULT_GROUPS, GroupAddress
from protocol.codec import parse, serialize
from protocol.errors import ProtocolError
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import VERSION_1_0, ChunkId, FileId, PeerId
from tests.support.group import Group
from tests.support.lan import MemoryNetwork

_M = TypeVar("_M", bound=Message)


def file_id(name: str) -> FileId:
    """A fileId to call a file by in a test."""
    return FileId(sha256(name.encode()).digest())


def chunk_id(name: str, chunk_no: int = 0) -> ChunkId:
    """A chunk of the file that is so called."""
    return ChunkId(file_id(name), chunk_no)


@frozen
class Heard:
    """One datagram that reached the stranger; ``message`` is None if it is none."""

    time: float
    group: GroupAddress
    payload: bytes
    message: Message | None


class Stranger:
    """Speaks with one peer id, by default from a computer of its own, and notes all that it hears."""

    def __init__(self, group: Group, peer_id: int = 99, *, host: str | None = None) -> None:
        self.peer_id = PeerId(peer_id)
        self.everything: list[Heard] = []
        self._clock = group.clock
        self._network: MemoryNetwork = group.lan.network(host or f"10.0.0.{peer_id}")
        for address in (DEFAULT_GROUPS.mc, DEFAULT_GROUPS.mdb, DEFAULT_GROUPS.mdr):
            self._network.join(address, partial(self._note, address))

    def send(self, datagram: bytes, group: GroupAddress = DEFAULT_GROUPS.mc) -> None:
        """Multicast any bytes."""
        self._network.send(group, datagram)

    def say(self, message: Message) -> None:
        """Multicast a message on the group of its type."""
        group = DEFAULT_GROUPS.mc
        if isinstance(message, PutChunk):
            group = DEFAULT_GROUPS.mdb
        elif isinstance(message, Chunk):
            group = DEFAULT_GROUPS.mdr
        self.send(serialize(message), group)

    def putchunk(self, chunk: ChunkId, body: bytes, degree: int = 1) -> None:
        """Say PUTCHUNK."""
        self.say(PutChunk(VERSION_1_0, self.peer_id, *chunk, degree, body))

    def stored(self, chunk: ChunkId) -> None:
        """Say STORED."""
        self.say(Stored(VERSION_1_0, self.peer_id, *chunk))

    def getchunk(self, chunk: ChunkId) -> None:
        """Say GETCHUNK."""
        self.say(GetChunk(VERSION_1_0, self.peer_id, *chunk))

    def chunk(self, chunk: ChunkId, body: bytes) -> None:
        """Say CHUNK."""
        self.say(Chunk(VERSION_1_0, self.peer_id, *chunk, body))

    def removed(self, chunk: ChunkId) -> None:
        """Say REMOVED."""
        self.say(Removed(VERSION_1_0, self.peer_id, *chunk))

    def delete(self, file: FileId) -> None:
        """Say DELETE."""
        self.say(Delete(VERSION_1_0, self.peer_id, file))

    def heard(self, message_type: type[_M], since: float = 0.0) -> list[_M]:
        """The messages of a type that came since a time."""
        messages = [heard.message for heard in self.everything if heard.time >= since]
        return [message for message in messages if isinstance(message, message_type)]

    def times(self, message_type: type[Message], since: float = 0.0) -> list[float]:
        """When each message of a type came, since a time."""
        return [
            heard.time
            for heard in self.everything
            if heard.time >= since and isinstance(heard.message, message_type)
        ]

    def _note(self, group: GroupAddress, payload: bytes, source: tuple[str, int]) -> None:
        if source == self._network.own_address:
            return
        try:
            message: Message | None = parse(payload)
        except ProtocolError:
            message = None
        self.everything.append(Heard(self._clock.seconds(), group, payload, message))
