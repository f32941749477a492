"""What a REMOVED sets off (SPEC.md section 6, "What everybody does")."""

from __future__ import annotations

import pytest
from twisted.logger import LogLevel, capturedLogs

from protocol.messages import PutChunk, Removed, Stored
from protocol.timing import LOOK_AGAIN_SPACING, MAX_RESPONSE_DELAY
from protocol.values import ChunkId, FileId
from tests.peer.copies import (
    A_MOMENT,
    ANSWERED,
    BODY,
    CHUNK,
    give_copy,
    known_holders,
    say_removed,
    say_stored,
)
from tests.support.group import Group
from tests.support.stranger import Stranger

CONTENT = b"what the home has"


def home_with_a_file(group: Group, degree: int, *holders: int) -> tuple[Stranger, ChunkId]:
    """Have peer 1 back a file up that strangers hold; one of these may then be made to speak."""
    group[1].write("/home/photo", CONTENT)
    backup = group[1].begin_backup("/home/photo", degree)
    group.pass_time(A_MOMENT)
    [(_, putchunk)] = group.said(PutChunk, by=1)
    stranger = Stranger(group)
    for holder in holders:
        say_stored(stranger, putchunk.chunk_id, holder)
    file_id = group.run(backup).file_id
    return stranger, ChunkId(FileId.from_hex(file_id), 0)


class TestCounting:
    def test_the_sender_ceases_to_be_a_holder(self) -> None:
        """SPEC.md 6.2, 3.4."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80, 81])
            say_removed(home, CHUNK, 80)
            group.pass_time(A_MOMENT)
            assert known_holders(group, 20) == {20, 81}

    def test_nothing_is_sent_for_a_degree_that_is_still_met_but_a_confirmation(self) -> None:
        """SPEC.md 6.2."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2, others=[80, 81])
            say_removed(home, CHUNK, 80)
            group.pass_time(60.0)
            assert not group.said(PutChunk, by=20)

    def test_nothing_is_done_for_a_chunk_that_is_not_known(self) -> None:
        """SPEC.md 6.2: only who knows the chunk acts."""
        with Group(20) as group:
            say_removed(Stranger(group), CHUNK, 80)
            group.pass_time(60.0)
            assert len(group.sent) == 1


class TestRepair:
    def test_a_chunk_backup_starts_after_the_response_delay(self) -> None:
        """SPEC.md 6.2: uniform in 0 to 400 ms, and with the bytes of the copy."""
        delays = []
        for seed in range(80):
            with Group(20, seed=seed) as group:
                home = Stranger(group)
                give_copy(group, home, degree=2, others=[80])
                began = group.clock.seconds()
                say_removed(home, CHUNK, 80)
                group.pass_time(ANSWERED)
                [(sent_at, putchunk)] = group.said(PutChunk, by=20)
                assert (putchunk.chunk_id, putchunk.body, putchunk.replication_degree) == (CHUNK, BODY, 2)
                delays.append(sent_at - began)
        assert max(delays) <= MAX_RESPONSE_DELAY + A_MOMENT
        for quarter in range(4):
            low, high = 0.1 * quarter, 0.1 * (quarter + 1) + (A_MOMENT if quarter == 3 else 0.0)
            assert 6 <= sum(low <= delay < high for delay in delays) <= 40

    def test_it_is_given_up_for_a_putchunk_heard_since_the_removed(self) -> None:
        """SPEC.md 6.2."""
        for seed in range(20):
            with Group(20, seed=seed) as group:
                home = Stranger(group)
                give_copy(group, home, degree=2, others=[80])
                say_removed(home, CHUNK, 80)
                group.pass_time(0.001)
                home.putchunk(CHUNK, BODY, degree=2)
                group.pass_time(60.0)
                assert not group.said(PutChunk, by=20)

    def test_a_putchunk_heard_before_the_removed_does_not_count(self) -> None:
        """SPEC.md 6.2."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2, others=[80])
            home.putchunk(CHUNK, BODY, degree=2)
            group.pass_time(ANSWERED)
            say_removed(home, CHUNK, 80)
            group.pass_time(ANSWERED)
            assert group.said(PutChunk, by=20)

    def test_of_many_holders_few_start_and_the_degree_is_met_again(self) -> None:
        """SPEC.md 6.2: who hears another's PUTCHUNK gives way."""
        starters = []
        for seed in range(8):
            with Group(*range(10, 18), seed=seed) as group:
                home = Stranger(group)
                give_copy(group, home, degree=9, others=[80])
                newcomer = group.add(30)
                began = group.clock.seconds()
                say_removed(home, CHUNK, 80)
                group.pass_time(3.0)
                starters.append(len({sender for _, sender in senders_of_putchunks(group, began)}))
                assert group.holders(CHUNK) == [*range(10, 18), 30]
                assert newcomer.held()[0].desired == 9
        assert sum(starters) <= 2 * len(starters)

    def test_who_starts_it_counts_himself_and_sends_his_own_stored(self) -> None:
        """SPEC.md 6.3, 3.7."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2, others=[80])
            began = group.clock.seconds()
            say_removed(home, CHUNK, 80)
            group.pass_time(ANSWERED)
            say_stored(home, CHUNK, 81)
            group.pass_time(60.0)
            [(sent_at, _)] = group.said(PutChunk, by=20)
            assert any(
                time == pytest.approx(sent_at, abs=0.01) for time, _ in group.said(Stored, by=20, since=began)
            )
            assert known_holders(group, 20) == {20, 81}

    def test_who_is_lost_while_it_waits_for_its_turn_is_not_counted(self) -> None:
        """SPEC.md 6.2: on a slow disk the count that was looked up may be older than the last REMOVED."""
        for seed in range(40):
            with Group(seed=seed) as group:
                group.add(20, disk_seconds=1.0)
                home = Stranger(group)
                home.putchunk(CHUNK, BODY, degree=3)
                group.pass_time(5.0)
                for holder in (80, 81, 82):
                    say_stored(home, CHUNK, holder)
                group.pass_time(5.0)
                say_removed(home, CHUNK, 80)
                say_removed(home, CHUNK, 81)
                group.pass_time(group.random.uniform(0.5, 3.0))
                say_removed(home, CHUNK, 82)
                group.pass_time(A_MOMENT)
                while not group.said(PutChunk, by=20):
                    assert group.clock.seconds() < 30.0
                    group.pass_time(A_MOMENT)
                say_stored(home, CHUNK, 83)
                group.pass_time(60.0)
                assert len(group.said(PutChunk, by=20)) == 5


class TestLookingAgain:
    def test_a_removed_in_the_name_of_no_known_holder_lowers_no_count_and_sends_a_putchunk(self) -> None:
        """SPEC.md 6.4: though the degree seems to be met."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80])
            say_removed(home, CHUNK, 90)
            group.pass_time(60.0)
            assert len(group.said(PutChunk, by=20)) == 1
            assert known_holders(group, 20) == {20, 80}

    def test_it_begins_with_no_known_holder_but_itself(self) -> None:
        """SPEC.md 6.4: whoever is silent is asked again."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2, others=[80, 81])
            say_removed(home, CHUNK, 90)
            group.pass_time(5.0)
            assert len(group.said(PutChunk, by=20)) == 3
            say_stored(home, CHUNK, 81)
            group.pass_time(60.0)
            assert len(group.said(PutChunk, by=20)) == 3

    def test_it_gives_way_to_a_putchunk(self) -> None:
        """SPEC.md 6.4, 6.2."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80])
            say_removed(home, CHUNK, 90)
            group.pass_time(0.001)
            home.putchunk(CHUNK, BODY)
            group.pass_time(60.0)
            assert not group.said(PutChunk, by=20)

    def test_a_chunk_is_not_looked_at_again_within_10_s(self) -> None:
        """SPEC.md 6.4."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80])
            began = group.clock.seconds()
            while group.clock.seconds() < began + LOOK_AGAIN_SPACING - 1.0:
                say_removed(home, CHUNK, 90)
                group.pass_time(0.3)
            assert len(group.said(PutChunk, by=20)) == 1
            group.run_to(began + LOOK_AGAIN_SPACING + A_MOMENT)
            say_removed(home, CHUNK, 90)
            group.pass_time(ANSWERED)
            assert len(group.said(PutChunk, by=20)) == 2

    def test_a_repair_that_is_due_becomes_a_look(self) -> None:
        """SPEC.md 6.4: the counts that a repair begins with may be wrong."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=3, others=[80, 81])
            say_removed(home, CHUNK, 80)
            say_removed(home, CHUNK, 90)
            group.pass_time(ANSWERED)
            say_stored(home, CHUNK, 82)
            group.pass_time(60.0)
            assert len(group.said(PutChunk, by=20)) == 5

    def test_a_removed_in_our_own_name_takes_nothing_from_the_count_and_makes_us_look(self) -> None:
        """SPEC.md 6.4, 2.12, 12.9: our STORED then tells the others that we do hold the chunk."""
        with Group(19, 20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2)
            say_removed(home, CHUNK, 20)
            group.pass_time(5.0)
            assert known_holders(group, 20) == {19, 20}
            assert known_holders(group, 19) == {19, 20}
            assert group.said(PutChunk)
            assert [error for error in group.errors if "our id 20" in error] == group.errors
            group.errors.clear()


class TestTheHome:
    def test_it_repairs_from_the_original(self) -> None:
        """SPEC.md 6.5, 6.2."""
        with Group(1) as group:
            stranger, chunk = home_with_a_file(group, 2, 80, 81)
            began = group.clock.seconds()
            say_removed(stranger, chunk, 80)
            group.pass_time(ANSWERED)
            [(_, putchunk)] = group.said(PutChunk, by=1, since=began)
            assert (putchunk.chunk_id, putchunk.body, putchunk.replication_degree) == (chunk, CONTENT, 2)
            assert not group.said(Stored, by=1)

    def test_it_looks_again_counting_from_nobody(self) -> None:
        """SPEC.md 6.5, 6.4."""
        with Group(1) as group:
            stranger, chunk = home_with_a_file(group, 1, 80)
            began = group.clock.seconds()
            say_removed(stranger, chunk, 90)
            group.pass_time(2.0)
            assert len(group.said(PutChunk, by=1, since=began)) == 2
            say_stored(stranger, chunk, 80)
            group.pass_time(60.0)
            assert len(group.said(PutChunk, by=1, since=began)) == 2

    def test_it_sends_nothing_of_a_file_that_has_changed(self) -> None:
        """SPEC.md 6.5, 3.27."""
        with Group(1) as group, capturedLogs() as logs:
            stranger, chunk = home_with_a_file(group, 2, 80, 81)
            began = group.clock.seconds()
            group[1].write("/home/photo", CONTENT[::-1])
            say_removed(stranger, chunk, 80)
            group.pass_time(60.0)
            assert not group.said(PutChunk, by=1, since=began)
            assert [event for event in logs if event["log_level"] is LogLevel.warn]

    def test_it_repairs_from_a_file_that_was_only_touched(self) -> None:
        """SPEC.md 6.5, 3.32: an equal content is unchanged."""
        with Group(1) as group:
            stranger, chunk = home_with_a_file(group, 2, 80, 81)
            began = group.clock.seconds()
            group[1].write("/home/photo", CONTENT)
            say_removed(stranger, chunk, 80)
            group.pass_time(ANSWERED)
            assert group.said(PutChunk, by=1, since=began)


def senders_of_putchunks(group: Group, since: float) -> list[tuple[float, int]]:
    """Who sent PUTCHUNKs, by the id in them."""
    return [(time, message.sender_id) for time, message in group.said(PutChunk, since=since)]


def test_a_copy_that_was_dropped_is_replaced_by_a_peer_with_room() -> None:
    """SPEC.md 6.2, 6.5: at degree 2 the third peer gets a copy when one of the two holders gives its own up."""
    for seed in range(20):
        with Group(1, 2, 3, seed=seed) as group:
            group[1].write("/home/photo", CONTENT)
            report = group[1].backup("/home/photo", 2)
            group.add(4)
            group[2].reclaim(0)
            group.pass_time(5.0)
            assert group.copies(report.file_id) == {0: [3, 4]}
            assert [message.sender_id for message in group.messages(Removed)] == [2]
