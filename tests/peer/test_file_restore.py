"""How RESTORE makes a file of chunks (SPEC.md section 4, "A file")."""

from __future__ import annotations

import errno

import pytest

from peer.errors import ErrorCode, OperationError
from protocol.messages import GetChunk
from protocol.values import CHUNK_SIZE
from storage.interfaces import VersionState
from tests.peer.backups import several
from tests.support.group import Group
from tests.support.lan import Link

PATH = "/home/photo.jpg"
FOLDER = "/store/restored"


def folder(group: Group) -> list[str]:
    """The names in the restore folder of peer 1."""
    return group[1].disk.list_directory(FOLDER)


def backed_up(group: Group, content: bytes, degree: int = 1) -> str:
    """Have peer 1 back the content up; its fileId."""
    group[1].write(PATH, content)
    report = group[1].backup(PATH, degree)
    assert report.below_degree == 0
    return report.file_id


class TestBytes:
    @pytest.mark.parametrize(
        "size", [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE, 20 * CHUNK_SIZE + 7]
    )
    def test_a_file_of_any_size_comes_back_as_it_was(self, size: int) -> None:
        """SPEC.md 1.6, 4.5, 4.13: though the original is gone."""
        content = several(size // CHUNK_SIZE + 2)[:size]
        with Group(1, 2, 3) as group:
            backed_up(group, content, degree=2)
            group[1].disk.remove(PATH)
            report = group.run(group[1].begin_restore(PATH))
            assert group[1].disk.read_file(report.path) == content
            assert (report.bytes, report.chunks) == (size, size // CHUNK_SIZE + 1)

    def test_after_restarts_of_everybody(self) -> None:
        with Group(1, 2) as group:
            backed_up(group, several(5))
            for member in group.members.values():
                member.kill()
            for member in group.members.values():
                member.start()
            assert group[1].restore(PATH) == several(5)

    def test_over_a_network_that_loses_and_doubles_and_reorders(self) -> None:
        """SPEC.md 1.12, 4.3."""
        with Group(1, 2, 3, seed=5) as group:
            backed_up(group, several(40), degree=2)
            group.lan.link = Link(loss=0.2, duplication=0.1, max_latency=0.05)
            assert group[1].restore(PATH) == several(40)

    def test_from_the_one_holder_that_is_left(self) -> None:
        with Group(1, 2, 3) as group:
            backed_up(group, several(20), degree=2)
            group[3].stop()
            assert group[1].restore(PATH) == several(20)


class TestPlace:
    def test_it_goes_into_the_folder_under_its_own_name(self) -> None:
        """SPEC.md 4.13."""
        with Group(1, 2) as group:
            backed_up(group, several(3))
            assert group.run(group[1].begin_restore(PATH)).path == f"{FOLDER}/photo.jpg"
            assert folder(group) == ["photo.jpg"]

    def test_it_never_replaces_a_file(self) -> None:
        """SPEC.md 4.13: neither one restored before nor one that the user has put there."""
        with Group(1, 2) as group:
            backed_up(group, several(3))
            group[1].write(f"{FOLDER}/photo (1).jpg", b"the user's")
            paths = [group.run(group[1].begin_restore(PATH)).path for _ in range(3)]
            names = ["photo.jpg", "photo (2).jpg", "photo (3).jpg"]
            assert paths == [f"{FOLDER}/{name}" for name in names]
            assert folder(group) == sorted([*names, "photo (1).jpg"])
            assert group[1].disk.read_file(f"{FOLDER}/photo (1).jpg") == b"the user's"

    def test_two_at_the_same_time_get_a_file_each(self) -> None:
        """SPEC.md 4.13."""
        with Group(1, 2) as group:
            backed_up(group, several(20))
            running = [group[1].begin_restore(PATH) for _ in range(2)]
            paths = {group.run(one).path for one in running}
            assert len(paths) == 2
            assert all(group[1].disk.read_file(path) == several(20) for path in paths)

    def test_it_has_its_name_only_when_it_is_whole_and_lasts_from_then_on(self) -> None:
        """SPEC.md 4.13: synced before it is told."""
        with Group(1, 2) as group:
            backed_up(group, several(200))
            running = group[1].begin_restore(PATH)
            while not running.called:
                if "photo.jpg" in folder(group):
                    assert group[1].disk.read_file(f"{FOLDER}/photo.jpg") == several(200)
                group.pass_time(0.001)
            group[1].kill()
            group[1].start()
            assert group[1].disk.read_file(f"{FOLDER}/photo.jpg") == several(200)


class TestVersion:
    def test_the_newest_complete_one_is_restored_while_a_newer_one_is_under_way(self) -> None:
        """SPEC.md 4.12: also after a restart."""
        with Group(1, 2) as group:
            old = backed_up(group, several(3))
            group[1].write(PATH, several(4, b"y"))
            group[1].begin_backup(PATH, 2).addErrback(lambda _stopped: None)
            group.pass_time(5.0)
            assert group[1].restore(PATH) == several(3)
            group[1].restart()
            group.pass_time(1.0)
            report = group.run(group[1].begin_restore(PATH))
            assert report.file_id == old
            group.pass_time(60.0)
            assert group[1].restore(PATH) == several(4, b"y")

    def test_one_that_is_complete_below_its_degree_is_newer_all_the_same(self) -> None:
        """SPEC.md 3.34, 3.35, 4.12."""
        with Group(1, 2) as group:
            backed_up(group, several(3))
            group[1].write(PATH, several(4, b"y"))
            assert group[1].backup(PATH, 2).perceived_min == 1
            storage = group[1].storage
            assert storage is not None
            states = [version.state for version in storage.catalog.versions(PATH)]
            assert states == [VersionState.COMPLETE, VersionState.COMPLETE]
            assert group[1].restore(PATH) == several(4, b"y")

    def test_a_path_that_is_spelled_otherwise_is_the_same(self) -> None:
        """SPEC.md 7.5."""
        with Group(1, 2) as group:
            backed_up(group, several(3))
            assert group[1].restore("/home/music/..//./photo.jpg") == several(3)


class TestFailure:
    def refusal(self, group: Group) -> ErrorCode:
        """The code with which RESTORE fails."""
        with pytest.raises(OperationError) as raised:
            group[1].restore(PATH)
        return raised.value.code

    def test_a_full_disk_fails_it_and_nothing_is_left(self) -> None:
        """SPEC.md 4.14."""
        with Group(1, 2) as group:
            backed_up(group, several(20))
            group[1].disk.fail("write", errno.ENOSPC, where=FOLDER)
            assert self.refusal(group) is ErrorCode.DISK_FULL
            assert folder(group) == []
            group[1].disk.mend()
            assert group[1].restore(PATH) == several(20)

    def test_a_delete_of_the_path_ends_it_and_nothing_is_left(self) -> None:
        """SPEC.md 4.16, 5.4."""
        for seconds in (0.0, 0.001, 0.003, 0.005, 0.01, 0.1, 0.3):
            with Group(1, 2) as group:
                backed_up(group, several(200))
                running = group[1].begin_restore(PATH)
                group.pass_time(seconds)
                group[1].delete(PATH)
                with pytest.raises(OperationError) as raised:
                    group.run(running)
                assert raised.value.code is ErrorCode.CANCELLED
                group.pass_time(1.0)
                assert folder(group) == []

    @pytest.mark.parametrize("times", [1, 2])
    def test_one_that_is_ended_when_its_file_has_its_name_says_so(self, times: int) -> None:
        """SPEC.md 4.16: a user who was told that it was cancelled would not expect the file."""
        with Group() as group:
            group.add(1, disk_seconds=0.2)
            group.add(2)
            backed_up(group, several(20))
            running = group[1].begin_restore(PATH)
            while folder(group) != ["photo.jpg"]:
                group.pass_time(0.001)
                assert not running.called
            deletions = [group[1].begin_delete(PATH) for _ in range(times)]
            report = group.run(running)
            assert group[1].disk.read_file(report.path) == several(20)
            assert group.run(deletions[0]).file_id == report.file_id
            for late in deletions[1:]:
                late.addErrback(lambda failure: failure.trap(OperationError))

    def test_what_a_crash_leaves_is_removed_at_the_next_start(self) -> None:
        """SPEC.md 9.15: the user's own files in the folder stay."""
        with Group(1, 2) as group:
            backed_up(group, several(200))
            group[1].write(f"{FOLDER}/mine", b"the user's")
            group[1].begin_restore(PATH)
            while len(group.said(GetChunk)) < 100:
                group.pass_time(0.01)
            group[1].disk.sync_directory(FOLDER)
            group[1].kill()
            assert len(folder(group)) == 2
            group[1].start()
            assert folder(group) == ["mine"]
            assert group[1].restore(PATH) == several(200)

    def test_all_holders_gone_fails_it_after_31_s(self) -> None:
        """SPEC.md 4.3, 4.14: and not later for a file of more chunks."""
        with Group(1, 2) as group:
            backed_up(group, several(500))
            group[2].stop()
            began = group.clock.seconds()
            assert self.refusal(group) is ErrorCode.CHUNKS_MISSING
            assert group.clock.seconds() - began == pytest.approx(31.0, abs=0.5)
            assert folder(group) == []
            group[2].start()
            assert group[1].restore(PATH) == several(500)
