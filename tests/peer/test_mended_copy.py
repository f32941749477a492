"""Damaged copies for which a good body comes before they are dropped (SPEC.md 6.16, 9.31)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from twisted.internet.defer import Deferred

from peer.control.interfaces import ReclaimReport
from protocol.messages import Chunk, PutChunk, Removed, Stored
from protocol.timing import LAST_COPY_RETRY
from tests.peer.copies import (
    A_MOMENT,
    ALL_TRIES,
    ANSWERED,
    BODY,
    CHUNK,
    SHORT_GRACE,
    damage,
    give_copy,
    holds,
    two_holders_apart,
)
from tests.support.disk import Operation
from tests.support.group import Group
from tests.support.stranger import Stranger


def reclaim_of_a_copy_mended_after(
    group: Group, seconds: float, *, others: Iterable[int] = ()
) -> Deferred[ReclaimReport]:
    """Have 20, whose copy is damaged, give all back, and its bytes come once more. *others* have room."""
    group.add(20, disk_seconds=0.1)
    home = Stranger(group)
    give_copy(group, home)
    damage(group, 20)
    for other in others:
        group.add(other)
    running = group[20].begin_reclaim(0)
    group.pass_time(seconds)
    home.putchunk(CHUNK, BODY)
    return running


def test_it_is_not_vouched_for_before_it_is_whole_again() -> None:
    """SPEC.md 3.16, 9.31: a PUTCHUNK brings the good body, and a GETCHUNK gets it after that."""
    for seed in range(10):
        with Group(20, seed=seed) as group:
            home = Stranger(group)
            give_copy(group, home)
            damage(group, 20)
            mended_at: list[float] = []

            def note(operation: Operation, group: Group = group, mended_at: list[float] = mended_at) -> None:
                if operation.kind == "commit" and not mended_at:
                    mended_at.append(group.clock.seconds())

            group[20].disk.intercept(note)
            began = group.clock.seconds()
            home.putchunk(CHUNK, BODY)
            group.pass_time(ANSWERED)
            [(stored_at, _)] = group.said(Stored, by=20, since=began)
            assert stored_at >= mended_at[0]
            assert group[20].count("put_mended") == 1
            home.getchunk(CHUNK)
            group.pass_time(ANSWERED)
            assert [message.body for _, message in group.said(Chunk, by=20)] == [BODY]
            assert not group.said(Removed)


class TestReclaim:
    @pytest.mark.parametrize("step", range(40))
    def test_one_that_is_mended_meanwhile_is_told_as_kept(self, step: int) -> None:
        """SPEC.md 6.13, 9.31: whenever its bytes come once more, while it is withdrawn or dropped as damaged."""
        with Group() as group:
            report = group.run(reclaim_of_a_copy_mended_after(group, step * 0.025))
            assert report.unplaced_chunks == holds(group, 20)
            assert bool(report.used_kbytes) == holds(group, 20)
            group.errors.clear()

    @pytest.mark.parametrize("step", range(40))
    def test_one_that_is_mended_meanwhile_is_placed_by_the_same_run(self, step: int) -> None:
        """SPEC.md 6.16, 6.12: as any other, since somebody has room for it."""
        with Group() as group:
            report = group.run(reclaim_of_a_copy_mended_after(group, step * 0.025, others=[21]))
            assert (report.unplaced_chunks, report.used_kbytes) == (0, 0)
            assert group.holders(CHUNK) == [21]
            group.errors.clear()

    @pytest.mark.parametrize("step", range(40))
    def test_one_that_is_mended_and_kept_is_vouched_for(self, step: int) -> None:
        """SPEC.md 6.13, 6.16: whoever sent the body has had no STORED while the copy was withdrawn, or dropped."""
        with Group() as group:
            running = reclaim_of_a_copy_mended_after(group, step * 0.025)
            began = group.clock.seconds()
            group.run(running)
            group.pass_time(ANSWERED)
            assert bool(group.said(Stored, by=20, since=began)) == holds(group, 20)
            group.errors.clear()

    @pytest.mark.parametrize("step", range(0, 60, 2))
    def test_one_that_is_mended_as_its_grace_ends_is_placed_before_it_goes(self, step: int) -> None:
        """SPEC.md 6.12, 6.13: by this try, or by the next one."""
        with Group() as group:
            group.add(20, disk_seconds=0.1, config=SHORT_GRACE)
            home = Stranger(group)
            give_copy(group, home)
            assert group[20].reclaim(0).unplaced_chunks == 1
            damage(group, 20)
            group.pass_time(LAST_COPY_RETRY + 0.4 + step * 0.01)
            group.sent.clear()
            home.putchunk(CHUNK, BODY)
            group.pass_time(2 * ALL_TRIES)
            was_dropped_as_damaged = any("damaged and was dropped" in error for error in group.errors)
            assert len(group.said(PutChunk, by=20)) == (0 if was_dropped_as_damaged else 5)
            group.errors.clear()
            group.pass_time(LAST_COPY_RETRY + ALL_TRIES)
            assert not holds(group, 20)

    @pytest.mark.parametrize("step", range(0, 40, 2))
    def test_nor_is_it_vouched_for_to_who_would_drop_his_for_it(self, step: int) -> None:
        """SPEC.md 6.13, 6.8: the body comes from another who places his own last copy."""
        with Group(seed=2) as group:
            began = two_holders_apart(group)
            damage(group, 20)
            group.pass_time(LAST_COPY_RETRY / 2)
            group[21].start()
            group.run_to(began + LAST_COPY_RETRY + step * 0.015 - 0.2)
            group[21].reclaim(0)
            group.pass_time(2 * ALL_TRIES)
            assert group.holders(CHUNK)
            group.errors.clear()


@pytest.mark.parametrize("seed", range(40))
def test_one_that_is_mended_before_it_was_dropped_is_vouched_for(seed: int) -> None:
    """SPEC.md 6.16: no RECLAIM but a GETCHUNK has shown the damage."""
    with Group(seed=seed) as group:
        group.add(20, disk_seconds=0.1)
        home = Stranger(group)
        give_copy(group, home)
        damage(group, 20)
        home.getchunk(CHUNK)
        group.pass_time(group.random.uniform(0.0, 0.4))
        began = group.clock.seconds()
        home.putchunk(CHUNK, BODY)
        group.pass_time(5.0)
        assert bool(group.said(Stored, by=20, since=began)) == holds(group, 20)
        group.errors.clear()


def test_one_that_no_disk_drops_does_not_keep_a_reclaim_from_ending() -> None:
    """SPEC.md 6.16: it is found damaged again and again."""
    with Group(20) as group:
        give_copy(group, Stranger(group))
        damage(group, 20)
        running = group[20].begin_reclaim(0)
        group.pass_time(A_MOMENT)
        group[20].disk.fail("commit", where="index")
        report = group.run(running)
        assert (report.unplaced_chunks, report.used_kbytes) == (1, 4)
        group[20].disk.mend()
        group.errors.clear()
