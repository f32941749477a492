"""What the tests of sections 5 and 6 begin with: peers that hold a copy, and others that are said to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred

from peer.config import PeerConfig
from protocol.messages import Chunk, PutChunk, Removed, Stored
from protocol.timing import LAST_COPY_RETRY, WITHDRAWAL_QUIET
from protocol.values import VERSION_1_0, ChunkId, PeerId
from tests.support.group import STORE, Group
from tests.support.slots import slot_of
from tests.support.stranger import Stranger, chunk_id

CHUNK = chunk_id("photo")
OTHER = chunk_id("song")
BODY = b"the body of a chunk"

A_MOMENT = 0.05
"""Longer than a disk and the network take together, and shorter than most delays."""

ANSWERED = 0.5
"""Longer than any response delay with what the disk and the network add."""

ALL_TRIES = 31.0 + WITHDRAWAL_QUIET + 2 * ANSWERED
"""How long a placing takes that nobody answers."""


def give_copy(
    group: Group,
    home: Stranger,
    chunk: ChunkId = CHUNK,
    *,
    body: bytes = BODY,
    degree: int = 1,
    others: Iterable[int] = (),
) -> None:
    """Have *home* back a chunk up: all peers of the group store it, and hear that *others* hold it too."""
    home.putchunk(chunk, body, degree)
    group.pass_time(ANSWERED)
    for other in others:
        say_stored(home, chunk, other)
    group.pass_time(ANSWERED)


def say_stored(stranger: Stranger, chunk: ChunkId, peer_id: int) -> None:
    """Say STORED in the name of any peer."""
    stranger.say(Stored(VERSION_1_0, PeerId(peer_id), *chunk))


def say_removed(stranger: Stranger, chunk: ChunkId, peer_id: int) -> None:
    """Say REMOVED in the name of any peer."""
    stranger.say(Removed(VERSION_1_0, PeerId(peer_id), *chunk))


def say_chunk(stranger: Stranger, chunk: ChunkId, body: bytes, peer_id: int) -> None:
    """Say CHUNK in the name of any peer."""
    stranger.say(Chunk(VERSION_1_0, PeerId(peer_id), *chunk, body))


def holds(group: Group, peer_id: int, chunk: ChunkId = CHUNK) -> bool:
    """Whether the peer has the chunk on its disk."""
    return any(held.chunk_id == chunk for held in group[peer_id].held())


def known_holders(group: Group, peer_id: int, chunk: ChunkId = CHUNK) -> set[int]:
    """Who holds the chunk, as far as a holder knows."""
    [held] = [held for held in group[peer_id].held() if held.chunk_id == chunk]
    return set(held.holders)


def spoken_of(group: Group, peer_id: int, since: float) -> set[ChunkId]:
    """The chunks that the peer has said it holds, drops, sends or wants to have held, since a time."""
    return {
        message.chunk_id
        for time, host, message in group.sent
        if time >= since
        and host == f"10.0.0.{peer_id}"
        and isinstance(message, Stored | Removed | PutChunk | Chunk)
    }


SHORT_GRACE = PeerConfig(store=STORE, scrub_period=None, last_copy_grace=LAST_COPY_RETRY)
"""By which a last copy may be dropped when it is tried again for the first time."""


def two_holders_apart(
    group: Group, *, degree: int = 1, others: Iterable[int] = (), disk_seconds: float = 0.1
) -> float:
    """20 and 21 have the chunk and don't know of each other; 20 has tried in vain to give its copy back.

    *others* are said to hold it too, to 20. 21 is stopped. The time from which 20's grace and wait count.
    """
    group.add(20, config=SHORT_GRACE, disk_seconds=disk_seconds)
    home = Stranger(group)
    give_copy(group, home, degree=degree, others=others)
    group[20].stop()
    group.add(21)
    give_copy(group, home, degree=degree)
    group[21].stop()
    group[20].start()
    assert group[20].reclaim(0).unplaced_chunks == 1
    return group.clock.seconds()


def damage(group: Group, peer_id: int, chunk: ChunkId = CHUNK) -> None:
    """Flip a bit of a copy on the disk of a peer."""
    disk = group[peer_id].disk
    slot = slot_of(disk, STORE, chunk)
    disk.flip_bit(slot.path, slot.offset + slot.length - 7)


def take_logged(group: Group) -> None:
    """See that damage was logged, and nothing else."""
    assert group.errors
    assert [error for error in group.errors if "damaged" in error] == group.errors
    group.errors.clear()


def let_go(operation: Deferred[Any]) -> None:
    """Let an operation go on, or end with its peer, without looking at what it comes to."""
    operation.addErrback(lambda _failure: None)
