"""How others spell a fileId (SPEC.md 2.7, 12.13): some compare it as text, and understand only their own spelling."""

from __future__ import annotations

from collections import OrderedDict

from protocol.limits import MAX_UPPER_CASE_IDS
from protocol.messages import GetChunk, Message, PutChunk
from protocol.values import FileId

_LONGEST_FIRST_LINE = 256
"""Bytes in which the fileId of a sensible header stands; one padded further is taken for lower case."""


_STARTING = (PutChunk, GetChunk)
"""Messages of those who start something."""


class UpperCaseIds:
    """The fileIds that a PUTCHUNK or GETCHUNK lately had in upper case, to be answered in kind."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: OrderedDict[FileId, None] = OrderedDict()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._ids)

    def __contains__(self, file_id: FileId) -> bool:
        return file_id in self._ids

    def heard(self, message: Message, datagram: bytes) -> None:
        """*message* came as *datagram*: learn the spelling from those who start something."""
        if not isinstance(message, _STARTING):
            return
        lower = message.file_id.hex()
        upper = lower.upper()
        if upper != lower and datagram.find(upper.encode("ascii"), 0, _LONGEST_FIRST_LINE) >= 0:
            self._ids[message.file_id] = None
            self._ids.move_to_end(message.file_id)
            if len(self._ids) > MAX_UPPER_CASE_IDS:
                self._ids.popitem(last=False)
        elif self._ids:
            self._ids.pop(message.file_id, None)
