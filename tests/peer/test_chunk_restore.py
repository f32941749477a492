"""What the initiator of a chunk restore does (SPEC.md section 4, "Asking").

Peer 1 has a file whose only holder is a stranger, who answers what the test tells it to.
"""

from __future__ import annotations

import pytest

from peer.config import DEFAULT_GROUPS
from peer.errors import ErrorCode, OperationError
from protocol.messages import GetChunk
from protocol.values import CHUNK_SIZE, VERSION_1_0, PeerId
from tests.peer.restores import (
    ATTEMPTS,
    BODY,
    FIRST_CHUNKS,
    PATH,
    TOLERANCE,
    begin,
    given_away,
    is_done,
    restored,
)
from tests.support.group import Group


class TestAttempts:
    def test_a_chunk_is_asked_for_on_mc(self) -> None:
        """SPEC.md 4.1."""
        with Group(1) as group:
            holder, [chunk] = given_away(group, BODY)
            running = begin(group)
            group.pass_time(TOLERANCE)
            [heard] = holder.everything
            assert heard.message == GetChunk(VERSION_1_0, PeerId(1), *chunk)
            assert heard.group == DEFAULT_GROUPS.mc
            holder.chunk(chunk, BODY)
            assert group[1].disk.read_file(group.run(running).path) == BODY

    def test_it_is_asked_for_five_times_in_doubling_waits_and_given_up_after_31_s(self) -> None:
        """SPEC.md 4.3, 4.14: the error says which chunk, and nothing is left."""
        with Group(1) as group:
            given_away(group, BODY)
            running = begin(group)
            began = group.clock.seconds()
            with pytest.raises(OperationError, match="chunk 0") as raised:
                group.run(running)
            assert raised.value.code is ErrorCode.CHUNKS_MISSING
            assert group.clock.seconds() - began == pytest.approx(31.0, abs=TOLERANCE)
            group.pass_time(120.0)
            assert [time - began for time, _ in group.said(GetChunk)] == pytest.approx(
                ATTEMPTS, abs=TOLERANCE
            )
            assert restored(group) == []

    @pytest.mark.parametrize("attempt", range(5))
    def test_it_is_not_asked_for_again_once_it_came(self, attempt: int) -> None:
        """SPEC.md 4.3: whichever attempt is answered at last."""
        with Group(1) as group:
            holder, [chunk] = given_away(group, BODY)
            running = begin(group)
            group.pass_time(ATTEMPTS[attempt] + 0.5)
            holder.chunk(chunk, BODY)
            group.pass_time(TOLERANCE)
            assert is_done(running)
            group.run(running)
            group.pass_time(60.0)
            assert len(group.said(GetChunk)) == attempt + 1

    def test_one_chunk_that_nobody_gives_fails_the_whole(self) -> None:
        """SPEC.md 4.14: though all others came, and nothing goes on after that."""
        with Group(1) as group:
            holder, chunks = given_away(group, bytes(40 * CHUNK_SIZE + 1))
            running = begin(group)
            group.pass_time(0.5)
            for chunk in chunks:
                if chunk.chunk_no != 7:
                    holder.chunk(chunk, bytes(CHUNK_SIZE if chunk.chunk_no < 40 else 1))
            with pytest.raises(OperationError, match="chunk 7"):
                group.run(running)
            asked = len(group.said(GetChunk))
            group.pass_time(60.0)
            assert len(group.said(GetChunk)) == asked
            assert restored(group) == []


class TestEmptyLastChunk:
    @pytest.mark.parametrize("chunks", [1, 2])
    def test_it_is_made_and_never_asked_for(self, chunks: int) -> None:
        """SPEC.md 4.5, 12.8: some peers return it with four bytes, or never."""
        with Group(1) as group:
            holder, stored = given_away(group, bytes(chunks * CHUNK_SIZE))
            assert len(stored) == chunks + 1
            running = begin(group)
            group.pass_time(TOLERANCE)
            asked = sorted(message.chunk_id for message in holder.heard(GetChunk))
            assert asked == stored[:-1]
            holder.chunk(stored[-1], b"null")
            for chunk in asked:
                holder.chunk(chunk, bytes(CHUNK_SIZE))
            assert group[1].disk.read_file(group.run(running).path) == bytes(chunks * CHUNK_SIZE)

    def test_an_empty_file_needs_nobody(self) -> None:
        """SPEC.md 4.5."""
        with Group(1) as group:
            given_away(group, b"")
            assert group[1].restore(PATH) == b""
            assert group.said(GetChunk) == []


class TestWindow:
    def test_the_chunks_asked_for_at_once_are_bounded(self) -> None:
        """SPEC.md 4.6: each that comes lets another be asked for."""
        with Group(1) as group:
            holder, chunks = given_away(group, bytes((FIRST_CHUNKS + 100) * CHUNK_SIZE))
            running = begin(group)
            group.pass_time(0.9)
            asked = {message.chunk_id for message in holder.heard(GetChunk)}
            assert len(asked) == FIRST_CHUNKS
            for chunk in sorted(asked)[:10]:
                holder.chunk(chunk, bytes(CHUNK_SIZE))
            group.pass_time(TOLERANCE)
            assert len({message.chunk_id for message in holder.heard(GetChunk)}) == FIRST_CHUNKS + 10
            while not running.called:
                for chunk in {message.chunk_id for message in holder.heard(GetChunk)}:
                    holder.chunk(chunk, bytes(CHUNK_SIZE))
                group.pass_time(0.3)
            assert group.run(running).chunks == len(chunks)


class TestStopping:
    def test_a_stop_ends_a_restore_and_leaves_nothing(self) -> None:
        with Group(1) as group:
            given_away(group, BODY)
            running = begin(group)
            group.pass_time(2.0)
            group[1].stop()
            with pytest.raises(OperationError) as raised:
                group.run(running)
            assert raised.value.code is ErrorCode.STOPPING
            assert restored(group) == []
            asked = len(group.said(GetChunk))
            group.pass_time(60.0)
            assert len(group.said(GetChunk)) == asked
