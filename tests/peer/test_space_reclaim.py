"""RECLAIM, by one peer and by hand-driven others (SPEC.md section 6, "RECLAIM")."""

from __future__ import annotations

import errno

import pytest

from peer.errors import ErrorCode, OperationError
from protocol.codec import parse
from protocol.limits import MAX_WITHDRAWALS, REMOVED_PER_SECOND
from protocol.messages import PutChunk, Removed, Stored
from protocol.timing import LAST_COPY_RETRY, WITHDRAWAL_QUIET, WITHDRAWAL_TIME
from tests.peer.copies import (
    A_MOMENT,
    ALL_TRIES,
    ANSWERED,
    BODY,
    CHUNK,
    OTHER,
    give_copy,
    holds,
    let_go,
    say_chunk,
    say_removed,
    say_stored,
    spoken_of,
)
from tests.support.clock import run_until
from tests.support.group import Group
from tests.support.lan import Datagram
from tests.support.stranger import Stranger, chunk_id


class TestCapacity:
    def test_it_holds_at_once_for_every_later_putchunk(self) -> None:
        """SPEC.md 6.11: also while the copies of before are still there."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            let_go(group[20].begin_reclaim(0))
            group.pass_time(A_MOMENT)
            home.putchunk(OTHER, BODY)
            group.pass_time(ANSWERED)
            assert holds(group, 20, CHUNK)
            assert not holds(group, 20, OTHER)

    def test_copies_go_until_the_rest_fits_and_no_more(self) -> None:
        """SPEC.md 6.11: what others hold oftener than they have to goes first."""
        for seed in range(10):
            with Group(20, 21, seed=seed) as group:
                home = Stranger(group)
                for no in range(10):
                    give_copy(group, home, chunk_id("film", no), degree=1 if no in (2, 5, 7) else 2)
                report = group[20].reclaim(28)
                assert (report.removed_chunks, report.unplaced_chunks, report.used_kbytes) == (3, 0, 28)
                assert [held.chunk_id.chunk_no for held in group[20].held()] == [0, 1, 3, 4, 6, 8, 9]
                assert not group.said(PutChunk, by=20)
                report = group[20].reclaim(20)
                assert (report.removed_chunks, report.unplaced_chunks, report.used_kbytes) == (2, 0, 20)
                assert group.said(PutChunk, by=20)

    def test_what_nobody_took_is_not_reported_where_others_made_it_fit(self) -> None:
        """SPEC.md 7.12: unplaced chunks are kept over the capacity."""
        with Group(20) as group:
            group.add(21, capacity_bytes=4_000)
            group[21].stop()
            home = Stranger(group)
            give_copy(group, home, chunk_id("film", 0), body=bytes(64_000))
            give_copy(group, home, chunk_id("film", 1))
            group[21].start()
            report = group[20].reclaim(64)
            assert (report.removed_chunks, report.unplaced_chunks, report.used_kbytes) == (1, 0, 64)
            assert len({message.chunk_no for _, message in group.said(PutChunk, by=20)}) == 2

    def test_more_capacity_than_before_drops_nothing(self) -> None:
        """SPEC.md 6.11."""
        with Group(20, 21, capacity_bytes=40_000) as group:
            give_copy(group, Stranger(group))
            assert group[20].reclaim(400).removed_chunks == 0
            assert group[20].reclaim(4).removed_chunks == 0
            assert holds(group, 20)
            assert not group.said(Removed)

    def test_a_later_reclaim_to_more_stops_the_one_under_way(self) -> None:
        """SPEC.md 6.11: its capacity holds for that one too."""
        with Group(20, 21) as group:
            home = Stranger(group)
            for no in range(300):
                home.putchunk(chunk_id("film", no), BODY)
            group.pass_time(2.0)
            first = group[20].begin_reclaim(0)
            group.pass_time(2.0)
            assert group[20].reclaim(4_000).used_kbytes > 600
            assert group.run(first).removed_chunks == MAX_WITHDRAWALS
            group.pass_time(2 * LAST_COPY_RETRY)
            assert len(group[20].held()) == 300 - MAX_WITHDRAWALS

    def test_what_comes_to_exceed_its_degree_during_the_run_is_dropped_too(self) -> None:
        """SPEC.md 6.11: a copy may change from the others to those that go first."""
        with Group(20, 21) as group:
            home = Stranger(group)
            for no in range(150):
                home.putchunk(chunk_id("film", no), BODY, 1 if no < 120 else 2)
            group.pass_time(2.0)
            reclaimed = group[20].begin_reclaim(0)
            group.pass_time(1.0)
            for no in range(120, 150):
                say_stored(home, chunk_id("film", no), 99)
            report = group.run(reclaimed)
            assert (report.removed_chunks, report.unplaced_chunks) == (150, 0)
            assert group[20].held() == []

    def test_a_capacity_survives_a_restart_and_is_worked_for_again(self) -> None:
        """SPEC.md 7.18, 6.11."""
        with Group(20) as group:
            give_copy(group, Stranger(group))
            let_go(group[20].begin_reclaim(0))
            group.pass_time(1.0)
            group[20].restart()
            group.add(21)
            group.pass_time(10.0)
            assert group.holders(CHUNK) == [21]


class TestPlacing:
    def test_a_chunk_backup_by_the_holder_comes_before_the_drop(self) -> None:
        """SPEC.md 6.12: once its degree is met by the others, REMOVED goes out."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2, others=[80])
            reclaimed = group[20].begin_reclaim(0)
            group.pass_time(WITHDRAWAL_QUIET + A_MOMENT)
            [(_, putchunk)] = group.said(PutChunk, by=20)
            assert (putchunk.chunk_id, putchunk.body, putchunk.replication_degree) == (CHUNK, BODY, 2)
            say_stored(home, CHUNK, 80)
            group.pass_time(0.3)
            assert holds(group, 20)
            assert not group.said(Removed)
            say_stored(home, CHUNK, 81)
            group.pass_time(A_MOMENT)
            assert not holds(group, 20)
            assert len(group.said(Removed, by=20)) == 1
            assert group.run(reclaimed).removed_chunks == 1

    def test_what_others_said_before_does_not_count(self) -> None:
        """SPEC.md 6.12: only what they answer to this chunk backup."""
        with Group(20) as group:
            give_copy(group, Stranger(group), degree=2, others=[80])
            assert group[20].reclaim(0).unplaced_chunks == 1
            assert holds(group, 20)

    def test_a_chunk_is_no_answer_to_it(self) -> None:
        """SPEC.md 6.12: who answers GETCHUNK may be placing his own copy."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            reclaimed = group[20].begin_reclaim(0)
            group.pass_time(1.0)
            say_chunk(home, CHUNK, BODY, 80)
            group.pass_time(2.0)
            assert len(group.said(PutChunk, by=20)) == 2
            say_stored(home, CHUNK, 81)
            assert group.run(reclaimed).removed_chunks == 1

    def test_a_copy_that_was_offered_in_vain_is_placed(self) -> None:
        """SPEC.md 6.12: though its degree seemed to be exceeded."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80])
            reclaimed = group[20].begin_reclaim(0)
            group.pass_time(2 * WITHDRAWAL_QUIET + WITHDRAWAL_TIME + 2 * A_MOMENT)
            assert len(group.said(PutChunk, by=20)) == 1
            say_stored(home, CHUNK, 81)
            assert group.run(reclaimed).removed_chunks == 1

    def test_fewer_than_the_degree_are_enough_after_five_tries(self) -> None:
        """SPEC.md 6.13."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=3)
            reclaimed = group[20].begin_reclaim(0)
            group.pass_time(2.0)
            say_stored(home, CHUNK, 80)
            group.pass_time(20.0)
            assert holds(group, 20)
            group.pass_time(ALL_TRIES - 22.0)
            assert not holds(group, 20)
            assert len(group.said(PutChunk, by=20)) == 5
            assert group.run(reclaimed).removed_chunks == 1

    def test_a_copy_that_an_eviction_offers_in_vain_is_placed_too(self) -> None:
        """SPEC.md 6.11, 6.9: whatever becomes of what was under way when the RECLAIM came."""
        for seed in range(10):
            with Group(seed=seed) as group:
                group.add(20, capacity_bytes=4_000)
                home = Stranger(group)
                give_copy(group, home, others=[80])
                home.putchunk(OTHER, BODY)
                group.pass_time(group.random.uniform(0.1, 0.4))
                reclaimed = group[20].begin_reclaim(0)
                while not group.said(Removed, by=20):
                    assert group.clock.seconds() < 30.0
                    group.pass_time(A_MOMENT)
                say_removed(home, CHUNK, 99)
                report = group.run(reclaimed)
                assert holds(group, 20)
                assert group.said(PutChunk, by=20)
                assert (report.removed_chunks, report.unplaced_chunks, report.used_kbytes) == (0, 1, 4)


class TestRemoved:
    def test_it_goes_out_for_every_copy_before_that_is_gone(self) -> None:
        """SPEC.md 6.1: by offers and by placings."""
        with Group(20, 21) as group:
            home = Stranger(group)
            chunks = [chunk_id("film", no) for no in range(20)]
            for no, chunk in enumerate(chunks):
                give_copy(group, home, chunk, degree=1 + no % 2)
            group.add(22)
            was_held: list[bool] = []

            def note(datagram: Datagram) -> None:
                message = parse(datagram.payload)
                if isinstance(message, Removed):
                    was_held.append(holds(group, 20, message.chunk_id))

            group.lan.tap(note)
            group[20].reclaim(0)
            assert sorted(message.chunk_id for _, message in group.said(Removed, by=20)) == sorted(chunks)
            assert was_held == [True] * len(chunks)

    @pytest.mark.parametrize("degree", [1, 2], ids=["offered", "placed"])
    def test_at_most_100_a_second_are_sent(self, degree: int) -> None:
        """SPEC.md 6.15."""
        with Group(20, 21) as group:
            home = Stranger(group)
            for no in range(250):
                home.putchunk(chunk_id("film", no), b"", degree)
            group.pass_time(2.0)
            group.add(22)
            group[20].reclaim(0)
            times = [time for time, _ in group.said(Removed, by=20)]
            assert len(times) == 250
            for first, last in zip(times, times[int(REMOVED_PER_SECOND) :], strict=False):
                assert last - first >= 0.999

    def test_at_most_100_copies_are_withdrawn_at_a_time(self) -> None:
        """SPEC.md 6.15: as long as nobody answers, no other is offered or placed."""
        with Group(20) as group:
            home = Stranger(group)
            for no in range(250):
                home.putchunk(chunk_id("film", no), b"", 1)
            group.pass_time(2.0)
            let_go(group[20].begin_reclaim(0))
            group.pass_time(30.0)
            assert len({message.chunk_id for _, message in group.said(PutChunk, by=20)}) == MAX_WITHDRAWALS


class TestInterruptions:
    @pytest.mark.parametrize("others", [[], [80]], ids=["placed", "offered"])
    def test_a_delete_during_a_reclaim_ends_what_is_done_for_the_file_and_not_the_rest(
        self, others: list[int]
    ) -> None:
        """SPEC.md 5.3, 6.11: nothing is said of the deleted copy any more, and it counts neither way."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, others=others)
            give_copy(group, home, OTHER, others=others)
            reclaimed = group[20].begin_reclaim(0)
            group.pass_time(2.0)
            began = group.clock.seconds()
            home.delete(CHUNK.file_id)
            group.pass_time(3.0)
            say_stored(home, OTHER, 81)
            report = group.run(reclaimed)
            assert (report.removed_chunks, report.unplaced_chunks, report.used_kbytes) == (1, 0, 0)
            assert CHUNK not in spoken_of(group, 20, since=began + A_MOMENT)

    def test_a_stop_during_a_reclaim_tells_its_user_and_leaves_nothing_to_do(self) -> None:
        for seconds in (0.001, 0.2, 1.0, 2.6, 3.4, 10.0, 40.0):
            with Group(20) as group:
                home = Stranger(group)
                give_copy(group, home, others=[80])
                give_copy(group, home, OTHER)
                reclaimed = group[20].begin_reclaim(0)
                group.pass_time(seconds)
                is_over = reclaimed.called
                group[20].stop()
                if not is_over:
                    with pytest.raises(OperationError) as stopped:
                        run_until(group.clock, reclaimed, 0.0)
                    assert stopped.value.code is ErrorCode.STOPPING

    def test_a_disk_that_refuses_to_delete_keeps_the_copy_and_the_rest_goes_on(self) -> None:
        """SPEC.md 6.10, 9.6: STORED then says that the copy stays."""
        with Group(20, 21) as group:
            home = Stranger(group)
            give_copy(group, home)
            reclaimed = group[20].begin_reclaim(0)
            group.pass_time(WITHDRAWAL_TIME)
            group[20].disk.fail("commit", where="index", times=1)
            group.pass_time(1.0)
            assert group.said(Removed, by=20)
            assert group[20].held()
            assert group.said(Stored, by=20, since=3.0)
            assert [error for error in group.errors if "stays" in error] == group.errors != []
            group.errors.clear()
            assert group.run(reclaimed).removed_chunks == 1
            assert group[20].held() == []

    def test_a_disk_that_refuses_to_read_keeps_the_copy_and_the_rest_goes_on(self) -> None:
        """SPEC.md 6.13, 9.6: it is not damaged, and may be read when it is tried again."""
        with Group(20, 21) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2)
            give_copy(group, home, OTHER, degree=2)
            group.add(22)
            group[20].disk.fail("open", errno.EMFILE, where="/chunks/", times=1)
            report = group[20].reclaim(0)
            assert (report.removed_chunks, report.unplaced_chunks) == (1, 1)
            assert [error for error in group.errors if "stays" in error] == group.errors != []
            group.errors.clear()
            group.pass_time(LAST_COPY_RETRY + ALL_TRIES)
            assert group[20].held() == []
