"""What the initiator of a chunk restore does (SPEC.md section 4, "Asking").

Peer 1 has a file whose only holder is a stranger, who answers what the test tells it to.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from peer.config import DEFAULT_GROUPS
from peer.control.interfaces import RestoreReport
from peer.errors import ErrorCode, OperationError
from protocol.flow import FIRST_WINDOW
from protocol.limits import MAX_BODIES_OFFERED
from protocol.messages import GetChunk, PutChunk
from protocol.timing import ATTEMPT_WAITS
from protocol.values import CHUNK_SIZE, VERSION_1_0, ChunkId, PeerId
from tests.peer.copies import let_go
from tests.support.group import Group
from tests.support.stranger import Stranger

PATH = "/home/photo"
FIRST_CHUNKS = int(FIRST_WINDOW / CHUNK_SIZE)
"""What is asked for at once before anything is known of the group."""
BODY = b"the only chunk of a small file"
ATTEMPTS = [0.0, 1.0, 3.0, 7.0, 15.0]
"""When the five GETCHUNKs leave, from the first one on (SPEC.md 4.3)."""
GIVEN_UP = 31.0
"""When it is given up, from the first GETCHUNK on."""
TOLERANCE = 0.05
WRONG_BODIES = [b"", b"the only chump of a small file", BODY + b"\0", BODY.ljust(CHUNK_SIZE, b"\0")]


def given_away(
    group: Group, content: bytes, *, path: str = PATH, holder: Stranger | None = None
) -> tuple[Stranger, list[ChunkId]]:
    """Back the file up to a stranger alone; the stranger, and the file's chunks in their order."""
    holder = holder or Stranger(group)
    group[1].write(path, content)
    running = group[1].begin_backup(path, 1)
    said: set[ChunkId] = set()
    while not running.called:
        group.pass_time(0.01)
        for message in holder.heard(PutChunk):
            if message.chunk_id not in said:
                said.add(message.chunk_id)
                holder.stored(message.chunk_id)
    assert group.run(running).below_degree == 0
    holder.everything.clear()
    return holder, sorted(said)


def begin(group: Group) -> Deferred[RestoreReport]:
    """Start RESTORE; its first GETCHUNK is out when this returns."""
    running = group[1].begin_restore(PATH)
    while not group.said(GetChunk):
        group.pass_time(0.001)
    return running


def is_done(running: Deferred[RestoreReport]) -> bool:
    """Whether RESTORE has ended: a type checker believes that an attribute stays what it was."""
    return bool(running.called)


def delay_disk(group: Group, seconds: float) -> None:
    """Have every call of peer 1's storage take up to so many seconds from now on."""
    executor = group[1].executor
    assert executor is not None
    executor.max_delay = seconds


def executor_takes(group: Group, seconds: float) -> None:
    """Have every call of peer 1's storage take just so many seconds from now on."""
    executor = group[1].executor
    assert executor is not None
    executor.min_delay = executor.max_delay = seconds


def begin_another(group: Group, chunk: ChunkId) -> Deferred[RestoreReport]:
    """Start RESTORE beside others; its first GETCHUNK is out when this returns."""
    running = group[1].begin_restore(PATH)
    while all(message.chunk_id != chunk for _, message in group.said(GetChunk)):
        group.pass_time(0.001)
    return running


def restored(group: Group) -> list[str]:
    """The names in the restore folder of peer 1."""
    return group[1].disk.list_directory("/store/restored")


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
            executor_takes(group, 4.0)
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
            executor_takes(group, 4.0)
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
            running = begin_another(group, chunk)
            began = group.clock.seconds()
            group.run_to(began + ATTEMPTS[4] + 5.0)
            holder.chunk(slow, BODY)
            group.run(slowest)
            group.run_to(began + GIVEN_UP + ATTEMPT_WAITS[4] - 0.5)
            let_go(group[1].begin_restore("/home/other"))
            group.pass_time(0.3)
            executor_takes(group, 4.0)
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
