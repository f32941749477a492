"""How BACKUP goes on a path that was backed up before, or is being (SPEC.md section 3, "A file")."""

from __future__ import annotations

import errno

import pytest
from twisted.internet.defer import Deferred

from peer.control.interfaces import BackupReport
from peer.errors import ErrorCode
from protocol.digest import BLAKE3
from protocol.messages import Delete, PutChunk
from protocol.values import CHUNK_SIZE
from tests.peer.backups import LATER, PATH, SMALL, put_since, recorded, refusal, several, versions
from tests.peer.copies import let_go
from tests.support.disk import Operation
from tests.support.group import Group
from tests.support.version_1 import version_1


def begin_read(group: Group) -> Deferred[BackupReport]:
    """Start BACKUP of the file of peer 1; it is being read, and its first PUTCHUNK is out, when this returns."""
    running = group[1].begin_backup(PATH, 1)
    while not group.said(PutChunk):
        group.pass_time(0.001)
    return running


class TestUnchanged:
    def test_a_second_backup_sends_nothing_and_keeps_the_id(self) -> None:
        """SPEC.md 3.29, 3.32: also after a restart."""
        with Group(1, 2, 3) as group:
            group[1].write(PATH, several(20))
            first = group[1].backup(PATH, 2)
            for restart in (False, True):
                if restart:
                    group[1].restart()
                since = group.clock.seconds()
                second = group[1].backup(PATH, 2)
                assert second.file_id == first.file_id
                assert (second.perceived_min, second.below_degree) == (2, 0)
                assert put_since(group, since) == []

    def test_a_lower_degree_is_met_already(self) -> None:
        """SPEC.md 3.29."""
        with Group(1, 2, 3) as group:
            group[1].write(PATH, several(3))
            group[1].backup(PATH, 2)
            since = group.clock.seconds()
            assert group[1].backup(PATH, 1).below_degree == 0
            assert put_since(group, since) == []

    def test_a_higher_degree_sends_what_is_missing(self) -> None:
        """SPEC.md 3.29: to the same id, and the holders take the new degree."""
        with Group(1, 2) as group:
            group[1].write(PATH, several(20))
            first = group[1].backup(PATH, 1)
            group.add(3)
            second = group[1].backup(PATH, 2)
            assert second.file_id == first.file_id
            assert (second.desired, second.perceived_min, second.below_degree) == (2, 2, 0)
            assert group.copies(first.file_id) == {no: [2, 3] for no in range(20)}
            assert {held.desired for held in group[2].held()} == {2}

    def test_only_chunks_below_their_degree_are_sent(self) -> None:
        """SPEC.md 3.29."""
        with Group(1, 2) as group:
            group.add(3, 5 * CHUNK_SIZE)
            group[1].write(PATH, several(20))
            first = group[1].backup(PATH, 2)
            assert first.below_degree == 15
            missing = [no for no, holders in group.copies(first.file_id).items() if holders == [2]]
            group.add(4)
            since = group.clock.seconds()
            second = group[1].backup(PATH, 2)
            assert second.below_degree == 0
            assert put_since(group, since) == sorted(missing)

    def test_a_file_that_was_only_touched_keeps_its_id(self) -> None:
        """SPEC.md 3.32: it is read and compared once, and what was recorded is brought up to date."""
        with Group(1, 2) as group:
            content = several(20)
            group[1].write(PATH, content)
            first = group[1].backup(PATH, 1)
            group[1].write(PATH, content)
            since = group.clock.seconds()
            assert group[1].backup(PATH, 1).file_id == first.file_id
            assert put_since(group, since) == []
            reads: list[Operation] = []
            group[1].disk.intercept(lambda done: reads.append(done) if done.kind == "read" else None)
            assert group[1].backup(PATH, 1).file_id == first.file_id
            assert [done for done in reads if done.path == PATH] == []

    def test_chunks_whose_digests_are_by_another_algorithm_are_unchanged(self) -> None:
        """SPEC.md 9.5, 3.32: touched or not, and what is sent again is recorded by the new one."""
        with Group(1, 2) as group:
            content = several(20)
            group[1].write(PATH, content)
            with version_1():
                first = group[1].backup(PATH, 1)
            group[1].write(PATH, content)
            since = group.clock.seconds()
            assert group[1].backup(PATH, 1).file_id == first.file_id
            assert put_since(group, since) == []
            group.add(3)
            second = group[1].backup(PATH, 2)
            assert (second.file_id, second.below_degree) == (first.file_id, 0)
            assert {chunk.digest and chunk.digest.algorithm for chunk in recorded(group[1])} == {BLAKE3}
            assert group[1].restore(PATH) == content

    def test_a_change_shows_whichever_algorithm_the_digests_are_by(self) -> None:
        """SPEC.md 9.5, 3.32."""
        with Group(1, 2) as group:
            content = several(20)
            group[1].write(PATH, content)
            with version_1():
                first = group[1].backup(PATH, 1)
            group[1].write(PATH, content[:-1] + b"!")
            assert group[1].backup(PATH, 1).file_id != first.file_id

    def test_a_file_of_the_same_size_with_other_bytes_is_another_version(self) -> None:
        """SPEC.md 3.32, 3.34."""
        with Group(1, 2) as group:
            content = several(40)
            group[1].write(PATH, content)
            first = group[1].backup(PATH, 1)
            changed = content[:-1] + b"!"
            group[1].write(PATH, changed)
            second = group[1].backup(PATH, 1)
            assert second.file_id != first.file_id
            group.pass_time(LATER)
            assert group[1].restore(PATH) == changed


class TestJoining:
    def test_a_second_backup_of_a_file_that_has_changed_since_the_first_read_it_backs_up_the_change(
        self,
    ) -> None:
        """SPEC.md 3.28, 3.33."""
        with Group(1, 2) as group:
            group[1].write(PATH, b"what the first reads")
            first = begin_read(group)
            group.pass_time(0.02)
            group[1].write(PATH, b"what the second is asked for")
            second = group[1].begin_backup(PATH, 1)
            assert group.run(first).file_id != group.run(second).file_id
            assert group[1].restore(PATH) == b"what the second is asked for"

    def test_one_whose_file_is_gone_by_then_says_so(self) -> None:
        """SPEC.md 3.28: what the first has read is not what the second was asked for."""
        with Group(1, 2) as group:
            group[1].write(PATH, SMALL)
            first = begin_read(group)
            group.pass_time(0.02)
            group[1].disk.remove(PATH)
            second = group[1].begin_backup(PATH, 1)
            assert group.run(first).below_degree == 0
            assert refusal(group, second) is ErrorCode.PATH_MISSING

    def test_one_whose_file_can_not_be_looked_at_then_reads_it_itself(self) -> None:
        """SPEC.md 3.28: and is told what is wrong with it, if it still is."""
        with Group(1, 2) as group:
            group[1].write(PATH, SMALL)
            first = begin_read(group)
            group.pass_time(0.02)
            group[1].disk.fail("stat", errno.EIO, where=PATH, times=1)
            second = group[1].begin_backup(PATH, 1)
            assert group.run(first).file_id == group.run(second).file_id
            assert not group.errors

    @pytest.mark.parametrize("step", range(20))
    def test_one_that_comes_during_a_delete_backs_up_after_it(self, step: int) -> None:
        """SPEC.md 5.4: it is a new backup, whenever in the DELETE it comes."""
        with Group(2) as group:
            group.add(1, disk_seconds=0.1)
            group[1].write(PATH, SMALL)
            old = group[1].backup(PATH, 1)
            delete = group[1].begin_delete(PATH)
            group.pass_time(step * 0.01)
            new = group[1].begin_backup(PATH, 1)
            group.run(delete)
            report = group.run(new)
            assert report.file_id != old.file_id
            group.pass_time(LATER)
            assert [version.file_id.hex() for version in versions(group[1])] == [report.file_id]
            assert group.copies(report.file_id) == {0: [2]}

    def test_one_that_comes_for_the_change_that_fails_the_first_backs_it_up(self) -> None:
        """SPEC.md 3.28, 3.33."""
        with Group(1) as group:
            group[1].write(PATH, several(2))
            first = begin_read(group)
            group.pass_time(0.02)
            group[1].write(PATH, SMALL)
            second = group[1].begin_backup(PATH, 1)
            group.add(2)
            assert refusal(group, first) is ErrorCode.SOURCE_CHANGED
            assert group.run(second).below_degree == 0
            assert [version.size for version in versions(group[1])] == [len(SMALL)]

    @pytest.mark.parametrize("step", range(18))
    def test_one_whose_file_has_come_since_the_first_found_none_backs_it_up(self, step: int) -> None:
        """SPEC.md 3.28: whenever it comes, the first is told that there is no file, or backs it up too."""
        with Group(2) as group:
            group.add(1, disk_seconds=0.05)
            first = group[1].begin_backup(PATH, 1)
            let_go(first)
            group.pass_time(step * 0.002)
            group[1].write(PATH, SMALL)
            second = group[1].begin_backup(PATH, 1)
            assert group.run(second).below_degree == 0

    def test_one_that_comes_when_there_is_a_peer_at_last_is_not_told_that_there_was_none(self) -> None:
        """SPEC.md 3.28."""
        with Group(1) as group:
            group[1].write(PATH, SMALL)
            first = group[1].begin_backup(PATH, 1)
            group.pass_time(20.0)
            group.add(2)
            second = group[1].begin_backup(PATH, 1)
            assert refusal(group, first) is ErrorCode.NO_COPIES
            assert group.run(second).below_degree == 0

    def test_all_that_come_during_one_run_share_the_one_that_follows(self) -> None:
        """SPEC.md 3.28: though the file goes on changing, since that one began after they were asked for."""
        with Group(1, 2) as group:
            group[1].write(PATH, SMALL)
            first = begin_read(group)
            group.pass_time(0.02)
            group[1].write(PATH, SMALL + b"of before they come")
            others = [group[1].begin_backup(PATH, 1) for _each in range(8)]
            seen = len({message.file_id for _, message in group.said(PutChunk)})
            while not all(other.called for other in others):
                group.pass_time(0.02)
                sent = len({message.file_id for _, message in group.said(PutChunk)})
                if sent > seen:
                    seen = sent
                    group[1].write(PATH, SMALL + b"%d" % sent)
            [shared] = {group.run(other).file_id for other in others}
            assert group.run(first).file_id != shared

    @pytest.mark.parametrize("step", range(0, 53, 2))
    def test_a_delete_cancels_it_also_while_the_first_cleans_up_after_a_failure(self, step: int) -> None:
        """SPEC.md 5.4, 3.28: nothing is backed up for who came before the DELETE."""
        with Group(2) as group:
            group.add(1, disk_seconds=0.05)
            group[1].write(PATH, several(40))
            let_go(begin_read(group))
            group[1].write(PATH, several(42, b"z"))
            second = group[1].begin_backup(PATH, 1)
            group.pass_time(step * 0.002)
            let_go(group[1].begin_delete(PATH))
            assert refusal(group, second) is ErrorCode.CANCELLED
            group.pass_time(LATER)
            assert (versions(group[1]), group[2].held()) == ([], [])

    @pytest.mark.parametrize("step", range(14))
    def test_a_delete_cancels_it_also_while_it_is_looked_whether_the_first_answers_it(
        self, step: int
    ) -> None:
        """SPEC.md 5.4."""
        with Group(2) as group:
            group.add(1, disk_seconds=0.05)
            group[1].write(PATH, SMALL)
            first = begin_read(group)
            group.pass_time(0.15)
            group[1].write(PATH, SMALL)
            second = group[1].begin_backup(PATH, 1)
            group.run(first)
            group.pass_time(step * 0.004)
            delete = group[1].begin_delete(PATH)
            assert refusal(group, second) is ErrorCode.CANCELLED
            group.run(delete)
            assert versions(group[1]) == []

    def test_a_second_backup_of_the_path_joins_the_first(self) -> None:
        """SPEC.md 3.28, 7.5: by whatever spelling of the path."""
        with Group(1, 2) as group:
            group[1].write(PATH, several(20))
            running = [group[1].begin_backup(path, 1) for path in (PATH, "/home/./music/../photo", PATH)]
            reports = [group.run(one) for one in running]
            assert len({report.file_id for report in reports}) == 1
            assert put_since(group, 0.0) == list(range(20))
            assert len(versions(group[1])) == 1

    def test_one_that_comes_in_the_middle_gets_the_result_too(self) -> None:
        """SPEC.md 3.28."""
        with Group(1, 2) as group:
            group[1].write(PATH, several(3))
            first = group[1].begin_backup(PATH, 2)
            group.pass_time(10.0)
            second = group[1].begin_backup(PATH, 2)
            assert group.run(first).below_degree == 3
            report = group.run(second)
            assert report.below_degree == 3
            assert report.seconds == pytest.approx(21.0, abs=0.1)

    def test_a_higher_degree_is_run_for_after_the_first(self) -> None:
        """SPEC.md 3.28."""
        with Group(1, 2, 3) as group:
            group[1].write(PATH, several(20))
            first, second = group[1].begin_backup(PATH, 1), group[1].begin_backup(PATH, 2)
            assert group.run(first).desired == 1
            report = group.run(second)
            assert (report.desired, report.perceived_min) == (2, 2)
            assert group.copies(report.file_id) == {no: [2, 3] for no in range(20)}

    def test_a_delete_cancels_it(self) -> None:
        """SPEC.md 3.28, 5.4: for all that have joined."""
        with Group(1, 2) as group:
            group[1].write(PATH, several(20))
            running = [group[1].begin_backup(PATH, 2) for _joined in range(2)]
            group.pass_time(5.0)
            group[1].delete(PATH)
            for one in running:
                assert refusal(group, one) is ErrorCode.CANCELLED
            group.pass_time(60.0)
            assert group[2].held() == []
            assert versions(group[1]) == []

    def test_a_restore_meanwhile_serves_the_newest_complete_version(self) -> None:
        """SPEC.md 3.28, 4.12."""
        with Group(1, 2) as group:
            group[1].write(PATH, SMALL)
            group[1].backup(PATH, 1)
            group[1].write(PATH, several(3))
            running = group[1].begin_backup(PATH, 2)
            group.pass_time(5.0)
            assert group[1].restore(PATH) == SMALL
            group.run(running)
            assert group[1].restore(PATH) == several(3)


class TestNewVersion:
    def test_it_replaces_the_old_one_once_it_has_its_degree(self) -> None:
        """SPEC.md 3.34."""
        with Group(1, 2, 3) as group:
            group[1].write(PATH, several(20))
            old = group[1].backup(PATH, 2)
            group[1].write(PATH, several(10, b"y"))
            new = group[1].backup(PATH, 2)
            assert [version.file_id.hex() for version in versions(group[1])] == [new.file_id]
            group.pass_time(LATER)
            assert group.copies(old.file_id) == {}
            assert group.copies(new.file_id) == {no: [2, 3] for no in range(10)}

    def test_until_then_the_old_one_stays(self) -> None:
        """SPEC.md 3.34: it may be the only one that lasts."""
        with Group(1, 2, 3) as group:
            group[1].write(PATH, several(4))
            old = group[1].backup(PATH, 2)
            group[3].stop()
            group[1].write(PATH, several(5, b"y"))
            new = group[1].backup(PATH, 2)
            assert new.below_degree == 5
            group.pass_time(LATER)
            assert set(group.copies(old.file_id)) == set(range(4))
            assert group.messages(Delete) == []
            group[3].start()
            assert group[1].backup(PATH, 2).file_id == new.file_id
            group.pass_time(LATER)
            assert group.copies(old.file_id) == {}
            assert group.copies(new.file_id) == {no: [2, 3] for no in range(5)}
