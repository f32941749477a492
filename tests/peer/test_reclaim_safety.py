"""Stories in which chunks could get lost, each over many seeds (SPEC.md section 6).

What all of them hold to: whoever gives space back, together with whom, and whatever the network does meanwhile, at
least one copy of each chunk is left, and the file is restored.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pytest

from protocol.values import ChunkId, FileId
from tests.peer.copies import let_go, say_chunk, say_removed
from tests.support.group import Group
from tests.support.lan import Link
from tests.support.stranger import Stranger

SEEDS = range(int(os.environ.get("STORY_SEEDS", "6")))
"""How often each story is told; the environment may ask for more."""

CONTENT = bytes(range(256)) * 501
"""Three chunks, the last one short."""

GOOD = Link()
LOSSY = Link(loss=0.3)
WILD = Link(loss=0.3, duplication=0.2, max_latency=0.1)
"""Datagrams overtake each other by far more than on any real LAN."""


class Story:
    """A file of peer 1, kept by others, and what happens to them."""

    def __init__(self, group: Group, degree: int) -> None:
        self.group = group
        group[1].write("/home/film", CONTENT)
        report = group[1].backup("/home/film", degree)
        self.file_id = FileId.from_hex(report.file_id)
        self.chunks = [ChunkId(self.file_id, no) for no in range(report.chunks)]
        group.pass_time(1.0)

    def reclaim(self, *peer_ids: int, kbytes: int = 0, within: float = 0.0) -> None:
        """Let peers give space back at the same moment, or at moments within some seconds."""
        for peer_id in peer_ids:
            delay = self.group.random.uniform(0.0, within)
            self.group.clock.callLater(delay, self._begin_reclaim, peer_id, kbytes)

    def _begin_reclaim(self, peer_id: int, kbytes: int) -> None:
        # Whoever was killed meanwhile has nobody who asks him.
        if self.group[peer_id].peer is not None:
            let_go(self.group[peer_id].begin_reclaim(kbytes))

    def check_nothing_is_lost(self) -> None:
        """See that every chunk has a copy, and that the file is what it was."""
        copies = self.group.copies(self.file_id.hex())
        assert [chunk.chunk_no for chunk in self.chunks if not copies.get(chunk.chunk_no)] == []
        self.group.lan.link = GOOD
        self.group.lan.heal()
        assert self.group[1].restore("/home/film") == CONTENT


def stories(*peer_ids: int, degree: int, link: Link = GOOD) -> Iterator[Story]:
    """The same beginning with each seed; what comes after it goes over *link*."""
    for seed in SEEDS:
        with Group(1, *peer_ids, seed=seed) as group:
            story = Story(group, degree)
            group.lan.link = link
            yield story
            group.pass_time(80.0)
            story.check_nothing_is_lost()


@pytest.mark.parametrize("link", [GOOD, LOSSY, WILD], ids=["good", "lossy", "wild"])
@pytest.mark.parametrize(("degree", "holders"), [(1, 2), (1, 3), (2, 2), (2, 3), (3, 3)])
def test_all_holders_reclaim_everything_at_once_and_nobody_else_has_room(
    degree: int, holders: int, link: Link
) -> None:
    """SPEC.md 6.6 to 6.13, 6.17."""
    peers = range(2, 2 + holders)
    for story in stories(*peers, degree=degree, link=link):
        story.reclaim(*peers, within=story.group.random.choice((0.0, 0.001, 0.1, 3.0)))


@pytest.mark.parametrize("link", [GOOD, WILD], ids=["good", "wild"])
@pytest.mark.parametrize(("degree", "holders"), [(1, 1), (1, 2), (2, 3), (3, 3)])
def test_all_holders_reclaim_everything_at_once_and_another_has_room(
    degree: int, holders: int, link: Link
) -> None:
    """SPEC.md 6.12: nothing is left behind over a network that loses nothing."""
    peers = range(2, 2 + holders)
    for story in stories(*peers, degree=degree, link=link):
        story.group.add(9)
        story.reclaim(*peers, within=story.group.random.choice((0.0, 0.001, 0.1, 3.0)))
        if link is GOOD:
            story.group.pass_time(80.0)
            assert {peer for held in story.group.copies(story.file_id.hex()).values() for peer in held} >= {9}


@pytest.mark.parametrize("degree", [1, 2])
def test_holders_reclaim_a_part_each_at_the_same_moment(degree: int) -> None:
    """SPEC.md 6.11: a capacity in between, which all three chunks don't fit."""
    for story in stories(2, 3, degree=degree):
        story.reclaim(2, 3, kbytes=68)


def test_one_reclaims_after_the_other_before_that_has_ended() -> None:
    """SPEC.md 6.17: whenever the second begins."""
    for story in stories(2, 3, degree=1, link=LOSSY):
        story.reclaim(2, 3, within=6.0)


def test_a_reclaim_is_repeated_and_taken_back_while_it_runs() -> None:
    """SPEC.md 6.11."""
    for story in stories(2, 3, degree=1):
        for kbytes in (0, 640, 0, 68, 0):
            story.reclaim(2, 3, kbytes=kbytes)
            story.group.pass_time(story.group.random.uniform(0.0, 3.0))


@pytest.mark.parametrize("degree", [1, 2])
def test_everybody_asks_for_the_chunks_while_their_holders_reclaim(degree: int) -> None:
    """SPEC.md 6.8, 6.10: a CHUNK is no promise to keep the copy."""
    for story in stories(2, 3, degree=degree, link=Link(loss=0.1, max_latency=0.05)):
        reader = Stranger(story.group)
        story.reclaim(2, 3, within=0.1)
        for _ in range(40):
            for chunk in story.chunks:
                reader.getchunk(chunk)
            story.group.pass_time(0.9)


def test_the_file_is_restored_while_its_holders_reclaim() -> None:
    """SPEC.md 6.8, 4.3: an answer that is kept back comes with a later request."""
    for story in stories(2, 3, degree=1):
        story.reclaim(2, 3, within=1.0)
        story.group.pass_time(story.group.random.uniform(0.0, 5.0))
        assert story.group[1].restore("/home/film") == CONTENT


def test_the_group_is_cut_in_two_while_holders_reclaim() -> None:
    """SPEC.md 6.10, 6.12: each side keeps what it cannot be sure of."""
    for story in stories(2, 3, 4, degree=2):
        group = story.group
        story.reclaim(2, 3, 4, within=1.0)
        group.pass_time(group.random.uniform(0.0, 3.0))
        group.lan.partition([f"10.0.0.{peer_id}" for peer_id in group.random.sample((1, 2, 3, 4), 2)])
        group.pass_time(group.random.uniform(0.0, 40.0))
        group.lan.heal()


def test_a_holder_hears_nothing_while_all_reclaim() -> None:
    """SPEC.md 6.17: who does not hear the other's REMOVED has no confirmation of his either."""
    for story in stories(2, 3, degree=1):
        group = story.group
        deaf = f"10.0.0.{group.random.choice((2, 3))}"
        group.clock.callLater(group.random.uniform(0.0, 3.0), group.lan.deafen, deaf)
        story.reclaim(2, 3, within=0.5)
        group.pass_time(5.0)
        group.lan.give_hearing(deaf)


def test_removed_is_sent_in_wrong_names_while_holders_reclaim() -> None:
    """SPEC.md 6.4, 12.9: what is said in another's name sets off work, and loses nothing."""
    for story in stories(2, 3, 4, degree=2, link=Link(loss=0.1)):
        group = story.group
        liar = Stranger(group)
        story.reclaim(2, 3, within=1.0)
        for _ in range(20):
            say_removed(liar, group.random.choice(story.chunks), group.random.choice((1, 2, 3, 4, 50)))
            group.pass_time(group.random.uniform(0.0, 1.0))
        group.errors[:] = [error for error in group.errors if "with our id" not in error]


def test_a_stranger_sends_chunks_while_holders_reclaim() -> None:
    """SPEC.md 6.10: nor does a CHUNK in the name of the other holder confirm anything."""
    for story in stories(2, 3, degree=1):
        group = story.group
        stranger = Stranger(group)
        story.reclaim(2, 3)
        for _ in range(40):
            for chunk in story.chunks:
                say_chunk(stranger, chunk, b"whatever", group.random.choice((2, 3)))
            group.pass_time(0.1)
        group.errors[:] = [error for error in group.errors if "with our id" not in error]


def test_the_file_is_backed_up_again_while_its_holders_reclaim() -> None:
    """SPEC.md 6.8, 3.29: PUTCHUNKs for what is being withdrawn, for a higher degree too."""
    for story in stories(2, 3, degree=1, link=Link(loss=0.1)):
        group = story.group
        story.reclaim(2, 3, within=1.0)
        group.pass_time(group.random.uniform(0.0, 4.0))
        let_go(group[1].begin_backup("/home/film", group.random.choice((1, 2))))


def test_a_holder_reclaims_while_the_file_is_first_backed_up() -> None:
    """SPEC.md 6.2, 3.5: at any moment of the run, that of its end and recording included."""
    for seed in SEEDS:
        with Group(1, 2, 3, seed=seed) as group:
            group[1].write("/home/film", CONTENT)
            backup = group[1].begin_backup("/home/film", 1)
            group.pass_time(group.random.uniform(0.0, 1.0))
            let_go(group[2].begin_reclaim(0))
            if seed % 2:
                let_go(group[3].begin_reclaim(132))
            group.run(backup)
            group.pass_time(80.0)
            assert group[1].restore("/home/film") == CONTENT


def test_full_peers_evict_each_others_copies_for_new_files_all_the_time() -> None:
    """SPEC.md 6.14, 6.9: what was backed up stays, though everybody makes room at once."""
    for seed in SEEDS:
        with Group(1, seed=seed) as group:
            for peer_id in (2, 3, 4):
                group.add(peer_id, 200_000)
            contents = [Random(no).randbytes(70_000) for no in range(3)]
            for no, content in enumerate(contents):
                group[1].write(f"/home/{no}", content)
                group[1].backup(f"/home/{no}", 1)
            group.pass_time(60.0)
            for no, content in enumerate(contents):
                assert group[1].restore(f"/home/{no}") == content


def test_peers_are_killed_and_started_again_while_they_reclaim() -> None:
    """SPEC.md 6.1, 6.11, 1.12: at any moment, and with only what their disks had synced."""
    for story in stories(2, 3, degree=1):
        group = story.group
        story.reclaim(2, 3, within=0.5)
        for _ in range(4):
            group.pass_time(group.random.uniform(0.0, 4.0))
            victim = group[group.random.choice((1, 2, 3))]
            victim.kill()
            group.pass_time(group.random.uniform(0.0, 1.0))
            victim.start()
