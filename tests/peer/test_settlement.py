"""What a holder does after its index was made anew from its slots (SPEC.md 9.27)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from protocol.limits import MAX_FILES_SETTLING, SETTLING_PER_SECOND
from protocol.messages import Chunk, Removed, Stored
from protocol.timing import SETTLING_SENDINGS, SETTLING_SPACING
from protocol.values import ChunkId
from storage.layout import Layout
from storage.rebuild import rebuild
from tests.peer.copies import A_MOMENT, ANSWERED, BODY, CHUNK, OTHER, give_copy, holds, let_go
from tests.support.group import STORE, Group
from tests.support.lan import Link
from tests.support.stranger import Stranger, chunk_id

CONTENT = bytes(range(256)) * 501
SETTLED = SETTLING_SENDINGS * SETTLING_SPACING + A_MOMENT


def lose_index(group: Group, peer_id: int) -> None:
    """Stop a peer, and make its index anew from its slots."""
    member = group[peer_id]
    if member.peer is not None:
        member.stop()
    member.disk.remove(Layout(STORE).index)
    rebuild(member.disk, STORE)


def found(*peer_ids: int, seed: int = 1) -> tuple[Group, Stranger]:
    """Holders of two files of one chunk each, and their home, who is a stranger; 20 has lost its index."""
    group = Group(*peer_ids, seed=seed)
    home = Stranger(group)
    for chunk in (CHUNK, OTHER):
        give_copy(group, home, chunk)
    lose_index(group, 20)
    return group, home


def stored(group: Group, since: float) -> list[tuple[float, ChunkId]]:
    """What peer 20 has said STORED for since a time, and when."""
    return [(time, message.chunk_id) for time, message in group.said(Stored, by=20, since=since)]


class TestStory:
    def test_the_file_that_was_deleted_goes_and_the_other_is_served_again(self) -> None:
        """SPEC.md 9.27, 5.9: while the holder was away, one of two files was deleted by its home."""
        for seed in range(10):
            with Group(1, 2, seed=seed) as group:
                for name in ("film", "photo"):
                    group[1].write(f"/home/{name}", CONTENT)
                film = group[1].backup("/home/film", 1).file_id
                photo = group[1].backup("/home/photo", 1).file_id
                group.pass_time(1.0)
                group[2].stop()
                group[1].delete("/home/film")
                group.pass_time(60.0)
                lose_index(group, 2)
                group[2].start()
                assert group.copies(film) == group.copies(photo) == {}
                group.pass_time(SETTLED + 0.5)
                assert group.copies(film) == {}
                assert group.copies(photo) == {0: [2], 1: [2], 2: [2]}
                assert group[2].storage is not None
                assert group[2].storage.store.usage().chunks == 3
                assert group[1].restore("/home/photo") == CONTENT

    def test_it_needs_one_delete_of_three_that_gets_through(self) -> None:
        """SPEC.md 9.27: at a loss of 30 % in both directions half the exchanges fail; three do in one of eight."""
        left = 0
        for seed in range(30):
            with Group(1, 2, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                film = group[1].backup("/home/film", 1).file_id
                group[2].kill()
                group[1].delete("/home/film")
                group.pass_time(10.0)
                lose_index(group, 2)
                for source, target in (("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")):
                    group.lan.set_link(source, target, Link(loss=0.3))
                group[2].start()
                group.pass_time(SETTLED + 0.5)
                left += bool(group.copies(film))
        assert left < 10


class TestStored:
    def test_it_is_said_three_times_for_a_chunk_of_each_file_spaced(self) -> None:
        """SPEC.md 9.27: and nothing is served or said before the file is confirmed."""
        group, home = found(20)
        with group:
            home.putchunk(chunk_id("film", 1), BODY)
            home.putchunk(chunk_id("film", 2), BODY)
            began = group.clock.seconds()
            group[20].start()
            group.pass_time(SETTLED - 2 * ANSWERED)
            home.getchunk(CHUNK)
            group.pass_time(ANSWERED)
            assert group[20].held() == []
            assert not group.said(Chunk, by=20)
            group.pass_time(ANSWERED)
            for chunk in (CHUNK, OTHER):
                times = [time for time, which in stored(group, began) if which == chunk]
                assert len(times) == 3
                assert all(second - first == pytest.approx(2.5) for first, second in pairwise(times))
            assert {which for _, which in stored(group, began)} == {CHUNK, OTHER}
            assert [held.chunk_id for held in group[20].held()] == sorted([CHUNK, OTHER])
            home.getchunk(CHUNK)
            group.pass_time(ANSWERED)
            assert [message.body for _, message in group.said(Chunk, by=20)] == [BODY]

    def test_nothing_is_said_at_the_next_start(self) -> None:
        """SPEC.md 9.27."""
        group, _ = found(20)
        with group:
            group[20].start()
            group.pass_time(SETTLED)
            began = group.clock.seconds()
            group[20].restart()
            group.pass_time(SETTLED)
            assert stored(group, began) == []

    def test_a_stop_in_the_middle_has_it_begin_anew(self) -> None:
        """SPEC.md 9.27: or a loss of power."""
        for is_killed in (False, True):
            group, _ = found(20)
            with group:
                group[20].start()
                group.pass_time(6.0)
                if is_killed:
                    group[20].kill()
                else:
                    group[20].stop()
                began = group.clock.seconds()
                group.pass_time(SETTLED)
                assert stored(group, began) == []
                group[20].start()
                group.pass_time(SETTLED)
                assert len(stored(group, began)) == 6
                assert len(group[20].held()) == 2

    def test_many_files_are_settled_some_at_a_time_and_paced(self) -> None:
        """SPEC.md 9.27, 11.2."""
        files = MAX_FILES_SETTLING + 20
        with Group(20) as group:
            home = Stranger(group)
            for number in range(files):
                home.putchunk(chunk_id(f"file {number}"), b"")
            group.pass_time(5.0)
            lose_index(group, 20)
            began = group.clock.seconds()
            group[20].start()
            group.pass_time(SETTLED + MAX_FILES_SETTLING / SETTLING_PER_SECOND)
            assert len(group[20].held()) == MAX_FILES_SETTLING
            group.pass_time(SETTLED + 0.5)
            assert len(group[20].held()) == files
            times = [time for time, _ in stored(group, began)]
            assert len(times) == 3 * files
            per_second = int(SETTLING_PER_SECOND)
            assert all(times[n + per_second] - times[n] > 0.99 for n in range(len(times) - per_second))


class TestWhatComesMeanwhile:
    def test_a_delete_ends_it_for_that_file_alone(self) -> None:
        """SPEC.md 9.27, 5.3: at whatever moment it comes, the first among them."""
        for tenths in range(0, 80, 3):
            group, home = found(20, seed=tenths)
            with group:
                group[20].start()
                group.pass_time(tenths / 10)
                home.delete(CHUNK.file_id)
                group.pass_time(A_MOMENT)
                deleted_at = group.clock.seconds()
                group.pass_time(SETTLED)
                assert [held.chunk_id for held in group[20].held()] == [OTHER]
                assert CHUNK not in {which for _, which in stored(group, deleted_at)}

    def test_a_delete_that_comes_while_the_index_is_being_read(self) -> None:
        """SPEC.md 9.27, 5.3: the index still names the file."""
        heard = 0
        for seed in range(30):
            group, home = found(20, seed=seed)
            with group:
                group[20].disk_seconds = 0.5
                group.clock.callLater(seed / 20, home.delete, CHUNK.file_id)
                deleted_at = group.clock.seconds() + seed / 20 + A_MOMENT
                group[20].start()
                group.pass_time(SETTLED + 3.0)
                if not holds(group, 20):
                    heard += 1
                    assert CHUNK not in {which for _, which in stored(group, deleted_at)}
                assert holds(group, 20, OTHER)
        assert heard > 10

    def test_a_putchunk_confirms_at_once(self) -> None:
        """SPEC.md 9.27."""
        group, home = found(20)
        with group:
            group[20].start()
            home.putchunk(CHUNK, BODY)
            group.pass_time(ANSWERED)
            assert [held.chunk_id for held in group[20].held()] == [CHUNK]

    def test_a_copy_that_is_withdrawn_or_dropped_is_not_vouched_for(self) -> None:
        """SPEC.md 9.27, 6.8, 6.10: of a file that a PUTCHUNK has confirmed."""
        for seed in range(20):
            group, home = found(20, 21, seed=seed)
            with group:
                group[20].start()
                home.putchunk(CHUNK, BODY)
                group.pass_time(ANSWERED + seed / 10)
                let_go(group[20].begin_reclaim(4))
                reclaimed_at = group.clock.seconds() + A_MOMENT
                group.pass_time(SETTLED)
                assert group.said(Removed, by=20)
                assert not holds(group, 20)
                assert CHUNK not in {which for _, which in stored(group, reclaimed_at)}
                assert holds(group, 20, OTHER)
