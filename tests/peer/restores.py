"""What the tests of restores begin with: a file whose only holder is a stranger, who answers as the test says."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from peer.control.interfaces import RestoreReport
from protocol.flow import FIRST_WINDOW
from protocol.messages import GetChunk, PutChunk
from protocol.values import CHUNK_SIZE, ChunkId
from tests.support.group import Group
from tests.support.stranger import Stranger

PATH = "/home/photo"
FIRST_CHUNKS = int(FIRST_WINDOW / CHUNK_SIZE)
"""What is asked for at once before anything is known of the group."""
BODY = b"the only chunk of a small file"
ATTEMPTS = [0.0, 1.0, 3.0, 7.0, 15.0]
"""When the five GETCHUNKs leave, from the first one on (SPEC.md 4.3)."""
GIVEN_UP = 31.0
"""When it is given up, from the first GETCHUNK on."""
TOLERANCE = 0.05
WRONG_BODIES = [b"", b"the only chump of a small file", BODY + b"\0", BODY.ljust(CHUNK_SIZE, b"\0")]


def given_away(
    group: Group, content: bytes, *, path: str = PATH, holder: Stranger | None = None
) -> tuple[Stranger, list[ChunkId]]:
    """Back the file up to a stranger alone; the stranger, and the file's chunks in their order."""
    holder = holder or Stranger(group)
    group[1].write(path, content)
    running = group[1].begin_backup(path, 1)
    said: set[ChunkId] = set()
    while not running.called:
        group.pass_time(0.01)
        for message in holder.heard(PutChunk):
            if message.chunk_id not in said:
                said.add(message.chunk_id)
                holder.stored(message.chunk_id)
    assert group.run(running).below_degree == 0
    holder.everything.clear()
    return holder, sorted(said)


def begin(group: Group, chunk: ChunkId | None = None) -> Deferred[RestoreReport]:
    """Start RESTORE; its first GETCHUNK is out when this returns: that for the chunk, beside other RESTOREs."""
    running = group[1].begin_restore(PATH)
    while not any(chunk in (None, message.chunk_id) for _, message in group.said(GetChunk)):
        group.pass_time(0.001)
    return running


def is_done(running: Deferred[RestoreReport]) -> bool:
    """Whether RESTORE has ended: a type checker believes that an attribute stays what it was."""
    return bool(running.called)


def delay_disk(group: Group, seconds: float, *, at_least: float = 0.0) -> None:
    """Have every call of peer 1's storage take up to so many seconds from now on."""
    executor = group[1].executor
    assert executor is not None
    executor.min_delay, executor.max_delay = at_least, seconds


def restored(group: Group) -> list[str]:
    """The names in the restore folder of peer 1."""
    return group[1].disk.list_directory("/store/restored")
