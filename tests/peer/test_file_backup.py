"""How BACKUP makes chunk backups of a file, once and again (SPEC.md section 3, "A file")."""

from __future__ import annotations

from hashlib import sha256

import pytest
from twisted.internet.defer import Deferred

from peer.control.interfaces import BackupReport, Progress
from peer.errors import ErrorCode, OperationError
from protocol.digest import BLAKE3, Digest
from protocol.messages import Delete, PutChunk
from protocol.values import CHUNK_SIZE, FileId
from storage.interfaces import FileVersion, HomeChunk, VersionState
from tests.support.disk import Operation
from tests.support.group import Group, Member
from tests.support.stranger import Stranger
from tests.support.version_1 import version_1

PATH = "/home/photo"
SMALL = b"a small file"
LATER = 10.0
"""Long enough for every DELETE, and for what follows from it."""


def several(count: int, letter: bytes = b"x") -> bytes:
    """A file of so many chunks, no two of them alike."""
    bodies = [b"%06d" % no + letter * (CHUNK_SIZE - 6) for no in range(count - 1)]
    return b"".join(bodies) + b"the last"


def put_since(group: Group, since: float) -> list[int]:
    """The numbers of the chunks that peer 1 has sent since a time, each as often as it was sent."""
    return sorted(message.chunk_no for _, message in group.said(PutChunk, by=1, since=since))


def versions(member: Member, path: str = PATH) -> list[FileVersion]:
    """What the catalog has of the path, newest first."""
    assert member.storage is not None
    return member.storage.catalog.versions(path)


def recorded(member: Member) -> list[HomeChunk]:
    """What the catalog has of the chunks of the newest version."""
    assert member.storage is not None
    return member.storage.catalog.chunks(versions(member)[0].version_id, 0, 100)


def refusal(group: Group, running: Deferred[BackupReport]) -> ErrorCode:
    """The code with which BACKUP fails."""
    with pytest.raises(OperationError) as raised:
        group.run(running)
    return raised.value.code


class TestRecord:
    def test_the_digest_of_every_chunk_is_recorded_with_its_holders(self) -> None:
        """SPEC.md 3.26."""
        with Group(1, 2, 3) as group:
            content = several(5)
            group[1].write(PATH, content)
            group[1].backup(PATH, 2)
            assert [chunk.chunk_no for chunk in recorded(group[1])] == [0, 1, 2, 3, 4]
            for chunk in recorded(group[1]):
                start = chunk.chunk_no * CHUNK_SIZE
                assert chunk.digest == Digest.of(content[start : start + CHUNK_SIZE])
                assert chunk.holders == {2, 3}

    def test_a_file_is_complete_when_every_chunk_has_a_holder(self) -> None:
        """SPEC.md 3.35: though its degree is not met."""
        with Group(1, 2) as group:
            group[1].write(PATH, several(3))
            running = group[1].begin_backup(PATH, 2)
            group.pass_time(20.0)
            [version] = versions(group[1])
            assert version.state is VersionState.UNDER_WAY
            group.run(running)
            [version] = versions(group[1])
            assert (version.state, version.degree_met) == (VersionState.COMPLETE, False)

    def test_progress_is_told_up_to_the_last_chunk(self) -> None:
        with Group(1, 2) as group:
            group[1].write(PATH, several(300))
            told: list[Progress] = []
            peer = group[1].peer
            assert peer is not None
            group.run(peer.operations.backup(PATH, 1, told.append))
            assert told[-1] == Progress(done=300, total=300)
            assert [progress.done for progress in told] == sorted(progress.done for progress in told)

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_a_catalog_that_takes_long_to_write_is_told_of_each_chunk_once(self, seed: int) -> None:
        """SPEC.md 3.35: what ends while it writes is neither counted twice nor left out."""
        with Group(2, seed=seed) as group:
            home = group.add(1, disk_seconds=8.0)
            home.write(PATH, several(3))
            told: list[Progress] = []
            peer = home.peer
            assert peer is not None
            report = group.run(peer.operations.backup(PATH, 2, told.append))
            assert (report.perceived_min, report.below_degree) == (1, 3)
            assert [progress.done for progress in told] == [1, 2, 3]


class TestFileId:
    def test_it_is_the_digest_of_salt_path_size_and_time(self) -> None:
        """SPEC.md 3.30: the salt is kept, and never sent."""
        with Group(1, 2) as group:
            stranger = Stranger(group)
            group[1].write(PATH, SMALL)
            report = group[1].backup(PATH, 1)
            [version] = versions(group[1])
            assert len(version.salt) == 32
            described = f"{PATH}\0{len(SMALL)}\0{version.fingerprint.mtime_ns}".encode()
            assert report.file_id == sha256(version.salt + described).hexdigest()
            for heard in stranger.everything:
                assert version.salt not in heard.payload
                assert version.salt.hex().encode() not in heard.payload.lower()

    def test_a_file_that_comes_back_to_what_it_was_gets_another_id(self) -> None:
        """SPEC.md 3.31."""
        with Group(1, 2) as group:
            ids = []
            for content in (SMALL, b"something else", SMALL):
                group[1].write(PATH, content)
                ids.append(group[1].backup(PATH, 1).file_id)
            group[1].delete(PATH)
            ids.append(group[1].backup(PATH, 1).file_id)
            assert len(set(ids)) == 4


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
            first = group[1].begin_backup(PATH, 1)
            while not group.said(PutChunk):
                group.pass_time(0.001)
            group.pass_time(0.02)
            group[1].write(PATH, b"what the second is asked for")
            second = group[1].begin_backup(PATH, 1)
            assert group.run(first).file_id != group.run(second).file_id
            assert group[1].restore(PATH) == b"what the second is asked for"

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


class TestChangedMeanwhile:
    def begin(self, group: Group, degree: int = 2) -> tuple[Deferred[BackupReport], FileId]:
        """Have a backup wait for a second holder that doesn't come."""
        group[1].write(PATH, several(20))
        running = group[1].begin_backup(PATH, degree)
        group.pass_time(0.9)
        [file_id] = {message.file_id for _, message in group.said(PutChunk)}
        return running, file_id

    @pytest.mark.parametrize("change", ["written", "longer", "shorter", "removed"])
    def test_the_backup_fails_and_what_was_sent_is_deleted(self, change: str) -> None:
        """SPEC.md 3.33."""
        with Group(1, 2) as group:
            running, file_id = self.begin(group)
            if change == "removed":
                group[1].disk.remove(PATH)
            else:
                size = {"written": 20, "longer": 21, "shorter": 3}[change]
                group[1].write(PATH, several(size, b"y"))
            assert refusal(group, running) is ErrorCode.SOURCE_CHANGED
            assert versions(group[1]) == []
            group.pass_time(LATER)
            assert {message.file_id for message in group.messages(Delete)} == {file_id}
            assert group[2].held() == []

    def test_it_fails_also_when_every_chunk_has_its_degree(self) -> None:
        """SPEC.md 3.33: what was read before the change and what was read after it belong to no file."""
        with Group(1, 2) as group:
            group[1].write(PATH, several(200))
            running = group[1].begin_backup(PATH, 1)
            while not group.said(PutChunk):
                group.pass_time(0.001)
            group[1].write(PATH, several(200, b"y"))
            assert refusal(group, running) is ErrorCode.SOURCE_CHANGED
            group.pass_time(LATER)
            assert (group[2].held(), versions(group[1])) == ([], [])

    def test_a_change_after_all_was_read_is_for_the_next_backup(self) -> None:
        """SPEC.md 3.33, 3.34: what was read is a file that there was."""
        with Group(1, 2) as group:
            group[1].write(PATH, several(20))
            running = group[1].begin_backup(PATH, 1)
            while len(group.said(PutChunk)) < 20:
                group.pass_time(0.001)
            group[1].write(PATH, several(20, b"y"))
            first = group.run(running)
            assert (first.below_degree, group[1].restore(PATH)) == (0, several(20))
            second = group[1].backup(PATH, 1)
            assert second.file_id != first.file_id
            assert group[1].restore(PATH) == several(20, b"y")

    def test_other_bytes_are_never_sent_in_a_chunks_name(self) -> None:
        """SPEC.md 3.27: not even if nothing but the bytes has changed."""
        with Group(1, 2) as group:
            running, _file_id = self.begin(group)
            group[1].disk.flip_bit(PATH, 5 * CHUNK_SIZE + 77)
            assert refusal(group, running) is ErrorCode.SOURCE_CHANGED
            bodies: dict[int, set[bytes]] = {}
            for _, message in group.said(PutChunk):
                bodies.setdefault(message.chunk_no, set()).add(bytes(message.body))
            assert all(len(sent) == 1 for sent in bodies.values())
            group.pass_time(LATER)
            assert group[2].held() == []

    def test_a_version_that_was_complete_stays(self) -> None:
        """SPEC.md 3.33."""
        with Group(1, 2) as group:
            group[1].write(PATH, several(20))
            complete = group[1].backup(PATH, 1)
            running = group[1].begin_backup(PATH, 2)
            group.pass_time(0.9)
            group[1].write(PATH, several(21))
            assert refusal(group, running) is ErrorCode.SOURCE_CHANGED
            group.pass_time(LATER)
            assert [version.file_id.hex() for version in versions(group[1])] == [complete.file_id]
            assert group[1].restore(PATH) == several(20)
