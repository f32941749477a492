"""Holders that take long to answer, because of what else they were asked for (SPEC.md 4.17)."""

from __future__ import annotations

import pytest

from peer.errors import OperationError
from protocol.messages import GetChunk
from protocol.timing import ATTEMPT_WAITS
from protocol.values import CHUNK_SIZE, ChunkId
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
from tests.support.stranger import Stranger


class TestSlowHolders:
    """SPEC.md 4.17: what is given up after 31 s is what nobody gives, not what its holder hasn't come to."""

    COUNT = 60
    SECONDS_EACH = 1.5

    def give_all_but(self, holder: Stranger, chunks: list[ChunkId], missing: int, group: Group) -> None:
        for chunk in chunks:
            if chunk.chunk_no != missing:
                group.pass_time(self.SECONDS_EACH)
                holder.chunk(chunk, bytes(CHUNK_SIZE))

    @pytest.mark.parametrize("disk_seconds", [0.005, 40.0])
    def test_a_file_that_takes_its_holder_longer_is_restored(self, disk_seconds: float) -> None:
        """Also if our own disk takes most of the last wait for what came in it, or longer."""
        with Group(1) as group:
            holder, chunks = given_away(group, bytes(self.COUNT * CHUNK_SIZE))
            running = begin(group)
            began = group.clock.seconds()
            group.pass_time(0.1)
            assert group[1].executor is not None
            group[1].executor.max_delay = disk_seconds
            self.give_all_but(holder, chunks, self.COUNT, group)
            assert group[1].disk.read_file(group.run(running).path) == bytes(self.COUNT * CHUNK_SIZE)
            assert group.clock.seconds() - began > 2 * 31.0

    def test_a_chunk_that_does_not_come_is_asked_for_as_often_as_the_last_wait_allows(self) -> None:
        with Group(1) as group:
            holder, chunks = given_away(group, bytes(self.COUNT * CHUNK_SIZE))
            begin(group).addErrback(lambda _failure: None)
            began = group.clock.seconds()
            self.give_all_but(holder, chunks, 7, group)
            asked = [time - began for time, message in group.said(GetChunk) if message.chunk_no == 7]
            assert asked == pytest.approx([*ATTEMPTS, 31.0, 47.0, 63.0, 79.0], abs=0.5)

    def test_it_is_given_up_once_nothing_at_all_has_come_for_a_last_wait(self) -> None:
        with Group(1) as group:
            holder, chunks = given_away(group, bytes(self.COUNT * CHUNK_SIZE))
            running = begin(group)
            self.give_all_but(holder, chunks, 7, group)
            assert not is_done(running)
            ended = group.clock.seconds()
            with pytest.raises(OperationError, match="chunk 7"):
                group.run(running)
            assert ATTEMPT_WAITS[-1] < group.clock.seconds() - ended < 2 * ATTEMPT_WAITS[-1]
            assert restored(group) == []

    def test_nor_does_its_holder_s_work_on_another_file_let_one_fail(self) -> None:
        with Group(1) as group:
            holder, others = given_away(group, bytes(self.COUNT * CHUNK_SIZE), path="/home/other")
            _, [chunk] = given_away(group, BODY, holder=holder)
            other = group[1].begin_restore("/home/other")
            running = begin(group)
            self.give_all_but(holder, others, self.COUNT, group)
            assert not is_done(running)
            holder.chunk(chunk, BODY)
            assert group[1].disk.read_file(group.run(running).path) == BODY
            group.run(other)

    @pytest.mark.parametrize("seconds", [0.3, 5.0])
    def test_what_was_asked_for_later_shows_no_backlog(self, seconds: float) -> None:
        """It is given in time, or late: who gives it has come past the older request."""
        with Group(1) as group:
            holder, [first] = given_away(group, BODY, path="/home/other")
            given_away(group, BODY, holder=holder)
            running = begin(group)
            began = group.clock.seconds()
            while group.clock.seconds() < began + ATTEMPTS[-1] + 0.5:
                group.pass_time(0.1)
            while not is_done(running):
                other = group[1].begin_restore("/home/other")
                group.pass_time(seconds)
                holder.chunk(first, BODY)
                group.run(other)
            with pytest.raises(OperationError, match="chunk 0"):
                group.run(running)
            assert group.clock.seconds() - began < 31.0 + seconds + 1.0

    def test_nor_does_what_was_asked_for_between_the_fifth_time_and_the_last(self) -> None:
        """SPEC.md 4.17: a RESTORE would prolong another for as long as it goes on."""
        with Group(1) as group:
            holder, [old] = given_away(group, BODY, path="/home/old")
            _, [new] = given_away(group, BODY, path="/home/new", holder=holder)
            given_away(group, BODY, holder=holder)
            older = group[1].begin_restore("/home/old")
            group.pass_time(TOLERANCE)
            running = begin(group)
            began = group.clock.seconds()
            group.run_to(began + ATTEMPTS[4] + 5.0)
            holder.chunk(old, BODY)
            group.run(older)
            newer = group[1].begin_restore("/home/new")
            group.run_to(began + GIVEN_UP + 4.0)
            holder.chunk(new, BODY)
            group.run(newer)
            with pytest.raises(OperationError, match="chunk 0"):
                group.run(running)
            assert group.clock.seconds() - began == pytest.approx(GIVEN_UP + ATTEMPT_WAITS[4], abs=1.0)

    def test_nor_does_what_comes_at_the_first_asking(self) -> None:
        """SPEC.md 4.17: asked for before the fifth time of another, and given after it."""
        with Group(1) as group:
            holder, [other_chunk] = given_away(group, BODY, path="/home/other")
            given_away(group, BODY, holder=holder)
            running = begin(group)
            began = group.clock.seconds()
            group.run_to(began + ATTEMPTS[4] - 0.1)
            other = group[1].begin_restore("/home/other")
            group.pass_time(0.3)
            holder.chunk(other_chunk, BODY)
            group.run(other)
            with pytest.raises(OperationError, match="chunk 0"):
                group.run(running)
            assert group.clock.seconds() - began == pytest.approx(GIVEN_UP, abs=1.0)

    def test_one_that_was_called_off_keeps_no_other_from_ending(self) -> None:
        """SPEC.md 4.3: what came for it is compared all the same, or counted as if it were."""
        with Group(1) as group:
            holder, [called_off] = given_away(group, BODY, path="/home/other")
            given_away(group, BODY, holder=holder)
            other = group[1].begin_restore("/home/other")
            group.pass_time(0.1)
            delay_disk(group, 2.0)
            for wrong in WRONG_BODIES[:2]:
                holder.chunk(called_off, wrong)
            group.pass_time(TOLERANCE)
            group.run(group[1].begin_delete("/home/other"))
            with pytest.raises(OperationError):
                group.run(other)
            delay_disk(group, 0.005)
            running = begin(group)
            began = group.clock.seconds()
            with pytest.raises(OperationError, match="chunk 0"):
                group.run(running)
            assert group.clock.seconds() - began == pytest.approx(GIVEN_UP, abs=3.0)
