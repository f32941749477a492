"""What a peer does with a PUTCHUNK (SPEC.md section 3, "Answering PUTCHUNK")."""

from __future__ import annotations

import errno

import pytest

from peer.config import DEFAULT_GROUPS
from protocol.messages import Removed, Stored
from protocol.timing import MAX_RESPONSE_DELAY
from protocol.values import CHUNK_SIZE, MAX_CHUNK_NO, VERSION_1_0, ChunkId, FileId, PeerId
from tests.support.disk import Operation
from tests.support.group import Group
from tests.support.stranger import Stranger, chunk_id

CHUNK = chunk_id("photo")
OTHER = chunk_id("song")
BODY = b"the body of a chunk"
A_WHILE = 2.0
JITTER = 0.01
"""What the disk and the network may add to a delay."""


def held_ids(group: Group, peer_id: int) -> list[ChunkId]:
    return [held.chunk_id for held in group[peer_id].held()]


class TestStored:
    def test_a_chunk_that_is_stored_is_answered_on_mc(self) -> None:
        """SPEC.md 3.2."""
        with Group(2) as group:
            home = Stranger(group)
            home.putchunk(CHUNK, BODY, degree=3)
            group.pass_time(A_WHILE)
            [answer] = home.everything
            assert answer.message == Stored(VERSION_1_0, PeerId(2), *CHUNK)
            assert answer.group == DEFAULT_GROUPS.mc
            [held] = group[2].held()
            assert (held.chunk_id, held.length, held.desired) == (CHUNK, len(BODY), 3)
            assert held.holders == {2}

    def test_the_answer_waits_a_random_time_up_to_400_ms(self) -> None:
        """SPEC.md 1.11, 3.2: uniform, so that the answers of many are spread."""
        with Group(2) as group:
            home = Stranger(group)
            delays = []
            for no in range(200):
                began = group.clock.seconds()
                home.putchunk(chunk_id("film", no), BODY)
                group.pass_time(1.0)
                [answered] = home.times(Stored, since=began)
                delays.append(answered - began)
            assert max(delays) <= MAX_RESPONSE_DELAY + JITTER
            for quarter in range(4):
                low, high = 0.1 * quarter, 0.1 * (quarter + 1)
                assert 25 <= sum(low <= delay < high for delay in delays) <= 75

    def test_a_slow_disk_delays_the_answer_until_the_chunk_is_durable(self) -> None:
        """SPEC.md 3.2: after the delay or once it is durable, whichever is later."""
        with Group() as group:
            group.add(2, disk_seconds=10.0)
            home = Stranger(group)
            began = group.clock.seconds()
            home.putchunk(CHUNK, BODY)
            while not held_ids(group, 2):
                assert not home.heard(Stored)
                group.pass_time(0.05)
            group.pass_time(20.0)
            [answered] = home.times(Stored)
            assert answered - began > MAX_RESPONSE_DELAY

    def test_whoever_has_answered_holds_the_chunk_though_the_power_goes(self) -> None:
        """SPEC.md 3.2, 9.2."""
        with Group(2) as group:
            home = Stranger(group)
            home.putchunk(CHUNK, BODY)
            while not home.heard(Stored):
                group.pass_time(0.001)
            group[2].kill()
            group[2].start()
            assert held_ids(group, 2) == [CHUNK]

    def test_every_putchunk_for_a_chunk_held_is_answered(self) -> None:
        """SPEC.md 3.16: the earlier STORED may have been lost."""
        with Group(2) as group:
            home = Stranger(group)
            for repeats in range(1, 4):
                home.putchunk(CHUNK, BODY)
                group.pass_time(A_WHILE)
                assert len(home.heard(Stored)) == repeats
            group[2].restart()
            home.putchunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            assert len(home.heard(Stored)) == 4

    @pytest.mark.parametrize("pause", [0.0, 0.001, 0.02])
    def test_a_repeat_joins_the_write_and_the_answer_that_are_still_to_come(self, pause: float) -> None:
        """SPEC.md 3.20: whether the first is waiting to be written, or its STORED to be sent."""
        with Group(2, seed=3) as group:
            created: list[Operation] = []
            group[2].disk.intercept(lambda done: created.append(done) if done.kind == "create" else None)
            home = Stranger(group)
            home.putchunk(CHUNK, BODY)
            group.pass_time(pause)
            home.putchunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            assert len(home.heard(Stored)) == 1
            assert len(created) == 1


class TestWhatIsHeld:
    @pytest.mark.parametrize("length", [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE])
    @pytest.mark.parametrize("chunk_no", [0, 1, MAX_CHUNK_NO])
    def test_any_number_and_any_length_is_stored(self, chunk_no: int, length: int) -> None:
        """SPEC.md 3.22: there are homes that number from 1, or have no empty last chunk."""
        with Group(2) as group:
            home = Stranger(group)
            home.putchunk(chunk_id("photo", chunk_no), bytes(length))
            group.pass_time(A_WHILE)
            [held] = group[2].held()
            assert (held.chunk_id.chunk_no, held.length) == (chunk_no, length)
            assert len(home.heard(Stored)) == 1

    @pytest.mark.parametrize("false_body", [b"", b"another body", BODY.ljust(CHUNK_SIZE, b"\0")])
    def test_another_body_neither_changes_the_copy_nor_is_answered(self, false_body: bytes) -> None:
        """SPEC.md 3.17, 12.10: some peers pad a body with zeros when they send it again."""
        with Group(2) as group:
            home = Stranger(group)
            home.putchunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            [before] = group[2].held()
            home.putchunk(CHUNK, false_body, degree=9)
            group.pass_time(A_WHILE)
            assert len(home.heard(Stored)) == 1
            assert group[2].held() == [before]
            assert group[2].count("put_conflict") == 1

    def test_another_body_is_refused_also_while_the_first_is_being_written(self) -> None:
        """SPEC.md 3.17."""
        with Group() as group:
            group.add(2, disk_seconds=1.0)
            home = Stranger(group)
            home.putchunk(CHUNK, BODY)
            group.pass_time(0.001)
            home.putchunk(CHUNK, b"another body")
            group.pass_time(A_WHILE)
            [held] = group[2].held()
            assert held.length == len(BODY)
            assert len(home.heard(Stored)) == 1
            assert group[2].count("putchunk_conflicting") == 1

    def test_the_desired_degree_rises_and_never_falls(self) -> None:
        """SPEC.md 3.21."""
        with Group(2) as group:
            home = Stranger(group)
            for asked, kept in [(2, 2), (1, 2), (5, 5), (3, 5)]:
                home.putchunk(CHUNK, BODY, degree=asked)
                group.pass_time(A_WHILE)
                [held] = group[2].held()
                assert held.desired == kept

    def test_the_desired_degree_rises_also_by_a_repeat_that_joins(self) -> None:
        """SPEC.md 3.20, 3.21."""
        with Group() as group:
            group.add(2, disk_seconds=1.0)
            home = Stranger(group)
            for degree in (1, 4, 2):
                home.putchunk(CHUNK, BODY, degree=degree)
                group.pass_time(0.001)
            group.pass_time(2 * A_WHILE)
            [held] = group[2].held()
            assert held.desired == 4
            assert len(home.heard(Stored)) == 1
            assert group[2].count("putchunk_joined") == 1

    def test_the_sender_of_a_putchunk_is_no_holder_for_that(self) -> None:
        """SPEC.md 3.9: it may be the home."""
        with Group(2) as group:
            Stranger(group, 98).putchunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            Stranger(group, 97).putchunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            [held] = group[2].held()
            assert held.holders == {2}

    def test_a_putchunk_in_our_own_name_is_stored_and_said_loudly(self) -> None:
        """SPEC.md 2.12, 12.9: an id is a claim, not an address."""
        with Group(2) as group:
            other = Stranger(group, 2, host="10.0.0.99")
            other.putchunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            assert held_ids(group, 2) == [CHUNK]
            assert len(other.heard(Stored)) == 1
            [error] = group.errors
            assert "our id 2" in error
            group.errors.clear()


class TestOwnFiles:
    def backed_up(self, group: Group) -> FileId:
        group[1].write("/home/photo", BODY)
        return FileId.from_hex(group[1].backup("/home/photo", 1).file_id)

    def test_a_chunk_of_a_living_file_of_ours_is_not_stored(self) -> None:
        """SPEC.md 3.15."""
        with Group(1, 2) as group:
            file_id = self.backed_up(group)
            stranger = Stranger(group)
            for no in (0, 1):
                stranger.putchunk(ChunkId(file_id, no), BODY)
            group.pass_time(A_WHILE)
            assert group[1].held() == []
            assert {answer.sender_id for answer in stranger.heard(Stored)} == {2}

    def test_nor_one_of_a_dead_file_of_ours(self) -> None:
        """SPEC.md 3.15, also after the 2 s for which everybody refuses it."""
        with Group(1, 2) as group:
            file_id = self.backed_up(group)
            group[1].delete("/home/photo")
            group.pass_time(60.0)
            stranger = Stranger(group)
            stranger.putchunk(ChunkId(file_id, 0), BODY)
            group.pass_time(A_WHILE)
            assert group[1].held() == []
            assert 1 not in {answer.sender_id for answer in stranger.heard(Stored)}


class TestWithoutRoom:
    def test_a_full_peer_is_silent(self) -> None:
        """SPEC.md 3.18."""
        with Group(2, capacity_bytes=CHUNK_SIZE) as group:
            home = Stranger(group)
            home.putchunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            home.putchunk(OTHER, bytes(CHUNK_SIZE))
            group.pass_time(A_WHILE)
            assert held_ids(group, 2) == [CHUNK]
            assert len(home.heard(Stored)) == 1

    @pytest.mark.parametrize("length", [0, CHUNK_SIZE])
    def test_a_capacity_of_0_stores_nothing(self, length: int) -> None:
        """SPEC.md 7.16."""
        with Group(2, capacity_bytes=0) as group:
            home = Stranger(group)
            home.putchunk(CHUNK, bytes(length))
            group.pass_time(A_WHILE)
            assert group[2].held() == []
            assert home.heard(Stored) == []

    def test_the_capacity_holds_for_chunks_that_come_together(self) -> None:
        """SPEC.md 7.16, 7.20: what is being written counts too."""
        with Group(2, capacity_bytes=10 * CHUNK_SIZE) as group:
            home = Stranger(group)
            for no in range(30):
                home.putchunk(chunk_id("film", no), bytes(CHUNK_SIZE))
            group.pass_time(A_WHILE)
            assert len(group[2].held()) == 10
            assert len(home.heard(Stored)) == 10

    def test_room_is_made_for_the_repetition_by_a_copy_that_others_hold_often_enough(self) -> None:
        """SPEC.md 3.18, 6.14."""
        with Group(2, capacity_bytes=CHUNK_SIZE) as group:
            home, holder = Stranger(group), Stranger(group, 98)
            home.putchunk(CHUNK, bytes(CHUNK_SIZE))
            group.pass_time(A_WHILE)
            holder.stored(CHUNK)
            group.pass_time(A_WHILE)
            home.putchunk(OTHER, bytes(CHUNK_SIZE))
            group.pass_time(1.0)
            assert home.heard(Removed) == [Removed(VERSION_1_0, PeerId(2), *CHUNK)]
            holder.stored(CHUNK)
            group.pass_time(A_WHILE)
            assert group[2].held() == []
            home.putchunk(OTHER, bytes(CHUNK_SIZE))
            group.pass_time(A_WHILE)
            assert held_ids(group, 2) == [OTHER]
            assert [message.chunk_id for _, message in group.said(Stored, by=2)] == [CHUNK, OTHER]


class TestDiskThatRefuses:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
    def test_a_chunk_that_the_disk_refuses_is_not_answered_and_the_rest_goes_on(self, number: int) -> None:
        """SPEC.md 3.19."""
        with Group(2) as group:
            home = Stranger(group)
            home.putchunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            group[2].disk.fail("write", number, where="/chunks/")
            home.putchunk(OTHER, BODY)
            group.pass_time(A_WHILE)
            assert [answer.chunk_id for answer in home.heard(Stored)] == [CHUNK]
            home.putchunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            assert [answer.chunk_id for answer in home.heard(Stored)] == [CHUNK, CHUNK]
            group[2].disk.mend()
            home.putchunk(OTHER, BODY)
            group.pass_time(A_WHILE)
            assert sorted(held_ids(group, 2)) == sorted([CHUNK, OTHER])
            assert home.heard(Stored)[-1].chunk_id == OTHER


class TestBacklog:
    MOST = 10
    """Full chunks that may wait to be durable."""

    @pytest.fixture(autouse=True)
    def _lower_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("peer.backup_responder.MAX_BYTES_BEING_STORED", self.MOST * CHUNK_SIZE)

    def test_a_flood_beyond_the_bound_is_not_heard_and_its_repetition_is(self) -> None:
        """SPEC.md 3.23: bodies that are not yet durable are bounded."""
        chunks = [chunk_id("film", no) for no in range(self.MOST + 5)]
        with Group() as group:
            group.add(2, disk_seconds=1.0)
            home = Stranger(group)
            for chunk in chunks:
                home.putchunk(chunk, bytes(CHUNK_SIZE))
            group.pass_time(60.0)
            assert len(group[2].held()) == self.MOST
            assert len(home.heard(Stored)) == self.MOST
            assert group[2].count("putchunk_over_backlog") == 5
            for chunk in set(chunks) - set(held_ids(group, 2)):
                home.putchunk(chunk, bytes(CHUNK_SIZE))
            group.pass_time(60.0)
            assert held_ids(group, 2) == chunks

    def test_empty_chunks_are_bounded_too(self) -> None:
        """SPEC.md 11.1: they take memory, though they have no byte."""
        with Group() as group:
            group.add(2, disk_seconds=1.0)
            home = Stranger(group)
            for no in range(1_000):
                home.putchunk(chunk_id("nothing", no), b"")
            group.pass_time(0.01)
            assert group[2].count("putchunk_over_backlog") >= 500

    def test_what_a_delete_forgets_is_counted_until_it_has_left_memory(self) -> None:
        """SPEC.md 3.23, 11.1: a stranger can't fill memory by deleting what is still to be written."""
        with Group() as group:
            group.add(2, disk_seconds=100.0)
            home = Stranger(group)
            for name in ("one", "two", "three"):
                for no in range(6):
                    home.putchunk(chunk_id(name, no), bytes(CHUNK_SIZE))
                group.pass_time(0.01)
                home.delete(chunk_id(name).file_id)
                group.pass_time(0.01)
            assert group[2].count("putchunk_over_backlog") == 3 * 6 - self.MOST


class TestStopping:
    def test_a_chunk_that_comes_just_before_a_stop_leaves_nothing_to_do(self) -> None:
        """SPEC.md 3.2: the write ends in order, and no answer is due any more."""
        for seed in range(20):
            with Group(2, seed=seed) as group:
                home = Stranger(group)
                home.putchunk(CHUNK, BODY)
                group.pass_time(0.001)
                group[2].stop()
                group.pass_time(A_WHILE)
                assert home.heard(Stored) == []
