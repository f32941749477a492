"""What a full peer does for a chunk that it has no room for (SPEC.md 6.14)."""

from __future__ import annotations

from protocol.messages import PutChunk, Removed, Stored
from protocol.timing import WITHDRAWAL_QUIET, WITHDRAWAL_TIME
from protocol.values import CHUNK_SIZE
from tests.peer.copies import A_MOMENT, ANSWERED, BODY, CHUNK, OTHER, give_copy, holds, say_stored
from tests.support.group import Group
from tests.support.stranger import Stranger, chunk_id

EVICTED = WITHDRAWAL_QUIET + WITHDRAWAL_TIME + 2 * A_MOMENT
"""How long an eviction takes."""


class TestChoice:
    def test_the_copies_that_exceed_their_degree_most_go_first(self) -> None:
        """SPEC.md 6.14."""
        with Group(20, capacity_bytes=12_000) as group:
            home = Stranger(group)
            give_copy(group, home, chunk_id("film", 0), degree=1, others=[80])
            give_copy(group, home, chunk_id("film", 1), degree=1, others=[80, 81, 82])
            give_copy(group, home, chunk_id("film", 2), degree=4, others=[80, 81, 82, 83])
            home.putchunk(OTHER, BODY)
            group.pass_time(EVICTED)
            [(_, removed)] = group.said(Removed)
            assert removed.chunk_id == chunk_id("film", 1)

    def test_no_copy_that_does_not_exceed_its_degree_goes(self) -> None:
        """SPEC.md 6.14: nor is one placed elsewhere."""
        with Group(20, capacity_bytes=8_000) as group:
            home = Stranger(group)
            give_copy(group, home, chunk_id("film", 0), degree=2, others=[80])
            give_copy(group, home, chunk_id("film", 1), degree=2)
            began = group.clock.seconds()
            for _ in range(5):
                home.putchunk(OTHER, BODY)
                group.pass_time(10.0)
            assert [time for time, host, _ in group.sent if time >= began and host == "10.0.0.20"] == []
            assert len(group[20].held()) == 2

    def test_nothing_goes_if_that_would_not_make_room_enough(self) -> None:
        """SPEC.md 6.14."""
        with Group(20, capacity_bytes=CHUNK_SIZE) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80])
            give_copy(group, home, chunk_id("film"), body=bytes(CHUNK_SIZE - 4_000), degree=1)
            home.putchunk(OTHER, bytes(CHUNK_SIZE))
            group.pass_time(EVICTED)
            assert not group.said(Removed)
            home.putchunk(OTHER, BODY)
            group.pass_time(EVICTED)
            assert {message.chunk_id for _, message in group.said(Removed)} == {CHUNK}

    def test_as_many_go_as_are_needed_beside_the_room_that_there_is(self) -> None:
        """SPEC.md 6.14, 7.20."""
        with Group(19, 20, capacity_bytes=CHUNK_SIZE) as group:
            home = Stranger(group)
            for no in range(10):
                give_copy(group, home, chunk_id("film", no))
            group[19].stop()
            for no in range(10):
                say_stored(home, chunk_id("film", no), 80)
            home.putchunk(OTHER, bytes(32_000))
            group.pass_time(WITHDRAWAL_QUIET + A_MOMENT)
            assert len(group.said(Removed, by=20)) == 2

    def test_room_is_made_for_an_empty_chunk_too(self) -> None:
        """SPEC.md 6.14, 7.15: empty ones are not free."""
        with Group(20, capacity_bytes=4_000) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80])
            home.putchunk(OTHER, b"")
            group.pass_time(WITHDRAWAL_QUIET + A_MOMENT)
            say_stored(home, CHUNK, 80)
            group.pass_time(WITHDRAWAL_TIME)
            home.putchunk(OTHER, b"")
            group.pass_time(ANSWERED)
            assert holds(group, 20, OTHER)

    def test_every_copy_that_may_go_has_its_turn(self) -> None:
        """SPEC.md 6.14: not always the same 500, whom perhaps nobody confirms."""
        with Group(20, capacity_bytes=600 * 4_000) as group:
            home = Stranger(group)
            for no in range(600):
                home.putchunk(chunk_id("film", no), b"")
            group.pass_time(1.0)
            for no in range(600):
                say_stored(home, chunk_id("film", no), 80)
                if no == 599:
                    say_stored(home, chunk_id("film", no), 81)
            group.pass_time(1.0)
            for _ in range(2):
                home.putchunk(OTHER, BODY)
                group.pass_time(EVICTED)
            assert chunk_id("film", 599) in {message.chunk_id for _, message in group.said(Removed)}


class TestGroup:
    def test_the_copies_that_1_0_makes_too_many_of_give_way_to_new_chunks(self) -> None:
        """SPEC.md 6.14, 3.18: with every peer full, and no chunk ever below its degree."""
        for seed in range(15):
            with Group(1, seed=seed) as group:
                for peer_id in (2, 3, 4):
                    group.add(peer_id, 2 * CHUNK_SIZE)
                group[1].write("/home/one", bytes([1]) * (CHUNK_SIZE + 1))
                group[1].write("/home/two", bytes([2]) * (CHUNK_SIZE + 1))
                one = group[1].backup("/home/one", 1)
                group.pass_time(2.0)
                assert group.copies(one.file_id) == {0: [2, 3, 4], 1: [2, 3, 4]}
                two = group[1].backup("/home/two", 1)
                assert two.below_degree == 0
                group.pass_time(60.0)
                assert group.copies(one.file_id).keys() == group.copies(two.file_id).keys() == {0, 1}
                assert group[1].restore("/home/one") == bytes([1]) * (CHUNK_SIZE + 1)
                assert group[1].restore("/home/two") == bytes([2]) * (CHUNK_SIZE + 1)

    def test_a_copy_is_not_evicted_while_a_lowered_capacity_is_being_worked_for(self) -> None:
        """SPEC.md 6.11, 6.14: what has to go for that goes once, by RECLAIM."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            give_copy(group, home, chunk_id("film"), others=[80])
            reclaimed = group[20].begin_reclaim(4)
            group.pass_time(WITHDRAWAL_QUIET + A_MOMENT)
            home.putchunk(OTHER, BODY)
            say_stored(home, chunk_id("film"), 80)
            assert group.run(reclaimed).removed_chunks == 1
            assert len(group.said(Removed)) == 1
            assert not group.said(PutChunk, by=20)
            assert [message.chunk_id for _, message in group.said(Stored, by=20)] == [CHUNK, chunk_id("film")]
