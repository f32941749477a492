"""What happened in a run, as lines to read: when, who, what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import sha256

from protocol.codec import parse
from protocol.errors import ProtocolError
from protocol.messages import Chunk, Delete, Message, PutChunk
from protocol.values import FileId

Line = tuple[float, str, object]


class Transcript:
    """The lines of a run. A message is kept as it is and put into words only when somebody reads it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lines: list[Line] = []
        self._names: dict[FileId, str] = {}

    def say(self, who: str, what: str) -> None:
        """Note what *who* does or what happens to it."""
        self._lines.append((self._clock(), who, what))

    def sent(self, who: str, message: Message | bytes) -> None:
        """Note a datagram, as the message that it is or as bytes."""
        self._lines.append((self._clock(), who, message))

    def lines(self, since: int = 0) -> Iterator[str]:
        """The lines from number *since* on."""
        for time, who, what in self._lines[since:]:
            yield f"{time:11.4f}  {who:<8} {self._words(what)}"

    def __len__(self) -> int:
        return len(self._lines)

    def digest(self) -> str:
        """What two equal transcripts have in common and no others."""
        return sha256("\n".join(self.lines()).encode()).hexdigest()

    def name(self, file_id: FileId) -> str:
        """A short name for a fileId: F1, F2 and so on in the order of their appearance."""
        return self._names.setdefault(file_id, f"F{len(self._names) + 1}")

    def _named(self, found: re.Match[str]) -> str:
        named = [name for file_id, name in self._names.items() if file_id.hex().startswith(found[0][:-1])]
        return named[0] if named else found[0]

    def _words(self, what: object) -> str:
        if isinstance(what, bytes):
            return f"sends {len(what)} bytes that are no message: {what[:40]!r}"
        if isinstance(what, str):
            return _SHORT_ID.sub(self._named, what)
        if isinstance(what, Delete):
            return f"DELETE {self.name(what.file_id)}"
        assert isinstance(what, Message)
        assert not isinstance(what, Delete)
        words = f"{what.message_type} {self.name(what.file_id)}/{what.chunk_no}"
        if isinstance(what, PutChunk):
            words += f" degree {what.replication_degree}"
        if isinstance(what, PutChunk | Chunk):
            words += f" ({len(what.body)} bytes)"
        return words


_SHORT_ID = re.compile(r"[0-9a-f]{8}…(?=/)")
"""A fileId as a ChunkId has it in a text."""


def message_of(datagram: bytes) -> Message | bytes:
    """The message that a datagram is, or the datagram."""
    try:
        return parse(datagram)
    except ProtocolError:
        return datagram
