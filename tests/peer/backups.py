"""What the tests of files begin with: a file of some chunks, and what became of it."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from peer.control.interfaces import BackupReport
from peer.errors import ErrorCode, OperationError
from protocol.messages import PutChunk
from protocol.values import CHUNK_SIZE
from storage.interfaces import FileVersion, HomeChunk
from tests.support.group import Group, Member

PATH = "/home/photo"
SMALL = b"a small file"
LATER = 10.0
"""Long enough for every DELETE, and for what follows from it."""


def several(count: int, letter: bytes = b"x") -> bytes:
    """A file of so many chunks, no two of them alike."""
    bodies = [b"%06d" % no + letter * (CHUNK_SIZE - 6) for no in range(count - 1)]
    return b"".join(bodies) + b"the last"


def put_since(group: Group, since: float) -> list[int]:
    """The numbers of the chunks that peer 1 has sent since a time, each as often as it was sent."""
    return sorted(message.chunk_no for _, message in group.said(PutChunk, by=1, since=since))


def versions(member: Member, path: str = PATH) -> list[FileVersion]:
    """What the catalog has of the path, newest first."""
    assert member.storage is not None
    return member.storage.catalog.versions(path)


def recorded(member: Member) -> list[HomeChunk]:
    """What the catalog has of the chunks of the newest version."""
    assert member.storage is not None
    return member.storage.catalog.chunks(versions(member)[0].version_id, 0, 100)


def refusal(group: Group, running: Deferred[BackupReport]) -> ErrorCode:
    """The code with which BACKUP fails."""
    with pytest.raises(OperationError) as raised:
        group.run(running)
    return raised.value.code
