"""Finding out who is there, before anything else."""

from protocol.errors import ProtocolError
from protocol.messages import Stored
from protocol.values import ChunkId, PeerId
from tools.conform.bench import Bench

WAITS = (1.0, 2.0, 4.0)
"""How long each greeting is waited for: whoever is there answers one of three within a second."""

ALL_ANSWER = 0.6
"""Seconds after the first answer in which a second peer would have answered too."""


class NobodyThere(Exception):
    """No peer was heard in the groups."""


class SeveralThere(Exception):
    """More than one peer answers, so that it can't be told who did what."""


async def find_subject(bench: Bench) -> PeerId:
    """The id of the one peer in the groups: of whoever stores a chunk, or says anything at all."""
    mark = bench.wire.mark
    chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
    if await bench.put(chunk_id, body, waits=WAITS) is not None:
        await bench.pause(ALL_ANSWER)
    senders: dict[PeerId, None] = {}
    storing: dict[PeerId, None] = {}
    for entry in bench.wire.since(mark):
        if not entry.is_sent and not isinstance(entry.content, ProtocolError):
            senders[entry.content.sender_id] = None
            if isinstance(entry.content, Stored) and entry.content.chunk_id == chunk_id:
                storing[entry.content.sender_id] = None
    if len(storing) > 1:
        names = ", ".join(str(sender) for sender in storing)
        raise SeveralThere(f"the peers {names} answer: let the one that is probed be alone in its groups")
    found = storing or senders
    if not found:
        raise NobodyThere("no peer was heard: is it started on these groups, and on this interface?")
    return next(iter(found))
