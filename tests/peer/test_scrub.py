"""Damage is found before anybody asks for the chunk, and the group heals it (SPEC.md 9.29, 9.30, 6.16)."""

from __future__ import annotations

import errno
from itertools import pairwise
from random import Random

import pytest
from twisted.internet.defer import Deferred

from peer.blocking import Lane
from peer.config import PeerConfig
from peer.metrics import Counters
from peer.scrub import MOST_YIELDS, YIELDING, Scrub
from protocol.messages import Removed
from protocol.values import ChunkId, FileId
from storage.memory_store import MemoryChunkStore
from storage.slot_store import SlotChunkStore
from tests.peer.copies import BODY, CHUNK, damage, give_copy, holds, take_logged
from tests.storage.examples import a_chunk
from tests.support.clock import SimClock, run_for
from tests.support.disk import Operation
from tests.support.executor import ClockExecutor
from tests.support.group import STORE, Group
from tests.support.stranger import Stranger, chunk_id

CONTENT = bytes(range(256)) * 501
DAY = 24 * 3600.0
MONTH = 30 * DAY
HEALING = 5.0
"""Seconds in which a REMOVED is heard and a new copy made, when nothing is lost."""


def scrubbing(period: float | None) -> PeerConfig:
    """The configuration of a peer that scrubs in so many seconds."""
    return PeerConfig(store=STORE, scrub_period=period)


def group_of(*peer_ids: int, period: float | None, seed: int = 1) -> Group:
    """A group of such peers."""
    group = Group(seed=seed)
    for peer_id in peer_ids:
        group.add(peer_id, config=scrubbing(period))
    return group


def reads(group: Group, peer_id: int) -> list[float]:
    """When the peer reads of its segments from now on."""
    times: list[float] = []

    def note(operation: Operation) -> None:
        if operation.kind == "read" and "/chunks/" in operation.path:
            times.append(group.clock.seconds())

    group[peer_id].disk.intercept(note)
    return times


def spoil_row(group: Group, peer_id: int, chunk: ChunkId) -> None:
    """Change a row of the index as a disk may."""
    storage = group[peer_id].storage
    assert storage is not None
    assert isinstance(storage.store, SlotChunkStore)
    with storage.store._index.transaction() as connection:
        connection.execute("UPDATE chunks SET checksum = checksum + 1 WHERE file_id = ?", (chunk.file_id,))


class TestGroup:
    @pytest.mark.parametrize("others", [(2, 3), (2, 3, 4, 5)])
    def test_a_flipped_byte_is_found_and_healed_from_the_other_copy_without_a_command(
        self, others: tuple[int, ...]
    ) -> None:
        """SPEC.md 9.29, 6.16, 6.2: the file is at its degree again, all its copies whole."""
        for seed in range(8):
            with group_of(1, *others, period=100.0, seed=seed) as group:
                group[1].write("/home/photo", CONTENT)
                report = group[1].backup("/home/photo", 2)
                group.pass_time(1.0)
                copies = group.copies(report.file_id)
                no = seed % report.chunks
                holder = copies[no][seed % 2]
                damage(group, holder, ChunkId(FileId.from_hex(report.file_id), no))
                # The home doesn't help: what heals is the other holder.
                group[1].stop()
                group.pass_time(110.0 + HEALING)
                assert all(len(holders) >= 2 for holders in group.copies(report.file_id).values())
                for member in group.members.values():
                    if member.peer is not None and member.storage is not None:
                        held = [chunk.chunk_id for chunk in member.held()]
                        assert not any(o.is_damaged for o in member.storage.store.get(held))
                assert group[holder].count("damaged_copies_dropped") == 1
                take_logged(group)

    def test_a_row_that_was_spoilt_is_damage_too(self) -> None:
        """SPEC.md 9.29, 9.11."""
        with group_of(20, 21, period=100.0) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2)
            spoil_row(group, 20, CHUNK)
            group.pass_time(110.0 + HEALING)
            assert [message.chunk_id for _, message in group.said(Removed, by=20)] == [CHUNK]
            assert holds(group, 20)
            assert holds(group, 21)
            take_logged(group)

    def test_one_that_is_healed_meanwhile_is_not_dropped(self) -> None:
        """SPEC.md 6.16: when it comes to drop it the copy is whole again."""
        with group_of(20, period=None) as group:
            home = Stranger(group)
            give_copy(group, home)
            assert group[20].peer is not None
            group[20].peer._drop_damaged(CHUNK)
            group.pass_time(5.0)
            assert holds(group, 20)
            assert not group.said(Removed)
            assert group[20].count("damaged_copies_dropped") == 0


class TestPace:
    def test_each_copy_is_read_once_in_a_period_and_evenly(self) -> None:
        """SPEC.md 9.29: ten of them in thirty days."""
        with group_of(20, period=MONTH) as group:
            home = Stranger(group)
            for no in range(10):
                home.putchunk(chunk_id("film", no), BODY)
            group.pass_time(MONTH)
            times = reads(group, 20)
            group.pass_time(2 * MONTH)
            assert len(times) == 20
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert all(0.97 * MONTH / 10 < gap < 1.03 * MONTH / 10 for gap in gaps)
            assert group[20].count("chunks_scrubbed") in (29, 30, 31)

    def test_every_copy_is_read_though_the_peer_is_started_again_every_day(self) -> None:
        """SPEC.md 9.30: by a stop, or by a loss of power."""
        with group_of(20, period=MONTH) as group:
            home = Stranger(group)
            chunks = [chunk_id("film", no) for no in range(10)]
            for chunk in chunks:
                home.putchunk(chunk, BODY)
            group.pass_time(5 * DAY)
            # Those that it comes to last: after each start the first one of all would be read again.
            for chunk in chunks[7:]:
                damage(group, 20, chunk)
            for day in range(31):
                if day % 2:
                    group[20].restart()
                else:
                    group[20].kill()
                    group[20].start()
                group.pass_time(DAY)
            assert [held.chunk_id for held in group[20].held()] == chunks[:7]
            assert [message.chunk_id for _, message in group.said(Removed, by=20)] == chunks[7:]
            take_logged(group)

    def test_none_reads_nothing_ever(self) -> None:
        """SPEC.md 7.1."""
        with group_of(20, period=None) as group:
            give_copy(group, Stranger(group))
            assert group[20].clock is not None
            assert group[20].clock.getDelayedCalls() == []
            times = reads(group, 20)
            group.pass_time(3 * MONTH)
            assert times == []

    def test_a_disk_that_can_not_be_read_for_now_costs_time_and_no_copy(self) -> None:
        """SPEC.md 6.16, 9.29."""
        with group_of(20, period=100.0) as group:
            give_copy(group, Stranger(group))
            group.pass_time(300.0)
            group[20].disk.fail("open", errno.EMFILE, where="/chunks/")
            group[20].disk.fail("read", errno.EMFILE, where="/chunks/")
            group.pass_time(300.0)
            group[20].disk.mend()
            assert group.errors
            group.errors.clear()
            damage(group, 20)
            group.pass_time(200.0)
            assert not holds(group, 20)
            take_logged(group)

    def test_nor_does_one_that_does_not_tell_how_full_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """SPEC.md 9.29."""
        with group_of(20, period=100.0) as group:
            give_copy(group, Stranger(group))

            def refuse(_path: str) -> int:
                raise OSError(errno.EIO, "no")

            with monkeypatch.context() as refusing:
                refusing.setattr(group[20].disk, "free_bytes", refuse)
                group.pass_time(300.0)
            damage(group, 20)
            group.pass_time(200.0)
            assert not holds(group, 20)
            take_logged(group)

    def test_a_stop_at_any_moment_leaves_nothing_to_do(self) -> None:
        """SPEC.md 9.30: in the middle of a read among them."""
        for seed in range(20):
            with group_of(period=10.0, seed=seed) as group:
                group.add(20, config=scrubbing(10.0), disk_seconds=2.0)
                give_copy(group, Stranger(group))
                group.pass_time(group.random.uniform(3.0, 30.0))

    def test_a_wall_clock_that_was_set_back_is_no_reason_to_wait_for_it(self) -> None:
        """SPEC.md 9.32: with a copy that is read once in a month by a peer that runs for a day at a time."""
        clock, counters = SimClock(), Counters()
        executor = ClockExecutor(clock=clock, random=Random(1), max_delay=0.001)
        store = MemoryChunkStore(capacity_bytes=10**9)
        store.put([a_chunk()])
        step = 0.0

        def run_a_day() -> None:
            scrub = Scrub(
                period=MONTH,
                store=store,
                store_lane=Lane(executor, "store"),
                read_lane=Lane(executor, "read"),
                drop_damaged=lambda _chunk_id: None,
                counters=counters,
                clock=clock,
                wall_clock=lambda: clock.seconds() + step,
            )
            scrub.start()
            run_for(clock, DAY)
            scrub.stop()
            run_for(clock, 1.0)

        run_a_day()
        assert counters.events["chunks_scrubbed"] == 1
        step = -400 * DAY
        for _ in range(29):
            run_a_day()
        assert counters.events["chunks_scrubbed"] == 1
        for _ in range(3):
            run_a_day()
        assert counters.events["chunks_scrubbed"] == 2


class TestGivingWay:
    def test_nothing_is_read_while_others_read_but_not_for_ever(self) -> None:
        """SPEC.md 9.29."""
        clock, counters = SimClock(), Counters()
        executor = ClockExecutor(clock=clock, random=Random(1), max_delay=0.001)
        store_lane, read_lane = Lane(executor, "store"), Lane(executor, "read")
        store = MemoryChunkStore(capacity_bytes=10**9)
        store.put([a_chunk()])
        reading: list[Deferred[None]] = []
        scrub = Scrub(
            period=100.0,
            store=store,
            store_lane=store_lane,
            read_lane=read_lane,
            drop_damaged=lambda _chunk_id: None,
            counters=counters,
            clock=clock,
            wall_clock=clock.seconds,
        )

        def read_on() -> None:
            if clock.seconds() < busy_until:
                reading.append(read_lane.run(lambda: None))
                reading[-1].addCallback(lambda _result: read_on())

        busy_until = 3.0
        read_on()
        scrub.start()
        run_for(clock, 2.9)
        assert counters.events["chunks_scrubbed"] == 0
        run_for(clock, 2 * YIELDING)
        assert counters.events["chunks_scrubbed"] == 1
        run_for(clock, 90.0)
        busy_until = 1_000.0
        read_on()
        run_for(clock, MOST_YIELDS * YIELDING + 12.0)
        assert counters.events["chunks_scrubbed"] == 2
        scrub.stop()
        busy_until = 0.0
        run_for(clock, 1.0)
        assert clock.getDelayedCalls() == []
