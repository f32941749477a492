"""CHUNKs that are wrong, and those that our own disk has yet to compare (SPEC.md 4.3, 4.4)."""

from __future__ import annotations

import pytest

from peer.errors import OperationError
from protocol.limits import MAX_BODIES_OFFERED
from protocol.messages import GetChunk
from protocol.timing import ATTEMPT_WAITS
from protocol.values import CHUNK_SIZE, ChunkId
from tests.peer.copies import let_go
from tests.peer.restores import (
    ATTEMPTS,
    BODY,
    GIVEN_UP,
    TOLERANCE,
    WRONG_BODIES,
    begin,
    delay_disk,
    given_away,
    is_done,
    restored,
)
from tests.support.group import Group


class TestWrongChunks:
    @pytest.mark.parametrize("wrong", WRONG_BODIES)
    def test_what_differs_is_thrown_away_and_counted_and_asked_for_when_the_wait_is_over(
        self, wrong: bytes
    ) -> None:
        """SPEC.md 4.4, 12.10: also what is too long or too short."""
        with Group(1) as group:
            holder, [chunk] = given_away(group, BODY)
            running = begin(group)
            began = group.clock.seconds()
            group.pass_time(0.3)
            holder.chunk(chunk, wrong)
            group.pass_time(2.0)
            assert not is_done(running)
            times = [time - began for time, _ in group.said(GetChunk)]
            assert times == pytest.approx(ATTEMPTS[:2], abs=TOLERANCE)
            assert group[1].count("wrong_chunks") == 1
            holder.chunk(chunk, BODY)
            assert group[1].disk.read_file(group.run(running).path) == BODY

    def test_a_good_one_is_taken_though_wrong_ones_come_with_it(self) -> None:
        """SPEC.md 4.4: from before it or behind it, in the same wait."""
        with Group(1) as group:
            holder, [chunk] = given_away(group, BODY)
            running = begin(group)
            for body in (*WRONG_BODIES, BODY, *WRONG_BODIES):
                holder.chunk(chunk, body)
                group.pass_time(0.001)
            group.pass_time(TOLERANCE)
            assert is_done(running)
            assert group[1].disk.read_file(group.run(running).path) == BODY
            assert len(group.said(GetChunk)) == 1

    def test_a_flood_of_wrong_ones_takes_neither_memory_nor_the_log(self) -> None:
        """SPEC.md 11.1: those that wait to be compared are bounded."""
        with Group() as group:
            group.add(1, disk_seconds=0.1)
            holder, [chunk] = given_away(group, BODY)
            running = begin(group)
            for _wrong in range(1_000):
                holder.chunk(chunk, bytes(CHUNK_SIZE))
            group.pass_time(1.0)
            assert group[1].count("wrong_chunks") == MAX_BODIES_OFFERED
            assert len(group.warnings) == 1
            holder.chunk(chunk, BODY)
            assert group[1].disk.read_file(group.run(running).path) == BODY

    def test_a_flood_of_wrong_ones_that_never_ends_does_not_keep_the_restore_from_ending(self) -> None:
        """SPEC.md 4.3: our disk is always behind, but not with what came while the wait was on."""
        with Group() as group:
            group.add(1, disk_seconds=0.05)
            holder, [chunk] = given_away(group, BODY)
            running = begin(group)
            began = group.clock.seconds()
            while not is_done(running) and group.clock.seconds() < began + 60.0:
                holder.chunk(chunk, WRONG_BODIES[1])
                group.pass_time(0.005)
            with pytest.raises(OperationError, match="chunk 0"):
                group.run(running)
            # A second more for each wait, and one for what the disk has still to do.
            assert group.clock.seconds() - began < 31.0 + 5 * 1.0 + 1.0
            assert len(group.said(GetChunk)) == len(ATTEMPTS)

    def test_a_good_one_behind_a_wrong_one_is_taken_though_the_last_wait_is_over(self) -> None:
        """SPEC.md 4.3: our disk is so far behind that the right one comes while the wrong one is compared."""
        with Group() as group:
            group.add(1, disk_seconds=2.0)
            holder, [chunk] = given_away(group, BODY)
            running = begin(group)
            group.pass_time(30.9)
            holder.chunk(chunk, WRONG_BODIES[1])
            group.pass_time(0.3)
            holder.chunk(chunk, BODY)
            assert group[1].disk.read_file(group.run(running).path) == BODY

    def test_a_good_one_behind_those_of_another_run_is_taken_too(self) -> None:
        """SPEC.md 4.3: all that came for any chunk until then is compared before one is given up."""
        with Group(1) as group:
            holder, [other_chunk] = given_away(group, BODY, path="/home/other")
            _, [chunk] = given_away(group, BODY, holder=holder)
            running = begin(group)
            began = group.clock.seconds()
            group.run_to(began + GIVEN_UP - 0.5)
            other = group[1].begin_restore("/home/other")
            other.addErrback(lambda failure: failure.trap(OperationError))
            group.run_to(began + GIVEN_UP - 0.1)
            delay_disk(group, 6.0)
            holder.chunk(other_chunk, WRONG_BODIES[1])
            group.run_to(began + GIVEN_UP + 0.2)
            holder.chunk(chunk, BODY)
            assert group[1].disk.read_file(group.run(running).path) == BODY

    @pytest.mark.parametrize("attempt", range(4))
    def test_a_wait_lasts_until_what_came_in_it_is_compared(self, attempt: int) -> None:
        """SPEC.md 4.3: a chunk that is there is not asked for again, however far behind our disk is."""
        with Group(1) as group:
            holder, [chunk] = given_away(group, BODY)
            running = begin(group)
            group.pass_time(ATTEMPTS[attempt + 1] - 0.1)
            delay_disk(group, 4.0, at_least=4.0)
            holder.chunk(chunk, BODY)
            assert group[1].disk.read_file(group.run(running).path) == BODY
            assert len(group.said(GetChunk)) == attempt + 1

    @pytest.mark.parametrize("attempt", range(4))
    def test_what_came_for_another_chunk_prolongs_the_last_wait_alone(self, attempt: int) -> None:
        """SPEC.md 4.3: who knows whether it will be good."""
        with Group(1) as group:
            holder, [other_chunk] = given_away(group, BODY, path="/home/other")
            given_away(group, BODY, holder=holder)
            running = begin(group)
            began = group.clock.seconds()
            let_go(running)
            let_go(group[1].begin_restore("/home/other"))
            group.run_to(began + ATTEMPTS[attempt + 1] - 0.1)
            delay_disk(group, 4.0, at_least=4.0)
            holder.chunk(other_chunk, WRONG_BODIES[1])
            group.pass_time(0.2)
            mine = [message for _, message in group.said(GetChunk) if message.chunk_id != other_chunk]
            assert len(mine) == attempt + 2

    def test_nor_does_a_later_last_wait_end_before_what_came_for_any_chunk_is_compared(self) -> None:
        """SPEC.md 4.3, 4.17: after the sixth GETCHUNK as after the fifth."""
        with Group(1) as group:
            holder, [slow] = given_away(group, BODY, path="/home/slow")
            _, [other_chunk] = given_away(group, BODY, path="/home/other", holder=holder)
            _, [chunk] = given_away(group, BODY, holder=holder)
            slowest = group[1].begin_restore("/home/slow")
            group.pass_time(TOLERANCE)
            running = begin(group, chunk)
            began = group.clock.seconds()
            group.run_to(began + ATTEMPTS[4] + 5.0)
            holder.chunk(slow, BODY)
            group.run(slowest)
            group.run_to(began + GIVEN_UP + ATTEMPT_WAITS[4] - 0.5)
            let_go(group[1].begin_restore("/home/other"))
            group.pass_time(0.3)
            delay_disk(group, 4.0, at_least=4.0)
            holder.chunk(other_chunk, WRONG_BODIES[1])
            group.pass_time(0.7)
            holder.chunk(chunk, BODY)
            assert group[1].disk.read_file(group.run(running).path) == BODY

    def test_wrong_ones_at_the_very_end_fail_it_when_the_last_of_them_was_compared(self) -> None:
        """SPEC.md 4.3."""
        with Group() as group:
            group.add(1, disk_seconds=1.0)
            holder, [chunk] = given_away(group, BODY)
            running = begin(group)
            group.pass_time(30.9)
            for wrong in WRONG_BODIES:
                holder.chunk(chunk, wrong)
                group.pass_time(0.3)
            with pytest.raises(OperationError, match="chunk 0"):
                group.run(running)
            assert group[1].count("wrong_chunks") == len(WRONG_BODIES)
            holder.chunk(chunk, BODY)
            group.pass_time(60.0)
            assert restored(group) == []

    def test_chunks_that_were_not_asked_for_change_nothing(self) -> None:
        """SPEC.md 4.7, 12.11."""
        with Group(1) as group:
            holder, [chunk] = given_away(group, BODY)
            for body in (BODY, b"another body"):
                holder.chunk(chunk, body)
                holder.chunk(ChunkId(chunk.file_id, 1), body)
            group.pass_time(1.0)
            assert restored(group) == []
            running = begin(group)
            for _repeat in range(3):
                holder.chunk(chunk, BODY)
            report = group.run(running)
            holder.chunk(chunk, BODY)
            group.pass_time(1.0)
            assert group[1].disk.read_file(report.path) == BODY
            assert restored(group) == ["photo"]
