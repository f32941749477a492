"""Which message goes to whom, and whose word counts (SPEC.md 2.8, 2.12, 3.10, 5.9)."""

from __future__ import annotations

import pytest
from attrs import define, field

from peer.router import HolderListener, Router
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import VERSION_1_0, ChunkId, FileId, PeerId, Version

US, OTHER = PeerId(7), PeerId(8)
ALIVE, DEAD = FileId(b"a" * 32), FileId(b"d" * 32)


def one_of_each(sender: PeerId, file_id: FileId = ALIVE, version: Version = VERSION_1_0) -> list[Message]:
    return [
        PutChunk(version, sender, file_id, 3, 2, b"body"),
        Stored(version, sender, file_id, 3),
        GetChunk(version, sender, file_id, 3),
        Chunk(version, sender, file_id, 3, b"body"),
        Delete(version, sender, file_id),
        Removed(version, sender, file_id, 3),
    ]


@define
class Dead:
    """The dead files, of which there is one."""

    shown: list[FileId] = field(factory=list)

    def __contains__(self, file_id: FileId) -> bool:
        return file_id == DEAD

    def heard(self, file_id: FileId) -> None:
        self.shown.append(file_id)


class World:
    """A router with a responder to every type, and two who listen for holders."""

    def __init__(self) -> None:
        self.dead = Dead()
        self.router = Router(own_id=US, dead_files=self.dead)
        self.answered: list[Message] = []
        self.holders: list[tuple[str, ChunkId, PeerId]] = []
        for message_type in (PutChunk, Stored, GetChunk, Chunk, Delete, Removed):
            self.router.add(message_type, self.answered.append)
        for message_type in (Stored, Chunk):
            self.router.add_holder_listeners(message_type, self.listener("one"), self.listener("other"))

    def listener(self, name: str) -> HolderListener:
        return lambda chunk_id, peer_id: self.holders.append((name, chunk_id, peer_id))


@pytest.mark.parametrize("version", [VERSION_1_0, Version(2, 0)])
@pytest.mark.parametrize("sender", [US, OTHER])
def test_every_message_goes_to_its_own_responder(sender: PeerId, version: Version) -> None:
    """SPEC.md 2.12, 2.17: whatever its version, and in whosever name."""
    world = World()
    messages = one_of_each(sender, version=version)
    for message in messages:
        world.router.route(message)
    assert world.answered == messages


def test_several_who_answer_one_type_are_told_in_their_order() -> None:
    world = World()
    order: list[str] = []
    world.router.add(Delete, lambda _message: order.append("first"))
    world.router.add(Delete, lambda _message: order.append("second"))
    world.router.route(Delete(VERSION_1_0, OTHER, ALIVE))
    assert order == ["first", "second"]


def test_a_message_that_nobody_answers_is_passed_over() -> None:
    Router(own_id=US, dead_files=Dead()).route(Delete(VERSION_1_0, OTHER, ALIVE))


def test_stored_and_chunk_say_that_their_sender_is_a_holder() -> None:
    """SPEC.md 3.4, 3.9, 3.10: and nothing else does."""
    world = World()
    for message in one_of_each(OTHER):
        world.holders.clear()
        world.router.route(message)
        told = [(name, ChunkId(ALIVE, 3), OTHER) for name in ("one", "other")]
        assert world.holders == (told if isinstance(message, Stored | Chunk) else [])


def test_in_our_own_name_they_say_nothing() -> None:
    """SPEC.md 2.12."""
    world = World()
    for message in one_of_each(US):
        world.router.route(message)
    assert world.holders == []


def test_holders_are_known_before_a_responder_is_told() -> None:
    """A CHUNK that ends a restore has made its sender a holder by then."""
    world = World()
    known: list[int] = []
    world.router.add(Chunk, lambda _message: known.append(len(world.holders)))
    world.router.route(Chunk(VERSION_1_0, OTHER, ALIVE, 3, b"body"))
    assert known == [2]


@pytest.mark.parametrize("sender", [US, OTHER])
def test_whoever_keeps_chunks_of_a_dead_file_shows_it(sender: PeerId) -> None:
    """SPEC.md 5.9: by STORED, PUTCHUNK or CHUNK, and by nothing else."""
    world = World()
    for message in one_of_each(sender, DEAD):
        world.dead.shown.clear()
        world.router.route(message)
        assert world.dead.shown == ([DEAD] if isinstance(message, PutChunk | Stored | Chunk) else [])
    for message in one_of_each(sender, ALIVE):
        world.dead.shown.clear()
        world.router.route(message)
        assert world.dead.shown == []
