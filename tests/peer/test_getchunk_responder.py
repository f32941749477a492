"""What a holder does with a GETCHUNK (SPEC.md section 4, "Answering")."""

from __future__ import annotations

import pytest

from peer.config import DEFAULT_GROUPS
from protocol.messages import Chunk, Removed
from protocol.timing import ANSWER_SPACING, MAX_RESPONSE_DELAY, REPEAT_MEMORY
from protocol.values import CHUNK_SIZE, MAX_CHUNK_NO, VERSION_1_0, ChunkId, PeerId
from tests.support.group import STORE, Group
from tests.support.slots import slot_of
from tests.support.stranger import Stranger, chunk_id

CHUNK = chunk_id("photo")
BODY = b"the body of a chunk"
DAMAGED = b"the body of a chump"
A_WHILE = 2.0
JITTER = 0.01


def holding(group: Group, *chunks: ChunkId, body: bytes = BODY) -> Stranger:
    """Have all peers of the group hold the chunks; the stranger that gave them has heard nothing yet."""
    home = Stranger(group)
    for chunk in chunks:
        home.putchunk(chunk, body)
    group.pass_time(A_WHILE)
    home.everything.clear()
    return home


class TestAnswer:
    @pytest.mark.parametrize("length", [0, 1, CHUNK_SIZE])
    @pytest.mark.parametrize("chunk_no", [0, MAX_CHUNK_NO])
    def test_the_chunk_is_sent_on_mdr(self, chunk_no: int, length: int) -> None:
        """SPEC.md 4.2, 3.22."""
        chunk = chunk_id("photo", chunk_no)
        with Group(2) as group:
            asker = holding(group, chunk, body=bytes(length))
            asker.getchunk(chunk)
            group.pass_time(A_WHILE)
            [heard] = asker.everything
            assert heard.message == Chunk(VERSION_1_0, PeerId(2), *chunk, bytes(length))
            assert heard.group == DEFAULT_GROUPS.mdr

    def test_the_answer_waits_a_random_time_up_to_400_ms(self) -> None:
        """SPEC.md 4.2."""
        with Group(2) as group:
            asker = holding(group, CHUNK)
            delays = []
            for _request in range(200):
                began = group.clock.seconds()
                asker.getchunk(CHUNK)
                group.pass_time(1.0)
                [answered] = asker.times(Chunk, since=began)
                delays.append(answered - began)
            assert max(delays) <= MAX_RESPONSE_DELAY + JITTER
            for quarter in range(4):
                low, high = 0.1 * quarter, 0.1 * (quarter + 1)
                assert 25 <= sum(low <= delay < high for delay in delays) <= 75

    def test_a_chunk_that_is_not_held_is_not_answered(self) -> None:
        """SPEC.md 4.11, 12.12: however often it is asked for."""
        with Group(2) as group:
            asker = holding(group, CHUNK)
            for _request in range(740):
                asker.getchunk(chunk_id("photo", 1))
                group.pass_time(1.0 / 740)
            group.pass_time(A_WHILE)
            assert asker.everything == []

    def test_a_copy_from_before_a_restart_is_answered(self) -> None:
        with Group(2) as group:
            asker = holding(group, CHUNK)
            group[2].restart()
            asker.getchunk(CHUNK)
            group.pass_time(A_WHILE)
            assert [answer.body for answer in asker.heard(Chunk)] == [BODY]

    def test_a_damaged_copy_is_never_sent_but_dropped_and_removed_says_so(self) -> None:
        """SPEC.md 4.10."""
        with Group(2) as group:
            asker = holding(group, CHUNK)
            disk = group[2].disk
            slot = slot_of(disk, STORE, CHUNK)
            disk.flip_bit(slot.path, slot.offset + 3)
            asker.getchunk(CHUNK)
            group.pass_time(A_WHILE)
            assert [heard.message for heard in asker.everything] == [Removed(VERSION_1_0, PeerId(2), *CHUNK)]
            assert group[2].held() == []
            [error] = group.errors
            assert "damaged" in error
            group.errors.clear()
            asker.putchunk(CHUNK, BODY)
            group.pass_time(A_WHILE)
            assert [held.chunk_id for held in group[2].held()] == [CHUNK]


class TestSuppression:
    def test_a_chunk_heard_since_the_request_makes_the_answer_needless(self) -> None:
        """SPEC.md 4.2: whatever its bytes are, on a first request."""
        with Group(2) as group:
            asker, holder = holding(group, CHUNK), Stranger(group, 98)
            asker.getchunk(CHUNK)
            group.pass_time(0.001)
            holder.chunk(CHUNK, DAMAGED)
            group.pass_time(A_WHILE)
            assert group.said(Chunk, by=2) == []

    def test_one_heard_before_does_not_nor_one_of_another_chunk(self) -> None:
        """SPEC.md 4.2."""
        with Group(2) as group:
            asker, holder = holding(group, CHUNK), Stranger(group, 98)
            holder.chunk(CHUNK, BODY)
            group.pass_time(0.001)
            asker.getchunk(CHUNK)
            group.pass_time(0.001)
            holder.chunk(chunk_id("photo", 1), BODY)
            holder.chunk(chunk_id("song"), BODY)
            group.pass_time(A_WHILE)
            assert len(group.said(Chunk, by=2)) == 1

    def test_of_many_holders_few_answer(self) -> None:
        """SPEC.md 4.2: the delay is far longer than the way of a CHUNK."""
        with Group(*range(2, 12)) as group:
            asker = holding(group, CHUNK)
            for no in range(50):
                asker.getchunk(CHUNK)
                group.pass_time(REPEAT_MEMORY + 1.0)
                assert len(asker.heard(Chunk)) > no
            assert len(asker.heard(Chunk)) < 75


class TestRepeats:
    def test_a_request_repeated_after_a_second_is_always_answered(self) -> None:
        """SPEC.md 4.8: as often as it comes."""
        with Group(2) as group:
            asker = holding(group, CHUNK)
            for requests in range(1, 31):
                asker.getchunk(CHUNK)
                group.pass_time(1.0)
                assert len(asker.heard(Chunk)) == requests

    def test_a_request_is_covered_by_the_answer_to_the_last_one_within_800_ms(self) -> None:
        """SPEC.md 4.8: from request to request, whenever the answer was given."""
        with Group(2) as group:
            asker = holding(group, CHUNK)
            asker.getchunk(CHUNK)
            group.pass_time(ANSWER_SPACING - JITTER)
            asker.getchunk(CHUNK)
            group.pass_time(2 * JITTER)
            assert len(asker.heard(Chunk)) == 1
            asker.getchunk(CHUNK)
            group.pass_time(A_WHILE)
            assert len(asker.heard(Chunk)) == 2

    def test_nobody_draws_more_than_one_answer_in_800_ms(self) -> None:
        """SPEC.md 4.8, 12.12: not even with 740 requests a second."""
        with Group(2) as group:
            asker = holding(group, CHUNK)
            for _request in range(7_400):
                asker.getchunk(CHUNK)
                group.pass_time(1.0 / 740)
            group.pass_time(A_WHILE)
            assert 12 <= len(asker.heard(Chunk)) <= 13

    def test_a_damaged_chunk_does_not_silence_the_answer_to_a_repeat(self) -> None:
        """SPEC.md 4.9."""
        with Group(2) as group:
            asker, holder = holding(group, CHUNK), Stranger(group, 98)
            for _request in range(2):
                asker.getchunk(CHUNK)
                group.pass_time(0.001)
                holder.chunk(CHUNK, DAMAGED)
                group.pass_time(1.0)
            assert [message.body for _, message in group.said(Chunk, by=2)] == [BODY]

    def test_one_equal_to_the_own_copy_does(self) -> None:
        """SPEC.md 4.9."""
        with Group(2) as group:
            asker, holder = holding(group, CHUNK), Stranger(group, 98)
            for _request in range(2):
                asker.getchunk(CHUNK)
                group.pass_time(0.001)
                for body in (DAMAGED, BODY):
                    holder.chunk(CHUNK, body)
                group.pass_time(1.0)
            assert group.said(Chunk, by=2) == []

    def test_after_a_minute_a_request_is_a_first_one_again(self) -> None:
        """SPEC.md 4.9."""
        with Group(2) as group:
            asker, holder = holding(group, CHUNK), Stranger(group, 98)
            for _request in range(2):
                asker.getchunk(CHUNK)
                group.pass_time(0.001)
                holder.chunk(CHUNK, DAMAGED)
                group.pass_time(REPEAT_MEMORY + 0.1)
            assert group.said(Chunk, by=2) == []

    def test_a_repeat_that_finds_the_answer_still_waiting_to_be_sent_is_one(self) -> None:
        """SPEC.md 4.8, 4.9: a damaged CHUNK heard before it must not silence the answer to both."""
        chunks = [chunk_id("film", no) for no in range(20)]
        with Group() as group:
            group.add(2, disk_seconds=1.0)
            asker, holder = holding(group, *chunks), Stranger(group, 98)
            group.pass_time(60.0)
            asker.everything.clear()
            for chunk in chunks:
                asker.getchunk(chunk)
            group.pass_time(1.0)
            waiting = [
                chunk for chunk in chunks if chunk not in {heard.chunk_id for heard in asker.heard(Chunk)}
            ]
            assert len(waiting) > 10
            for chunk in waiting:
                holder.chunk(chunk, DAMAGED)
            group.pass_time(0.01)
            for chunk in waiting:
                asker.getchunk(chunk)
            group.pass_time(60.0)
            answered = {message.chunk_id for _, message in group.said(Chunk, by=2)}
            assert answered == set(chunks)


class TestBound:
    def test_requests_for_all_that_a_peer_holds_are_answered_up_to_a_bound(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SPEC.md 4.8, 11.2: the answers due are bounded, and those beyond are given when asked for again."""
        monkeypatch.setattr("peer.restore_responder.MAX_ANSWERS_DUE", 50)
        chunks = [chunk_id("film", no) for no in range(60)]
        with Group(2) as group:
            asker = holding(group, *chunks)
            for chunk in chunks:
                asker.getchunk(chunk)
            group.pass_time(A_WHILE)
            answered = {answer.chunk_id for answer in asker.heard(Chunk)}
            assert len(answered) == 50
            for chunk in sorted(set(chunks) - answered):
                asker.getchunk(chunk)
            group.pass_time(A_WHILE)
            assert {answer.chunk_id for answer in asker.heard(Chunk)} == set(chunks)


class TestStopping:
    @pytest.mark.parametrize("pause", [0.001, 0.1, 0.2, 0.3, 0.39])
    def test_a_stop_leaves_no_answer_due(self, pause: float) -> None:
        """Neither one that waits, nor one whose body is being read, nor one that is being paced."""
        chunks = [chunk_id("film", no) for no in range(300)]
        with Group(2) as group:
            asker = holding(group, *chunks, body=bytes(CHUNK_SIZE))
            for chunk in chunks:
                asker.getchunk(chunk)
            group.pass_time(pause)
            group[2].stop()
            group.pass_time(JITTER)
            answers = len(asker.heard(Chunk))
            assert answers < len(chunks)
            group.pass_time(A_WHILE)
            assert len(asker.heard(Chunk)) == answers
