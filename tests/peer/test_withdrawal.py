"""Dropping a copy so that it isn't lost (SPEC.md section 6, "Dropping a copy without losing it")."""

from __future__ import annotations

import pytest

from protocol.messages import Chunk, PutChunk, Removed, Stored
from protocol.timing import MAX_RESPONSE_DELAY, WITHDRAWAL_QUIET, WITHDRAWAL_TIME
from protocol.values import VERSION_1_0, PeerId
from tests.peer.copies import (
    A_MOMENT,
    ANSWERED,
    BODY,
    CHUNK,
    OTHER,
    give_copy,
    holds,
    known_holders,
    let_go,
    say_chunk,
    say_removed,
    say_stored,
)
from tests.support.group import Group
from tests.support.stranger import Stranger

SMALL = 4_000
"""A capacity with room for one short body."""


def begin_offer(group: Group, home: Stranger, peer_id: int = 20, *, degree: int = 1) -> float:
    """Have a full peer offer its copy of CHUNK, which one more peer than necessary holds; tells when REMOVED came.

    The offer is an eviction, which ends where a RECLAIM would begin to place the copy elsewhere.
    """
    give_copy(group, home, degree=degree, others=range(80, 80 + degree))
    began = group.clock.seconds()
    home.putchunk(OTHER, BODY)
    group.pass_time(WITHDRAWAL_QUIET + A_MOMENT)
    [(removed_at, _)] = group.said(Removed, by=peer_id, since=began)
    return removed_at


class TestOffer:
    def test_removed_goes_out_and_the_bytes_stay_for_2_s(self) -> None:
        """SPEC.md 6.6."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            removed_at = begin_offer(group, home)
            say_stored(home, CHUNK, 80)
            group.run_to(removed_at + WITHDRAWAL_TIME - A_MOMENT)
            assert holds(group, 20)
            group.pass_time(2 * A_MOMENT)
            assert not holds(group, 20)
            assert len(group.said(Removed)) == 1
            assert not group.said(Stored, by=20, since=removed_at)

    def test_a_copy_that_too_few_confirm_is_kept_and_stored_is_sent(self) -> None:
        """SPEC.md 6.10."""
        with Group(20, capacity_bytes=SMALL) as group:
            removed_at = begin_offer(group, Stranger(group))
            group.pass_time(WITHDRAWAL_TIME + A_MOMENT)
            assert holds(group, 20)
            [(kept_at, stored)] = group.said(Stored, by=20, since=removed_at)
            assert stored == Stored(VERSION_1_0, PeerId(20), *CHUNK)
            assert kept_at == pytest.approx(removed_at + WITHDRAWAL_TIME, abs=A_MOMENT)

    @pytest.mark.parametrize(("confirming", "is_kept"), [(1, True), (2, True), (3, False), (4, False)])
    def test_as_many_have_to_confirm_as_should_hold_the_chunk(self, confirming: int, is_kept: bool) -> None:
        """SPEC.md 6.10: the threshold is the desired degree."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            begin_offer(group, home, degree=3)
            for peer_id in range(80, 80 + confirming):
                say_stored(home, CHUNK, peer_id)
            group.pass_time(WITHDRAWAL_TIME + A_MOMENT)
            assert holds(group, 20) == is_kept

    def test_a_degree_that_rises_meanwhile_raises_the_threshold(self) -> None:
        """SPEC.md 3.21, 6.10."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            begin_offer(group, home)
            home.putchunk(CHUNK, BODY, degree=2)
            say_stored(home, CHUNK, 80)
            group.pass_time(WITHDRAWAL_TIME + A_MOMENT)
            assert holds(group, 20)

    def test_a_peer_that_confirms_twice_counts_once_and_our_own_id_never(self) -> None:
        """SPEC.md 6.10, 2.12: distinct other peers."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            begin_offer(group, home, degree=2)
            for peer_id in (80, 80, 20):
                say_stored(home, CHUNK, peer_id)
            group.pass_time(WITHDRAWAL_TIME + A_MOMENT)
            assert holds(group, 20)
            group.errors.clear()  # Somebody used the peer's id, which it says.

    def test_who_sends_removed_after_his_stored_does_not_count(self) -> None:
        """SPEC.md 6.10."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            begin_offer(group, home)
            say_stored(home, CHUNK, 15)
            group.pass_time(A_MOMENT)
            say_removed(home, CHUNK, 15)
            group.pass_time(WITHDRAWAL_TIME + A_MOMENT)
            assert holds(group, 20)

    def test_a_chunk_confirms_nothing(self) -> None:
        """SPEC.md 6.10: its sender may be about to drop his copy too."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            begin_offer(group, home)
            say_chunk(home, CHUNK, BODY, 80)
            group.pass_time(WITHDRAWAL_TIME + A_MOMENT)
            assert holds(group, 20)

    def test_a_copy_that_is_kept_is_repaired_for_what_was_lost_meanwhile(self) -> None:
        """SPEC.md 6.2: also by who was withdrawing his own copy when the REMOVEDs came."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2, others=[10, 11])
            home.putchunk(OTHER, BODY)
            group.pass_time(WITHDRAWAL_QUIET + A_MOMENT)
            [(removed_at, _)] = group.said(Removed, by=20)
            say_removed(home, CHUNK, 10)
            say_removed(home, CHUNK, 11)
            group.run_to(removed_at + WITHDRAWAL_TIME + MAX_RESPONSE_DELAY + 2 * A_MOMENT)
            assert {message.chunk_id for _, message in group.said(PutChunk, by=20)} == {CHUNK}
            [(_, kept), *_] = group.said(Stored, by=20, since=removed_at)
            assert kept.chunk_id == CHUNK


class TestQuietTime:
    def test_removed_is_sent_after_half_a_second_without_stored(self) -> None:
        """SPEC.md 6.17."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80])
            home.putchunk(OTHER, BODY)
            group.pass_time(A_MOMENT)
            began = group.clock.seconds()
            home.putchunk(CHUNK, BODY)
            group.pass_time(WITHDRAWAL_QUIET - 2 * A_MOMENT)
            assert not group.said(Stored, by=20, since=began)
            assert not group.said(Removed)
            group.pass_time(2 * A_MOMENT)
            [(removed_at, _)] = group.said(Removed)
            assert removed_at == pytest.approx(began - A_MOMENT + WITHDRAWAL_QUIET, abs=A_MOMENT)

    def test_a_stored_that_comes_in_it_confirms_nothing(self) -> None:
        """SPEC.md 6.17."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80])
            home.putchunk(OTHER, BODY)
            group.pass_time(WITHDRAWAL_QUIET - A_MOMENT)
            say_stored(home, CHUNK, 80)
            group.pass_time(WITHDRAWAL_TIME + 3 * A_MOMENT)
            assert group.said(Removed)
            assert holds(group, 20)

    def test_no_putchunk_and_no_count_before_it_is_over_in_a_placing_either(self) -> None:
        """SPEC.md 6.17, 6.12."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            began = group.clock.seconds()
            reclaimed = group[20].begin_reclaim(0)
            group.pass_time(WITHDRAWAL_QUIET - A_MOMENT)
            say_stored(home, CHUNK, 80)
            group.pass_time(2 * A_MOMENT)
            [(sent_at, _)] = group.said(PutChunk, by=20)
            assert sent_at >= began + WITHDRAWAL_QUIET
            assert group.run(reclaimed).unplaced_chunks == 1


class TestConfirmation:
    @pytest.mark.parametrize("sender", [80, 90], ids=["a known holder", "nobody that is known"])
    def test_a_holder_answers_removed_with_stored_after_the_response_delay(self, sender: int) -> None:
        """SPEC.md 6.7: whatever the REMOVED did to its counts."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80, 81])
            began = group.clock.seconds()
            say_removed(home, CHUNK, sender)
            group.pass_time(ANSWERED)
            answers = [time - began for time, message in group.said(Stored, by=20, since=began)]
            assert answers
            assert max(answers) <= MAX_RESPONSE_DELAY + A_MOMENT

    def test_a_holder_confirms_in_time_though_a_repair_of_the_chunk_is_long_under_way(self) -> None:
        """SPEC.md 6.7: the next PUTCHUNK of the repair, and its STORED, would come too late."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=3, others=[80])
            say_removed(home, CHUNK, 80)
            group.pass_time(10.0)
            assert len(group.said(PutChunk, by=20)) == 4
            say_stored(home, CHUNK, 81)
            group.pass_time(A_MOMENT)
            began = group.clock.seconds()
            say_removed(home, CHUNK, 81)
            group.pass_time(ANSWERED)
            assert group.said(Stored, by=20, since=began)
            assert not group.said(PutChunk, by=20, since=began)

    def test_the_home_holds_nothing_and_confirms_nothing(self) -> None:
        """SPEC.md 6.7: only who holds the chunk does, and a home holds none of its own file (3.8)."""
        with Group(1, 2) as group:
            group[1].write("/home/photo", b"seen")
            group[1].backup("/home/photo", 1)
            [held] = group[2].held()
            group.pass_time(1.0)
            stranger = Stranger(group)
            say_stored(stranger, held.chunk_id, 80)
            group.pass_time(1.0)
            say_removed(stranger, held.chunk_id, 80)
            group.pass_time(1.0)
            assert not group.said(Stored, by=1)

    def test_nobody_confirms_a_chunk_that_he_does_not_hold(self) -> None:
        """SPEC.md 6.7."""
        with Group(20) as group:
            say_removed(Stranger(group), CHUNK, 80)
            group.pass_time(1.0)
            assert group.sent[-1][1] != "10.0.0.20"


class TestSilence:
    def test_no_putchunk_is_answered_with_stored_by_who_offers_his_copy(self) -> None:
        """SPEC.md 6.8: but when the copy was kept after all, it is."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            removed_at = begin_offer(group, home)
            for _ in range(4):
                home.putchunk(CHUNK, BODY)
                group.pass_time(0.45)
            assert not group.said(Stored, by=20, since=removed_at)
            home.putchunk(CHUNK, BODY)
            group.pass_time(1.0)
            assert {message.chunk_id for _, message in group.said(Stored, by=20, since=removed_at)} == {CHUNK}

    def test_no_getchunk_is_answered_by_who_offers_his_copy(self) -> None:
        """SPEC.md 6.8: for a CHUNK the others would count him again, though he has said REMOVED."""
        with Group(19, 20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80])
            home.putchunk(OTHER, BODY)
            group.pass_time(WITHDRAWAL_QUIET + ANSWERED)
            assert {message.sender_id for _, message in group.said(Removed)} == {20}
            home.getchunk(CHUNK)
            group.pass_time(1.0)
            assert not group.said(Chunk, by=20)
            assert group.said(Chunk, by=19)
            assert 20 not in known_holders(group, 19)

    def test_no_stored_is_sent_by_who_places_his_copy_not_even_for_a_repair_of_it(self) -> None:
        """SPEC.md 6.8, 6.12: the repair was under way before."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=3, others=[80])
            say_removed(home, CHUNK, 80)
            group.pass_time(1.0)
            assert group.said(PutChunk, by=20)
            let_go(group[20].begin_reclaim(0))
            group.pass_time(A_MOMENT)
            began = group.clock.seconds()
            for _ in range(20):
                home.putchunk(CHUNK, BODY)
                group.pass_time(1.0)
            assert len(group.said(PutChunk, by=20, since=began)) >= 2
            assert not group.said(Stored, by=20, since=began)

    def test_getchunk_is_answered_by_who_places_his_copy(self) -> None:
        """SPEC.md 4.8, 6.8: it may be the last one."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            let_go(group[20].begin_reclaim(0))
            group.pass_time(5.0)
            home.getchunk(CHUNK)
            group.pass_time(ANSWERED)
            [(_, answer)] = group.said(Chunk, by=20)
            assert answer.body == BODY


class TestRivals:
    def test_who_has_the_smaller_id_gives_up_at_once_and_sends_stored(self) -> None:
        """SPEC.md 6.9."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            removed_at = begin_offer(group, home)
            say_stored(home, CHUNK, 80)
            group.pass_time(1.0)
            say_removed(home, CHUNK, 21)
            group.pass_time(A_MOMENT)
            [(_, stored)] = group.said(Stored, by=20, since=removed_at)
            assert stored.chunk_id == CHUNK
            group.pass_time(WITHDRAWAL_TIME)
            assert holds(group, 20)

    def test_who_has_the_greater_id_goes_on(self) -> None:
        """SPEC.md 6.9."""
        with Group(20, capacity_bytes=SMALL) as group:
            home = Stranger(group)
            begin_offer(group, home)
            say_removed(home, CHUNK, 19)
            say_stored(home, CHUNK, 80)
            group.pass_time(WITHDRAWAL_TIME + A_MOMENT)
            assert not holds(group, 20)

    def test_of_two_peers_that_offer_at_once_one_drops_and_one_keeps(self) -> None:
        """SPEC.md 6.9, 6.10."""
        for seed in range(20):
            with Group(19, 20, seed=seed, capacity_bytes=SMALL) as group:
                home = Stranger(group)
                give_copy(group, home)
                home.putchunk(OTHER, BODY)
                group.pass_time(WITHDRAWAL_QUIET + WITHDRAWAL_TIME + ANSWERED)
                assert group.holders(CHUNK) == [19]
