"""The last copy of a chunk, which a RECLAIM keeps for a while (SPEC.md 6.13)."""

from __future__ import annotations

import errno

import pytest
from twisted.logger import LogLevel, capturedLogs

from peer.errors import ErrorCode, OperationError
from protocol.messages import PutChunk, Removed, Stored
from protocol.timing import LAST_COPY_GRACE, LAST_COPY_RETRY
from tests.peer.copies import (
    A_MOMENT,
    ALL_TRIES,
    CHUNK,
    SHORT_GRACE,
    give_copy,
    holds,
    let_go,
    say_removed,
    say_stored,
    two_holders_apart,
)
from tests.support.group import Group
from tests.support.stranger import Stranger


def test_it_is_kept_and_reported_and_stored_is_sent() -> None:
    """SPEC.md 6.13, 7.16."""
    with Group(20) as group:
        give_copy(group, Stranger(group))
        report = group[20].reclaim(0)
        assert (report.removed_chunks, report.unplaced_chunks) == (0, 1)
        assert (report.capacity_kbytes, report.used_kbytes) == (0, 4)
        assert not group.said(Removed)
        assert group.said(Stored, by=20, since=31.0)


def test_it_is_reported_once_though_it_was_offered_first() -> None:
    """SPEC.md 6.13: unplaced_chunks counts copies (7.12)."""
    with Group(20) as group:
        home = Stranger(group)
        give_copy(group, home, others=[80])
        assert group[20].reclaim(0).unplaced_chunks == 1


def test_it_is_tried_again_every_600_s_and_goes_when_somebody_takes_it() -> None:
    """SPEC.md 6.13."""
    with Group(20) as group:
        give_copy(group, Stranger(group))
        group[20].reclaim(0)
        group.sent.clear()
        for _ in range(3):
            group.pass_time(LAST_COPY_RETRY + ALL_TRIES)
            assert len(group.said(PutChunk, by=20)) == 5
            group.sent.clear()
        group.add(21)
        group.pass_time(LAST_COPY_RETRY + ALL_TRIES)
        assert group.holders(CHUNK) == [21]
        group.sent.clear()
        group.pass_time(3 * LAST_COPY_RETRY)
        assert group.sent == []


def test_it_is_dropped_after_24_hours_and_that_is_logged() -> None:
    """SPEC.md 6.13."""
    with Group(20) as group, capturedLogs() as logs:
        give_copy(group, Stranger(group))
        group[20].reclaim(0)
        began = group.clock.seconds()
        group.run_to(began + LAST_COPY_GRACE - LAST_COPY_RETRY)
        assert holds(group, 20)
        assert not [event for event in logs if event["log_level"] is LogLevel.warn]
        group.run_to(began + LAST_COPY_GRACE + 2 * LAST_COPY_RETRY)
        assert not holds(group, 20)
        assert len(group.said(Removed, by=20)) == 1
        assert [event for event in logs if event["log_level"] is LogLevel.warn]


def test_the_last_reclaim_begins_the_24_hours_anew() -> None:
    """SPEC.md 6.13."""
    with Group(20) as group:
        give_copy(group, Stranger(group))
        group[20].reclaim(0)
        group.pass_time(LAST_COPY_GRACE - 5 * LAST_COPY_RETRY)
        group[20].reclaim(0)
        group.pass_time(LAST_COPY_GRACE - 5 * LAST_COPY_RETRY)
        assert holds(group, 20)
        group.pass_time(10 * LAST_COPY_RETRY)
        assert not holds(group, 20)


def test_a_start_of_the_peer_begins_the_24_hours_anew() -> None:
    """SPEC.md 6.13."""
    with Group(20) as group:
        give_copy(group, Stranger(group))
        group[20].reclaim(0)
        group.pass_time(LAST_COPY_GRACE - 5 * LAST_COPY_RETRY)
        group[20].restart()
        group.pass_time(LAST_COPY_GRACE - 5 * LAST_COPY_RETRY)
        assert holds(group, 20)
        group.pass_time(10 * LAST_COPY_RETRY)
        assert not holds(group, 20)


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("others", [[], [80]], ids=["placed", "offered"])
@pytest.mark.parametrize("seconds", [-28.0, -16.0, -5.0, -0.5, *(step * 0.1 - 0.2 for step in range(14))])
def test_who_drops_one_after_its_grace_leaves_that_of_another_who_gives_his_back(
    seconds: float, others: list[int], degree: int
) -> None:
    """SPEC.md 6.13: two have the chunk, don't know of each other, and one begins before or after the other's try."""
    with Group() as group:
        began = two_holders_apart(group, degree=degree, others=others)
        group.pass_time(LAST_COPY_RETRY / 2)
        group[21].start()
        group.run_to(began + LAST_COPY_RETRY + seconds)
        group[21].reclaim(0)
        group.run_to(began + LAST_COPY_RETRY + 2 * ALL_TRIES)
        assert group.holders(CHUNK)


@pytest.mark.parametrize("seconds", [-3.0, -1.5, -0.5, 0.5])
def test_nor_does_it_drop_one_that_it_has_just_vouched_for(seconds: float) -> None:
    """SPEC.md 6.13, 6.7: another offers his, and counts what it hears before the try."""
    with Group() as group:
        group.add(20, config=SHORT_GRACE)
        home = Stranger(group)
        give_copy(group, home)
        group.add(21)
        say_stored(home, CHUNK, 20)
        group.pass_time(A_MOMENT)
        group[21].stop()
        assert group[20].reclaim(0).unplaced_chunks == 1
        began = group.clock.seconds()
        group.pass_time(LAST_COPY_RETRY / 2)
        group[21].start()
        give_copy(group, home)
        say_stored(home, CHUNK, 20)
        group.run_to(began + LAST_COPY_RETRY + seconds)
        group[21].reclaim(0)
        group.run_to(began + LAST_COPY_RETRY + 2 * ALL_TRIES)
        assert group.holders(CHUNK)
        # That somebody spoke in the name of 20.
        group.errors.clear()


@pytest.mark.parametrize("seconds", [0.1, 5.0, 20.0])
def test_nor_does_it_where_another_drops_his_during_the_try(seconds: float) -> None:
    """SPEC.md 6.13: he may have begun long before it, and be slow, and his last PUTCHUNKs be lost."""
    with Group() as group:
        group.add(20, config=SHORT_GRACE)
        stranger = Stranger(group)
        give_copy(group, stranger)
        assert group[20].reclaim(0).unplaced_chunks == 1
        group.pass_time(LAST_COPY_RETRY + seconds)
        say_removed(stranger, CHUNK, 81)
        group.pass_time(2 * ALL_TRIES)
        assert holds(group, 20)


def test_two_whose_grace_is_over_do_not_keep_each_other_s_copies_for_ever() -> None:
    """SPEC.md 6.13: they were asked for their space at the same moment, so that each hears the other's every try."""
    with Group() as group:
        for peer_id in (20, 21):
            group.add(peer_id, config=SHORT_GRACE)
        give_copy(group, Stranger(group))
        assert group.holders(CHUNK) == [20, 21]
        for peer_id in (20, 21):
            let_go(group[peer_id].begin_reclaim(0))
        group.pass_time(3 * (LAST_COPY_RETRY + ALL_TRIES))
        assert group.holders(CHUNK) == []


def test_a_reclaim_during_a_try_begins_the_grace_anew() -> None:
    """SPEC.md 6.13: for what is being tried, too."""
    with Group() as group:
        group.add(20, config=SHORT_GRACE)
        give_copy(group, Stranger(group))
        assert group[20].reclaim(0).unplaced_chunks == 1
        group.pass_time(LAST_COPY_RETRY + 10.0)
        assert group[20].reclaim(0).unplaced_chunks == 1
        assert holds(group, 20)
        group.pass_time(LAST_COPY_RETRY + ALL_TRIES)
        assert not holds(group, 20)


def test_it_is_tried_again_though_the_disk_refuses_a_try() -> None:
    """SPEC.md 6.13: every 600 s, whatever a try comes to."""
    with Group(20) as group:
        give_copy(group, Stranger(group))
        assert group[20].reclaim(0).unplaced_chunks == 1
        group[20].disk.fail("free", errno.EIO, times=1)
        group.pass_time(LAST_COPY_RETRY + ALL_TRIES)
        assert [error for error in group.errors if "tried again" in error] == group.errors != []
        group.errors.clear()
        group.add(21)
        group.pass_time(LAST_COPY_RETRY + ALL_TRIES)
        assert group.holders(CHUNK) == [21]


def test_a_reclaim_that_the_disk_refuses_says_so_and_is_tried_again() -> None:
    """SPEC.md 6.13, 7.18: its capacity holds already."""
    with Group(20, 21) as group:
        give_copy(group, Stranger(group), degree=2)
        running = group[20].begin_reclaim(0)
        group.pass_time(1.0)
        group[20].disk.fail("free", errno.EIO, times=1)
        with pytest.raises(OperationError) as refused:
            group.run(running)
        assert refused.value.code is ErrorCode.STORAGE_FAILED
        group.add(22)
        group.pass_time(LAST_COPY_RETRY + ALL_TRIES)
        assert not holds(group, 20)
