"""Copies whose bytes are not what they were (SPEC.md 4.10, 6.16)."""

from __future__ import annotations

import errno

import pytest

from protocol.messages import Chunk, PutChunk, Removed, Stored
from protocol.values import ChunkId, FileId
from tests.peer.copies import (
    A_MOMENT,
    ANSWERED,
    BODY,
    CHUNK,
    damage,
    give_copy,
    holds,
    let_go,
    say_removed,
    take_logged,
)
from tests.support.disk import Operation
from tests.support.group import Group
from tests.support.stranger import Stranger, chunk_id

CONTENT = bytes(range(256)) * 300


class TestReclaim:
    @pytest.mark.parametrize("seed", range(10))
    def test_it_tells_what_is_used_when_damaged_copies_are_gone(self, seed: int) -> None:
        """SPEC.md 6.11, 6.16: they are found as they are read for others, and dropped by another hand."""
        with Group(seed=seed) as group:
            group.add(20, disk_seconds=0.1)
            home = Stranger(group)
            chunks = [chunk_id("film", no) for no in range(5)]
            for chunk in chunks:
                give_copy(group, home, chunk)
                damage(group, 20, chunk)
            report = group[20].reclaim(0)
            assert (report.used_kbytes, group[20].held()) == (0, [])
            assert sorted(message.chunk_id for _, message in group.said(Removed, by=20)) == chunks
            take_logged(group)


class TestHolder:
    def test_it_drops_a_damaged_copy_and_sends_removed_and_no_chunk(self) -> None:
        """SPEC.md 4.10, 6.16, 6.1."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            damage(group, 20)
            home.getchunk(CHUNK)
            group.pass_time(ANSWERED)
            assert not group.said(Chunk, by=20)
            assert [message.chunk_id for _, message in group.said(Removed, by=20)] == [CHUNK]
            assert not holds(group, 20)
            take_logged(group)

    def test_it_goes_at_once(self) -> None:
        """SPEC.md 6.16: it is not kept for 2 s."""
        for seed in range(10):
            with Group(20, seed=seed) as group:
                home = Stranger(group)
                give_copy(group, home)
                damage(group, 20)
                home.getchunk(CHUNK)
                while not group.said(Removed, by=20):
                    assert group.clock.seconds() < 30.0
                    group.pass_time(0.001)
                group.pass_time(A_MOMENT)
                assert not holds(group, 20)
                take_logged(group)

    def test_one_that_the_disk_can_no_longer_read_is_damaged(self) -> None:
        """SPEC.md 6.16."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            group[20].disk.fail("read", errno.EIO, where="/chunks/")
            home.getchunk(CHUNK)
            group.pass_time(ANSWERED)
            assert group.said(Removed, by=20)
            assert not holds(group, 20)
            take_logged(group)

    def test_one_that_cannot_be_read_for_now_is_not(self) -> None:
        """SPEC.md 6.16: too many open files say nothing about the copy."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            group[20].disk.fail("open", errno.EMFILE, where="/chunks/")
            home.getchunk(CHUNK)
            group.pass_time(1.0)
            assert not group.said(Removed)
            assert group.errors
            group.errors.clear()
            group[20].disk.mend()
            home.getchunk(CHUNK)
            group.pass_time(1.0)
            [(_, answer)] = group.said(Chunk, by=20)
            assert answer.body == BODY

    def test_it_is_not_confirmed_to_who_would_drop_a_good_one_for_it(self) -> None:
        """SPEC.md 6.18."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, others=[80, 81])
            group.pass_time(2.0)
            damage(group, 20)
            began = group.clock.seconds()
            say_removed(home, CHUNK, 80)
            group.pass_time(ANSWERED)
            assert not group.said(Stored, by=20, since=began)
            assert [message.chunk_id for _, message in group.said(Removed, by=20)] == [CHUNK]
            assert not holds(group, 20)
            take_logged(group)

    def test_no_stored_is_sent_for_it_from_when_removed_was(self) -> None:
        """SPEC.md 6.7, 6.10: others may be about to rely on it, however long the disk takes to drop it."""
        dropped = 0
        for seed in range(24):
            with Group(seed=seed) as group:
                group.add(20, disk_seconds=0.5)
                home = Stranger(group)
                give_copy(group, home, others=[80, 81])
                group.pass_time(2.0)
                home.putchunk(CHUNK, BODY)
                group.pass_time(group.random.uniform(0.0, 0.4))
                damage(group, 20)
                home.getchunk(CHUNK)
                while not group.said(Removed, by=20) and not group[20].count("put_mended"):
                    assert group.clock.seconds() < 30.0
                    say_removed(home, CHUNK, 80)
                    group.pass_time(0.05)
                if not group.said(Removed, by=20):
                    # The PUTCHUNK was slower than the damage, and mended it (9.31).
                    continue
                dropped += 1
                [(removed_at, _)] = group.said(Removed, by=20)
                while holds(group, 20):
                    assert group.clock.seconds() < 30.0
                    group.pass_time(0.001)
                assert not group.said(Stored, by=20, since=removed_at)
                group.pass_time(1.0)
                take_logged(group)
        assert dropped >= 5

    def test_nothing_is_said_of_one_whose_file_is_deleted_meanwhile(self) -> None:
        """SPEC.md 5.3: by a DELETE that comes while the disk looks for it."""
        for seed in range(60):
            with Group(seed=seed) as group:
                group.add(20, disk_seconds=0.5)
                home = Stranger(group)
                give_copy(group, home)
                group.pass_time(2.0)
                damage(group, 20)
                home.getchunk(CHUNK)
                group.pass_time(group.random.uniform(0.0, 1.5))
                home.delete(CHUNK.file_id)
                group.pass_time(0.001)
                began = group.clock.seconds()
                group.pass_time(60.0)
                assert not group.said(Removed, by=20, since=began)
                group.errors.clear()

    def test_a_reclaim_that_is_placing_it_says_nothing_more_of_it(self) -> None:
        """SPEC.md 6.10, 6.12: when the damage is seen by a GETCHUNK, and the placing ends before it is dropped."""
        for seed in range(30):
            with Group(seed=seed) as group:
                group.add(20, disk_seconds=0.5)
                home = Stranger(group)
                give_copy(group, home)
                group.pass_time(2.0)
                let_go(group[20].begin_reclaim(0))
                group.pass_time(31.0 + group.random.uniform(0.0, 2.0))
                damage(group, 20)
                home.getchunk(CHUNK)
                group.pass_time(5.0)
                for removed_at, _ in group.said(Removed, by=20):
                    assert not group.said(Stored, by=20, since=removed_at)
                group.errors.clear()

    def test_it_is_gone_from_the_index_before_its_slot_is_freed(self) -> None:
        """SPEC.md 9.8: and REMOVED is said before both."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            damage(group, 20)
            happened: list[str] = []

            def note(operation: Operation) -> None:
                if operation.kind in ("commit", "punch"):
                    happened.append(f"{operation.kind} after {len(group.said(Removed))} REMOVED")

            group[20].disk.intercept(note)
            home.getchunk(CHUNK)
            group.pass_time(1.0)
            assert happened[:2] == ["commit after 1 REMOVED", "punch after 1 REMOVED"]
            take_logged(group)

    def test_a_reclaim_that_meets_damage_drops_the_rest(self) -> None:
        """SPEC.md 6.16, 6.11: it cannot be placed from here, and is no last copy."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            group.add(21)
            damage(group, 20)
            report = group[20].reclaim(0)
            assert (report.removed_chunks, report.unplaced_chunks, report.used_kbytes) == (0, 0, 0)
            [(removed_at, _)] = group.said(Removed, by=20)
            assert not group.said(PutChunk, by=20)
            assert not group.said(Stored, by=20, since=removed_at)
            take_logged(group)

    def test_a_repair_that_meets_damage_sends_nothing_but_removed(self) -> None:
        """SPEC.md 6.16, 6.2."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2, others=[80])
            damage(group, 20)
            say_removed(home, CHUNK, 80)
            group.pass_time(40.0)
            assert not group.said(PutChunk, by=20)
            assert len(group.said(Removed, by=20)) == 1
            take_logged(group)

    def test_a_stop_in_the_middle_leaves_nothing_to_do(self) -> None:
        """SPEC.md 6.15: REMOVEDs that wait for their pace among them."""
        for milliseconds in range(0, 500, 35):
            with Group(20) as group:
                home = Stranger(group)
                for no in range(20):
                    home.putchunk(chunk_id("film", no), BODY)
                group.pass_time(1.0)
                for no in range(20):
                    damage(group, 20, chunk_id("film", no))
                    home.getchunk(chunk_id("film", no))
                group.pass_time(milliseconds / 1000)
                group[20].stop()
                group.errors.clear()

    def test_one_that_a_wrong_body_comes_for_is_not_vouched_for(self) -> None:
        """SPEC.md 3.17."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            damage(group, 20)
            began = group.clock.seconds()
            home.putchunk(CHUNK, b"something else")
            group.pass_time(ANSWERED)
            assert not group.said(Stored, by=20, since=began)
            assert group[20].count("put_conflict") == 1


class TestGroup:
    @pytest.mark.parametrize("degree", [1, 2])
    def test_a_file_whose_copies_are_all_damaged_gets_new_ones_from_its_home(self, degree: int) -> None:
        """SPEC.md 6.5, 6.16: and RESTORE, which has set that off, gets it back."""
        for seed in range(15):
            with Group(1, *range(2, 2 + degree), seed=seed) as group:
                group[1].write("/home/photo", CONTENT)
                report = group[1].backup("/home/photo", degree)
                for no in (0, 1):
                    for holder in range(2, 2 + degree):
                        damage(group, holder, ChunkId(FileId.from_hex(report.file_id), no))
                group.pass_time(1.0)
                assert group[1].restore("/home/photo") == CONTENT
                group.pass_time(60.0)
                assert all(len(holders) == degree for holders in group.copies(report.file_id).values())
                take_logged(group)
