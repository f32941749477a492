"""What a DELETE does to those who hear it, and what it takes to make one (SPEC.md section 5)."""

from __future__ import annotations

import pytest
from twisted.logger import LogLevel, capturedLogs

from peer.config import DEFAULT_GROUPS
from peer.errors import ErrorCode, OperationError
from protocol.messages import Chunk, Delete, PutChunk, Removed, Stored
from protocol.timing import DELETE_SPACING, DELETED_REFUSAL, WITHDRAWAL_TIME
from protocol.values import VERSION_1_0, FileId, PeerId
from tests.peer.copies import (
    A_MOMENT,
    ANSWERED,
    BODY,
    CHUNK,
    OTHER,
    give_copy,
    holds,
    let_go,
    say_removed,
    say_stored,
    spoken_of,
)
from tests.support.clock import run_until
from tests.support.group import Group
from tests.support.stranger import Stranger, chunk_id

CONTENT = bytes(range(256)) * 501
A_DAY = 24 * 3600.0


def deletes(group: Group, by: int = 1) -> list[float]:
    """When the peer sent DELETE."""
    return [time for time, _ in group.said(Delete, by=by)]


class TestInitiator:
    def test_delete_is_sent_three_times_on_mc_a_second_apart(self) -> None:
        """SPEC.md 5.1."""
        with Group(1, 2) as group:
            witness = Stranger(group)
            group[1].write("/home/film", CONTENT)
            file_id = FileId.from_hex(group[1].backup("/home/film", 1).file_id)
            group[1].delete("/home/film")
            group.pass_time(60.0)
            times = deletes(group)
            assert [time - times[0] for time in times] == pytest.approx(
                [0.0, DELETE_SPACING, 2 * DELETE_SPACING]
            )
            heard = [heard for heard in witness.everything if isinstance(heard.message, Delete)]
            assert {datagram.message for datagram in heard} == {Delete(VERSION_1_0, PeerId(1), file_id)}
            assert {datagram.group for datagram in heard} == {DEFAULT_GROUPS.mc}

    def test_it_is_done_to_its_user_once_the_versions_are_buried(self) -> None:
        """SPEC.md 5.14: what is to be sent goes on after that."""
        with Group(1, 2) as group:
            group[1].write("/home/film", CONTENT)
            report = group[1].backup("/home/film", 1)
            began = group.clock.seconds()
            assert group[1].delete("/home/film").file_id == report.file_id
            assert group.clock.seconds() - began < A_MOMENT
            assert len(deletes(group)) == 1
            with pytest.raises(OperationError) as refused:
                group[1].restore("/home/film")
            assert refused.value.code is ErrorCode.NEVER_BACKED_UP
            group.pass_time(5.0)
            assert len(deletes(group)) == 3

    def test_every_version_of_the_path_goes(self) -> None:
        """SPEC.md 5.4: also one that a newer one has not replaced yet, and that newer one."""
        with Group(1, 2, 3) as group:
            group[1].write("/home/film", CONTENT)
            old = group[1].backup("/home/film", 2)
            group[1].write("/home/film", CONTENT[::-1])
            new = group[1].backup("/home/film", 3)
            assert new.below_degree
            assert group.copies(old.file_id)
            assert group[1].delete("/home/film").file_id == new.file_id
            group.pass_time(5.0)
            assert {message.file_id.hex() for _, message in group.said(Delete)} == {old.file_id, new.file_id}
            assert group.copies(old.file_id) == group.copies(new.file_id) == {}

    def test_a_backup_under_way_is_cancelled(self) -> None:
        """SPEC.md 5.4, 3.28: at whatever moment; nobody is left with a chunk."""
        for seed in range(20):
            with Group(1, 2, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                backup = group[1].begin_backup("/home/film", 2)
                group.pass_time(group.random.uniform(0.05, 20.0))
                group[1].delete("/home/film")
                with pytest.raises(OperationError) as cancelled:
                    run_until(group.clock, backup, 0.0)
                assert cancelled.value.code is ErrorCode.CANCELLED
                began = group.clock.seconds()
                group.pass_time(60.0)
                assert group[2].held() == []
                assert not group.said(PutChunk, since=began + A_MOMENT)

    def test_a_file_that_is_backed_up_again_at_once_stays(self) -> None:
        """SPEC.md 5.6, 5.11: its new id has nothing to do with the DELETEs of the old one."""
        for seed in range(20):
            with Group(1, 2, 3, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                old = group[1].backup("/home/film", 2)
                group[1].delete("/home/film")
                new = group[1].backup("/home/film", 2)
                assert new.file_id != old.file_id
                group.pass_time(10.0)
                assert group.copies(old.file_id) == {}
                assert group[1].restore("/home/film") == CONTENT


class TestReceiver:
    def test_every_chunk_of_the_file_goes_and_no_other(self) -> None:
        """SPEC.md 5.2: with the space that it took (9.14)."""
        with Group(20) as group:
            home = Stranger(group)
            for no in range(50):
                home.putchunk(chunk_id("film", no * 7), BODY)
            give_copy(group, home)
            free = group[20].disk.free_bytes("/store")
            home.delete(chunk_id("film").file_id)
            group.pass_time(A_MOMENT)
            assert [held.chunk_id for held in group[20].held()] == [CHUNK]
            assert group[20].disk.free_bytes("/store") > free

    def test_a_putchunk_waits_for_a_part_of_a_large_file_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """SPEC.md 9.25: between two transactions of a deletion others have their turn."""
        monkeypatch.setattr("storage.slot_store.DELETE_SLICE", 2)
        for seed in range(10):
            with Group(seed=seed) as group:
                storage = group.add(20, disk_seconds=0.2).storage
                assert storage is not None
                home = Stranger(group)
                for no in range(60):
                    home.putchunk(chunk_id("film", no), BODY)
                group.pass_time(5.0)
                home.delete(chunk_id("film").file_id)
                group.pass_time(group.random.uniform(0.3, 0.9))
                home.putchunk(OTHER, BODY)
                # The slice that is under way, and the put itself.
                group.pass_time(0.2 + 0.2 + A_MOMENT)
                assert holds(group, 20, OTHER)
                assert storage.store.usage().chunks > 20
                group.pass_time(20.0)
                assert storage.store.usage().chunks == 1

    def test_no_removed_is_sent_for_them(self) -> None:
        """SPEC.md 6.1: but for DELETE."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            home.delete(CHUNK.file_id)
            group.pass_time(60.0)
            assert not group.said(Removed)

    def test_the_last_of_three_is_enough(self) -> None:
        """SPEC.md 5.1, 5.2."""
        with Group(1, 2) as group:
            group[1].write("/home/film", CONTENT)
            group[1].backup("/home/film", 1)
            group.lan.deafen("10.0.0.2")
            group[1].delete("/home/film")
            group.pass_time(1.5)
            assert group[2].held()
            group.lan.give_hearing("10.0.0.2")
            group.pass_time(1.0)
            assert group[2].held() == []

    def test_a_write_that_is_queued_is_cancelled(self) -> None:
        """SPEC.md 5.3: at whatever moment; a put that races a DELETE leaves neither copy nor STORED."""
        for seed in range(30):
            with Group(seed=seed) as group:
                group.add(20, disk_seconds=0.2)
                home = Stranger(group)
                for no in range(5):
                    home.putchunk(chunk_id("film", no), BODY)
                    group.pass_time(group.random.uniform(0.0, 0.05))
                home.delete(chunk_id("film").file_id)
                group.pass_time(A_MOMENT)
                began = group.clock.seconds()
                group.pass_time(5.0)
                assert group[20].held() == []
                assert not group.said(Stored, by=20, since=began)

    def test_a_stored_that_is_due_is_cancelled(self) -> None:
        """SPEC.md 5.3."""
        for seed in range(30):
            with Group(20, seed=seed) as group:
                home = Stranger(group)
                home.putchunk(CHUNK, BODY)
                group.pass_time(0.1)
                home.delete(CHUNK.file_id)
                group.pass_time(0.001)
                before = len(group.said(Stored, by=20))
                group.pass_time(5.0)
                assert len(group.said(Stored, by=20)) == before

    def test_an_answer_to_getchunk_that_is_due_is_cancelled(self) -> None:
        """SPEC.md 5.3."""
        for seed in range(30):
            with Group(20, seed=seed) as group:
                home = Stranger(group)
                give_copy(group, home)
                home.getchunk(CHUNK)
                group.pass_time(0.1)
                home.delete(CHUNK.file_id)
                group.pass_time(0.001)
                before = len(group.said(Chunk, by=20))
                group.pass_time(5.0)
                assert len(group.said(Chunk, by=20)) == before

    @pytest.mark.parametrize("seconds", [0.0, 0.1, 0.45, 2.0, 10.0], ids="after {} s".format)
    def test_a_repair_that_is_due_or_under_way_is_cancelled(self, seconds: float) -> None:
        """SPEC.md 5.3: re-backups."""
        for seed in range(5):
            with Group(20, seed=seed) as group:
                home = Stranger(group)
                give_copy(group, home, degree=2, others=[80])
                say_removed(home, CHUNK, 80)
                group.pass_time(seconds)
                home.delete(CHUNK.file_id)
                group.pass_time(A_MOMENT)
                began = group.clock.seconds()
                group.pass_time(60.0)
                assert not spoken_of(group, 20, since=began)

    def test_a_repair_on_a_slow_disk_is_cancelled_too(self) -> None:
        """SPEC.md 5.3: it may be reading the copy that is being deleted."""
        for seed in range(40):
            with Group(seed=seed) as group:
                group.add(20, disk_seconds=0.5)
                home = Stranger(group)
                give_copy(group, home, degree=2, others=[80])
                group.pass_time(2.0)
                say_removed(home, CHUNK, 80)
                group.pass_time(group.random.uniform(0.0, 1.5))
                home.delete(CHUNK.file_id)
                group.pass_time(A_MOMENT)
                began = group.clock.seconds()
                group.pass_time(60.0)
                assert not spoken_of(group, 20, since=began)

    @pytest.mark.parametrize("others", [[], [80]], ids=["placed", "offered"])
    def test_a_withdrawal_is_given_up_without_a_word(self, others: list[int]) -> None:
        """SPEC.md 5.3, 6.10: a STORED for a copy that is gone might confirm another's withdrawal."""
        for seed in range(10):
            with Group(20, seed=seed) as group:
                home = Stranger(group)
                give_copy(group, home, others=others)
                let_go(group[20].begin_reclaim(0))
                group.pass_time(group.random.uniform(0.0, 5.0))
                home.delete(CHUNK.file_id)
                group.pass_time(A_MOMENT)
                began = group.clock.seconds()
                group.pass_time(60.0)
                assert not spoken_of(group, 20, since=began)

    def test_one_that_begins_while_the_disk_deletes_is_given_up_too(self) -> None:
        """SPEC.md 5.3: a RECLAIM may have chosen its copies when the DELETE comes."""
        for seed in range(60):
            with Group(20, seed=seed) as group:
                home = Stranger(group)
                give_copy(group, home, others=[80])
                let_go(group[20].begin_reclaim(0))
                group.pass_time(group.random.uniform(0.0, 0.02))
                home.delete(CHUNK.file_id)
                group.pass_time(0.001)
                began = group.clock.seconds()
                group.pass_time(60.0)
                assert not spoken_of(group, 20, since=began)

    def test_one_that_ends_while_the_disk_deletes_is_given_up_too(self) -> None:
        """SPEC.md 5.3, 6.10: whatever the disk said of the copy before."""
        for seed in range(60):
            with Group(seed=seed) as group:
                group.add(20, disk_seconds=0.5)
                home = Stranger(group)
                give_copy(group, home, others=[80])
                group.pass_time(2.0)
                let_go(group[20].begin_reclaim(0))
                while not group.said(Removed, by=20):
                    assert group.clock.seconds() < 30.0
                    group.pass_time(0.1)
                group.pass_time(WITHDRAWAL_TIME + group.random.uniform(-0.2, 0.5))
                home.delete(CHUNK.file_id)
                group.pass_time(0.001)
                began = group.clock.seconds()
                group.pass_time(60.0)
                assert not spoken_of(group, 20, since=began)

    def test_putchunks_for_it_are_refused_for_2_s_and_then_accepted_again(self) -> None:
        """SPEC.md 5.11."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            home.delete(CHUNK.file_id)
            for _ in range(4):
                group.pass_time(DELETED_REFUSAL / 4 - 0.01)
                home.putchunk(CHUNK, BODY)
                home.putchunk(OTHER, BODY)
                group.pass_time(0.005)
            assert not holds(group, 20, CHUNK)
            assert holds(group, 20, OTHER)
            group.pass_time(A_MOMENT)
            home.putchunk(CHUNK, BODY)
            group.pass_time(ANSWERED)
            assert holds(group, 20, CHUNK)

    def test_nothing_but_a_delete_proves_a_deletion(self) -> None:
        """SPEC.md 5.12: neither the silence of the home, nor that it has forgotten the file."""
        with Group(1, 2) as group:
            group[1].write("/home/film", CONTENT)
            report = group[1].backup("/home/film", 1)
            group[1].kill()
            for _ in range(4):
                group.pass_time(30 * A_DAY)
                group[2].restart()
            group[1].disk.remove("/store/catalog.sqlite")
            group[1].disk.remove("/store/index.sqlite")
            group[1].start()
            group[2].restart()
            group.pass_time(30 * A_DAY)
            stranger = Stranger(group)
            for no in range(report.chunks):
                say_stored(stranger, chunk_id("film", no), 80)
            group.pass_time(60.0)
            assert len(group[2].held()) == report.chunks

    def test_a_delete_from_elsewhere_for_ones_own_file_changes_nothing_and_is_logged(self) -> None:
        """SPEC.md 5.13."""
        with Group(1, 2) as group, capturedLogs() as logs:
            group[1].write("/home/film", CONTENT)
            report = group[1].backup("/home/film", 1)
            group.lan.deafen("10.0.0.2")
            Stranger(group).delete(FileId.from_hex(report.file_id))
            group.pass_time(5.0)
            group.lan.give_hearing("10.0.0.2")
            assert [event for event in logs if event["log_level"] is LogLevel.warn]
            assert group[1].restore("/home/film") == CONTENT
            group[1].restart()
            assert group[1].restore("/home/film") == CONTENT
            assert not group.said(Delete, by=1)
