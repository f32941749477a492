"""How BACKUP makes chunk backups of a file (SPEC.md section 3, "A file")."""

from __future__ import annotations

from hashlib import sha256

import pytest
from twisted.internet.defer import Deferred

from peer.control.interfaces import BackupReport, Progress
from peer.errors import ErrorCode
from protocol.digest import Digest
from protocol.messages import Delete, PutChunk
from protocol.values import CHUNK_SIZE, FileId
from storage.interfaces import VersionState
from tests.peer.backups import LATER, PATH, SMALL, recorded, refusal, several, versions
from tests.support.group import Group
from tests.support.stranger import Stranger


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
