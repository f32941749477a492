"""Who is known to hold a chunk, at its home and at its holders (SPEC.md 3.4, 3.9, 3.10, 3.24, 3.39)."""

from __future__ import annotations

import pytest

from protocol.limits import MAX_EARLY_HOLDERS, MAX_HOLDERS_PER_CHUNK
from protocol.messages import PutChunk
from protocol.timing import EARLY_STORED_KEPT
from protocol.values import ChunkId, PeerId
from tests.support.group import Group
from tests.support.stranger import Stranger, chunk_id

PATH = "/home/photo"
BODY = b"the body of a chunk"
CHUNK = chunk_id("photo")
A_WHILE = 1.0


def holding(group: Group) -> Stranger:
    """Have peer 2 hold a chunk of the stranger's, of degree 3 so that nobody has a copy to spare."""
    home = Stranger(group)
    home.putchunk(CHUNK, BODY, degree=3)
    group.pass_time(A_WHILE)
    return home


def known(group: Group, peer_id: int = 2) -> set[int]:
    """The known holders of the only chunk that the peer holds."""
    [held] = group[peer_id].held()
    return set(held.holders)


def known_at_home(group: Group) -> set[int]:
    """The known holders of the first chunk of peer 1's only file."""
    storage = group[1].storage
    assert storage is not None
    [version] = storage.catalog.versions(PATH)
    return set(storage.catalog.chunks(version.version_id, 0, 1)[0].holders)


class TestAtAHolder:
    def test_whoever_says_stored_or_chunk_becomes_a_holder(self) -> None:
        """SPEC.md 3.4, 3.10."""
        with Group(2) as group:
            holding(group)
            Stranger(group, 97).stored(CHUNK)
            Stranger(group, 98).chunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            assert known(group) == {2, 97, 98}

    def test_whoever_says_removed_ceases_to_be_one(self) -> None:
        """SPEC.md 3.4."""
        with Group(2) as group:
            holding(group)
            one, other = Stranger(group, 97), Stranger(group, 98)
            for holder in (one, other):
                holder.stored(CHUNK)
            group.pass_time(A_WHILE)
            one.removed(CHUNK)
            group.pass_time(0.01)
            assert known(group) == {2, 98}

    def test_the_last_word_of_a_peer_counts(self) -> None:
        """SPEC.md 3.4: however fast its words follow each other."""
        with Group(2) as group:
            holding(group)
            holder = Stranger(group, 98)
            for _again in range(3):
                holder.stored(CHUNK)
                group.pass_time(0.001)
                holder.removed(CHUNK)
                group.pass_time(0.001)
            group.pass_time(A_WHILE)
            assert known(group) == {2}
            holder.stored(CHUNK)
            group.pass_time(A_WHILE)
            assert known(group) == {2, 98}

    def test_the_same_peer_heard_again_is_one_holder(self) -> None:
        """SPEC.md 3.39."""
        with Group(2) as group:
            holding(group)
            holder = Stranger(group, 98)
            for _repeat in range(10):
                holder.stored(CHUNK)
                holder.chunk(CHUNK, BODY)
                group.pass_time(0.1)
            assert known(group) == {2, 98}

    def test_a_stored_for_another_chunk_says_nothing_about_this_one(self) -> None:
        with Group(2) as group:
            holding(group)
            Stranger(group, 98).stored(chunk_id("photo", 1))
            group.pass_time(A_WHILE)
            assert known(group) == {2}

    @pytest.mark.parametrize("how", ["stop", "kill"])
    def test_holders_are_known_after_a_restart(self, how: str) -> None:
        """SPEC.md 3.4: it decides eviction by them."""
        with Group(2) as group:
            holding(group)
            Stranger(group, 97).stored(CHUNK)
            group.pass_time(A_WHILE)
            # A later commit of a promise takes along what was committed without a sync before it.
            Stranger(group, 96).putchunk(chunk_id("song"), BODY)
            group.pass_time(A_WHILE)
            if how == "stop":
                group[2].stop()
            else:
                group[2].kill()
            group[2].start()
            [held] = [held for held in group[2].held() if held.chunk_id == CHUNK]
            assert held.holders == {2, 97}

    def test_a_stop_in_good_order_forgets_nothing(self) -> None:
        """SPEC.md 3.4: not even what was heard a moment ago."""
        with Group(2) as group:
            holding(group)
            Stranger(group, 97).stored(CHUNK)
            group.pass_time(0.001)
            group[2].restart()
            assert known(group) == {2, 97}

    def test_no_more_than_256_are_kept(self) -> None:
        """SPEC.md 3.39."""
        with Group(2) as group:
            holding(group)
            for number in range(300):
                Stranger(group, 1_000 + number, host="10.0.0.99").stored(CHUNK)
            group.pass_time(A_WHILE)
            assert len(known(group)) == MAX_HOLDERS_PER_CHUNK
            assert 2 in known(group)

    def test_repeated_putchunks_do_not_add_to_them(self) -> None:
        """SPEC.md 3.24, 3.39: each counts those who have said STORED in the seconds before it."""
        with Group(2) as group:
            home = holding(group)
            for number in range(300):
                Stranger(group, 1_000 + number, host="10.0.0.99").stored(CHUNK)
                if number % MAX_EARLY_HOLDERS == 0:
                    group.pass_time(A_WHILE)
                    home.putchunk(CHUNK, BODY, degree=3)
            group.pass_time(A_WHILE)
            home.putchunk(CHUNK, BODY, degree=3)
            group.pass_time(A_WHILE)
            assert len(known(group)) == MAX_HOLDERS_PER_CHUNK


class TestEarlyStored:
    def test_a_stored_that_overtakes_its_putchunk_counts(self) -> None:
        """SPEC.md 3.24."""
        with Group(2) as group:
            Stranger(group, 98).stored(CHUNK)
            group.pass_time(EARLY_STORED_KEPT - 0.1)
            holding(group)
            assert known(group) == {2, 98}

    def test_one_that_came_too_early_does_not(self) -> None:
        """SPEC.md 3.24: it may be about a copy of long ago."""
        with Group(2) as group:
            Stranger(group, 98).stored(CHUNK)
            group.pass_time(EARLY_STORED_KEPT + 0.1)
            holding(group)
            assert known(group) == {2}

    def test_one_that_was_taken_back_does_not(self) -> None:
        """SPEC.md 3.4, 3.24."""
        with Group(2) as group:
            holder = Stranger(group, 98)
            holder.stored(CHUNK)
            group.pass_time(0.1)
            holder.removed(CHUNK)
            group.pass_time(0.1)
            holding(group)
            assert known(group) == {2}

    def test_one_that_comes_while_the_chunk_is_being_written_counts(self) -> None:
        """SPEC.md 3.4, 3.24: from the PUTCHUNK on, whatever the disk takes."""
        for pause in (0.001, 0.1, 0.3, 0.6, 1.0):
            with Group() as group:
                group.add(2, disk_seconds=1.0)
                Stranger(group).putchunk(CHUNK, BODY, degree=3)
                group.pass_time(pause)
                Stranger(group, 98).stored(CHUNK)
                group.pass_time(10.0)
                assert known(group) == {2, 98}

    def test_they_are_bounded(self) -> None:
        """SPEC.md 3.24, 11.2."""
        with Group(2) as group:
            for number in range(100):
                Stranger(group, 1_000 + number, host="10.0.0.99").stored(CHUNK)
            group.pass_time(A_WHILE)
            holding(group)
            assert len(known(group)) == MAX_EARLY_HOLDERS + 1


class TestAtTheHome:
    def backed_up(self, group: Group) -> ChunkId:
        group[1].write(PATH, BODY)
        group[1].backup(PATH, 1)
        [(_, message)] = group.said(PutChunk)
        return message.chunk_id

    def test_holders_come_and_go(self) -> None:
        """SPEC.md 3.4, 3.5."""
        with Group(1, 2) as group:
            chunk = self.backed_up(group)
            one, other = Stranger(group, 97), Stranger(group, 98)
            one.stored(chunk)
            other.chunk(chunk, BODY)
            group.pass_time(A_WHILE)
            assert known_at_home(group) == {2, 97, 98}
            one.removed(chunk)
            group.pass_time(A_WHILE)
            assert known_at_home(group) == {2, 98}

    @pytest.mark.parametrize("how", ["stop", "kill"])
    def test_they_are_known_after_a_restart(self, how: str) -> None:
        """SPEC.md 3.4: the first at once, and a later one with the next promise."""
        with Group(1, 2) as group:
            chunk = self.backed_up(group)
            Stranger(group, 97).stored(chunk)
            group.pass_time(A_WHILE)
            group[1].write("/home/song", BODY)
            group[1].backup("/home/song", 1)
            if how == "stop":
                group[1].stop()
            else:
                group[1].kill()
            group[1].start()
            assert known_at_home(group) == {2, 97}

    def test_the_home_is_none(self) -> None:
        """SPEC.md 3.8, 2.12: whoever says so in its name."""
        with Group(1, 2) as group:
            chunk = self.backed_up(group)
            namesake = Stranger(group, 1, host="10.0.0.99")
            namesake.stored(chunk)
            namesake.chunk(chunk, BODY)
            group.pass_time(A_WHILE)
            assert known_at_home(group) == {2}
            assert group.errors
            group.errors.clear()

    def test_a_putchunk_makes_nobody_a_holder(self) -> None:
        """SPEC.md 3.9."""
        with Group(1, 2) as group:
            Stranger(group, 97).putchunk(self.backed_up(group), BODY)
            group.pass_time(A_WHILE)
            assert known_at_home(group) == {2}
            assert known(group) == {PeerId(2)}
