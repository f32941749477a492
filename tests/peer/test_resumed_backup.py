"""A backup that a crash or a stop has cut off goes on by itself, and does nothing twice (SPEC.md 3.36 to 3.38)."""

from __future__ import annotations

import pytest

from peer.errors import ErrorCode, OperationError
from protocol.messages import Delete, PutChunk
from protocol.values import CHUNK_SIZE, ChunkId, FileId
from storage.interfaces import VersionState
from tests.peer.backups import LATER, PATH, SMALL, refusal, several, versions
from tests.peer.copies import say_removed
from tests.support.group import Group, Member
from tests.support.stranger import Stranger

CHUNKS = 40
ROOM = 30
"""Chunks that the second holder has room for; the others keep a backup of degree 2 waiting."""


def two_holders(group: Group) -> None:
    """Let one computer join that takes all, and one that takes some."""
    group.add(2)
    group.add(3, ROOM * CHUNK_SIZE)


def interrupt(member: Member, how: str) -> None:
    """End a peer, and start it again after a while."""
    if how == "stop":
        member.stop()
    else:
        member.kill()
    member.group.pass_time(1.0)
    member.start()


def missing(group: Group, file_id: str) -> list[int]:
    """The chunks that only one peer holds."""
    return sorted(no for no, holders in group.copies(file_id).items() if len(holders) < 2)


@pytest.mark.parametrize("how", ["stop", "kill"])
class TestResuming:
    @pytest.mark.parametrize("after", [0.002, 0.01, 0.05, 0.2, 0.5, 1.5, 5.0, 20.0])
    def test_it_comes_to_its_end_by_itself(self, how: str, after: float) -> None:
        """SPEC.md 3.36: whenever it was cut off."""
        with Group(1, 2, 3) as group:
            group[1].write(PATH, several(CHUNKS))
            group[1].begin_backup(PATH, 2).addErrback(lambda _stopped: None)
            group.pass_time(after)
            interrupt(group[1], how)
            group.pass_time(5.0)
            if not versions(group[1]):
                # Nothing was begun that could be gone on with.
                assert after < 0.05
                return
            [version] = versions(group[1])
            assert (version.state, version.degree_met) == (VersionState.COMPLETE, True)
            assert group.copies(version.file_id.hex()) == {no: [2, 3] for no in range(CHUNKS)}
            assert len({message.file_id for _, message in group.said(PutChunk)}) == 1
            assert group[1].restore(PATH) == several(CHUNKS)

    @pytest.mark.parametrize("after", [2.5, 5.0, 20.0, 30.0])
    def test_only_chunks_below_their_degree_are_sent(self, how: str, after: float) -> None:
        """SPEC.md 3.36: what was met seconds ago is no longer what a crash may forget."""
        with Group(1) as group:
            two_holders(group)
            group[1].write(PATH, several(CHUNKS))
            group[1].begin_backup(PATH, 2).addErrback(lambda _stopped: None)
            group.pass_time(after)
            interrupt(group[1], how)
            since = group.clock.seconds()
            group.pass_time(0.9)
            [version] = versions(group[1])
            sent = sorted(message.chunk_no for _, message in group.said(PutChunk, since=since))
            assert sent == missing(group, version.file_id.hex())
            assert len(sent) == CHUNKS - ROOM
            group.add(4)
            group.pass_time(60.0)
            assert missing(group, version.file_id.hex()) == []

    def test_a_file_that_has_changed_is_backed_up_afresh(self, how: str) -> None:
        """SPEC.md 3.37: the unfinished version is deleted from the group."""
        with Group(1, 2) as group:
            group[1].write(PATH, several(CHUNKS))
            group[1].begin_backup(PATH, 2).addErrback(lambda _stopped: None)
            group.pass_time(5.0)
            [unfinished] = versions(group[1])
            if how == "stop":
                group[1].stop()
            else:
                group[1].kill()
            group[1].write(PATH, several(3, b"y"))
            group[1].start()
            group.pass_time(LATER)
            [version] = versions(group[1])
            assert version.file_id != unfinished.file_id
            assert version.desired == 2
            assert {message.file_id for message in group.messages(Delete)} == {unfinished.file_id}
            assert group.copies(unfinished.file_id.hex()) == {}
            group.add(3)
            group.pass_time(LATER)
            assert group.copies(version.file_id.hex()) == {no: [2, 3] for no in range(3)}

    def test_a_file_that_is_gone_keeps_its_unfinished_version(self, how: str) -> None:
        """SPEC.md 5.12: the disk that it was on may come back; nobody has deleted it."""
        with Group(1, 2) as group:
            group[1].write(PATH, several(3))
            group[1].begin_backup(PATH, 2).addErrback(lambda _stopped: None)
            group.pass_time(5.0)
            [unfinished] = versions(group[1])
            if how == "stop":
                group[1].stop()
            else:
                group[1].kill()
            group[1].disk.remove(PATH)
            group[1].start()
            group.pass_time(60.0)
            assert versions(group[1]) == [unfinished]
            assert set(group.copies(unfinished.file_id.hex())) == set(range(3))
            [warning] = group.warnings
            assert PATH in warning


def test_a_stop_in_good_order_forgets_nothing() -> None:
    """SPEC.md 3.36: not even what was met a moment ago."""
    with Group(1) as group:
        two_holders(group)
        group[1].write(PATH, several(CHUNKS))
        group[1].begin_backup(PATH, 2).addErrback(lambda _stopped: None)
        group.pass_time(0.9)
        group[1].restart()
        since = group.clock.seconds()
        group.pass_time(0.9)
        assert len(group.said(PutChunk, since=since)) == CHUNKS - ROOM


class TestChunksThatNobodyHolds:
    def test_the_version_stays_under_way_and_is_tried_again_at_the_next_start(self) -> None:
        """SPEC.md 3.38."""
        with Group(1) as group:
            group.add(2, 2 * CHUNK_SIZE)
            group[1].write(PATH, several(4))
            assert refusal(group, group[1].begin_backup(PATH, 1)) is ErrorCode.NO_COPIES
            [version] = versions(group[1])
            assert version.state is VersionState.UNDER_WAY
            file_id = version.file_id.hex()
            with pytest.raises(OperationError) as raised:
                group[1].restore(PATH)
            assert raised.value.code is ErrorCode.NOT_YET_COMPLETE
            group.add(3)
            group.pass_time(60.0)
            assert set(group.copies(file_id)) != set(range(4))
            group[1].restart()
            group.pass_time(LATER)
            assert set(group.copies(file_id)) == set(range(4))
            assert group[1].restore(PATH) == several(4)

    def test_or_by_the_next_backup_of_the_path(self) -> None:
        """SPEC.md 3.38."""
        with Group(1) as group:
            group[1].write(PATH, several(4))
            with pytest.raises(OperationError, match="No peer took 4 of the 4 chunks"):
                group[1].backup(PATH, 1)
            [version] = versions(group[1])
            group.add(2)
            again = group[1].backup(PATH, 1)
            assert again.file_id == version.file_id.hex()
            assert (again.perceived_min, again.below_degree) == (1, 0)
            assert group[1].restore(PATH) == several(4)

    def test_a_complete_version_that_lost_its_last_copy_is_tried_again_too(self) -> None:
        """SPEC.md 3.36, 3.38: at the next start."""
        with Group(1, 2) as group:
            group[1].write(PATH, SMALL)
            file_id = group[1].backup(PATH, 1).file_id
            group[2].stop()
            say_removed(Stranger(group), ChunkId(FileId.from_hex(file_id), 0), 2)
            group.pass_time(40.0)
            assert refusal(group, group[1].begin_backup(PATH, 1)) is ErrorCode.NO_COPIES
            group.add(3)
            group[1].restart()
            group.pass_time(LATER)
            assert group.copies(file_id) == {0: [3]}

    def test_an_older_complete_version_is_served_meanwhile(self) -> None:
        """SPEC.md 3.35, 4.12."""
        with Group(1) as group:
            group.add(2, 3 * CHUNK_SIZE)
            group[1].write(PATH, several(3))
            group[1].backup(PATH, 1)
            group[1].write(PATH, several(3, b"y"))
            assert refusal(group, group[1].begin_backup(PATH, 1)) is ErrorCode.NO_COPIES
            assert group[1].restore(PATH) == several(3)
