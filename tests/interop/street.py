"""Where ours and strangers of any family live on one LAN in memory, and what all of them do there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Final

from peer.config import DEFAULT_GROUPS, GroupAddress
from protocol.errors import DropReason
from protocol.values import ChunkId, FileId
from tests.support.family import Family
from tests.support.foreign_peer import ForeignPeer, Place
from tests.support.group import Group, Member
from tests.support.stranger import chunk_id
from tests.support.strangers import FAMILIES, stranger

SIZES: Final = (300_001, 128_000)
"""The sizes that the families were tried with: one with a short last chunk, one that ends in an empty one."""

FIVE_TRIES: Final = 32.0
"""Longer than PUTCHUNK or GETCHUNK goes on."""

A_MOMENT: Final = 0.05
"""Longer than a disk and the network take together."""

ANSWERED: Final = 0.5
"""Longer than any response delay with what the disk and the network add."""

FIRST_STRANGER: Final = 11

PATH: Final = "/home/photo"
BODY: Final = b"the body of a chunk"
CHUNK: Final = chunk_id("photo")
ID: Final = CHUNK.file_id.hex().encode()


def content_of(size: int, *, seed: int = 1) -> bytes:
    """Bytes that no other seed gives."""
    return Random(f"{seed} {size}").randbytes(size)


def join(
    group: Group, family: str | Family, peer_id: int = FIRST_STRANGER, *, host: str | None = None
) -> ForeignPeer:
    """Have a peer of the family, which may be named by its letter, join the LAN of ours."""
    if isinstance(family, str):
        family = FAMILIES[family]
    return stranger(family, peer_id, lan=group.lan, clock=group.clock, random=group.random, host=host)


@contextmanager
def street(ours: int, *families: str | Family, seed: int = 1) -> Iterator[tuple[Group, list[ForeignPeer]]]:
    """So many of ours, with ids from 1, and strangers of these families, with ids from 11; all alive afterwards."""
    with Group(*range(1, ours + 1), seed=seed) as group:
        strangers = [join(group, family, FIRST_STRANGER + n) for n, family in enumerate(families)]
        yield group, strangers
        for each in strangers:
            assert each.killed_by is None, f"{each.family.letter} died of {each.killed_by!r}"
            each.stop()


def back_up(group: Group, content: bytes, degree: int = 1) -> FileId:
    """Have the first of ours back a file up."""
    group[1].write(PATH, content)
    report = group[1].backup(PATH, degree)
    assert report.below_degree == 0
    return FileId.from_hex(report.file_id)


def chunk_of(place: Place) -> ChunkId:
    """What a stranger's chunk is to us."""
    return ChunkId(FileId.from_hex(place[0]), place[1])


def send(group: Group, datagram: bytes, to: GroupAddress = DEFAULT_GROUPS.mc) -> None:
    """Multicast any bytes, from a computer where nobody else is, and let them arrive."""
    network = group.lan.network("10.0.0.200")
    network.send(to, datagram)
    group.pass_time(A_MOMENT)
    network.close()


def dropped(member: Member) -> dict[DropReason, int]:
    """What a peer of ours has dropped since it started, by reason."""
    assert member.peer is not None
    return dict(member.peer.counters.dropped)


def received(member: Member, message_type: str) -> int:
    """How many messages of a type a peer of ours has taken since it started."""
    assert member.peer is not None
    return member.peer.counters.messages_received[message_type]


def perceived(member: Member, path: str) -> list[set[int]]:
    """The holders that the home knows of each chunk of the newest version of a file."""
    assert member.storage is not None
    catalog = member.storage.catalog
    version = catalog.versions(path)[0]
    return [set(chunk.holders) for chunk in catalog.chunks(version.version_id, 0, 1_000)]


def without_errors(group: Group, expected: Iterable[str]) -> None:
    """Everything that was logged as an error says one of these things, and each was said."""
    for words in expected:
        assert any(words in error for error in group.errors), words
    group.errors[:] = [error for error in group.errors if not any(words in error for words in expected)]
