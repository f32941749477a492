"""The chunk store of slots: a new start, a disk that refuses, and batches."""

from __future__ import annotations

import errno

import pytest

from protocol.values import PeerId
from storage.capacity import RESERVE_BYTES
from storage.disk import IDisk
from storage.errors import DiskFailed
from storage.interfaces import HolderNote, PutOutcome, ReadOutcome
from storage.slot_store import SlotChunkStore
from tests.storage.examples import (
    CAPACITY,
    ROOT,
    SEGMENT,
    a_chunk,
    chunk_id,
    count_operations,
    open_slot_store,
    peers,
)
from tests.support.disk import MemoryDisk, Operation, PowerLost
from tests.support.slots import chunks_on

STORED, HELD, CONFLICT, FAILED, NO_ROOM = (
    PutOutcome.STORED,
    PutOutcome.HELD,
    PutOutcome.CONFLICT,
    PutOutcome.FAILED,
    PutOutcome.NO_ROOM,
)


class TestAfterARestart:
    def test_everything_is_as_it_was(self, disk: IDisk, root: str) -> None:
        store = open_slot_store(disk, root)
        store.set_capacity(12_000)
        store.put([a_chunk("a", holders=(1, 2)), a_chunk("b", 7, b"b" * 4_001, desired=4)])
        store.note_holders([HolderNote(chunk_id("a"), PeerId(3), holds=True)])
        before = store.page(None, 9)
        store.close()
        again = open_slot_store(disk, root)
        assert again.page(None, 9) == before
        usage = again.usage()
        assert (usage.capacity_bytes, usage.used_bytes, usage.chunks) == (12_000, 12_000, 2)
        assert [outcome.body for outcome in again.get([chunk_id("a"), chunk_id("b", 7)])] == [
            b"the body",
            b"b" * 4_001,
        ]
        again.close()

    def test_slots_that_nobody_was_promised_are_empty_again(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        """SPEC.md 9.8."""
        slots.put([a_chunk("a")])
        memory_disk.lose_power_at(4)
        with pytest.raises(PowerLost):
            slots.put([a_chunk("b"), a_chunk("c"), a_chunk("d")])
        memory_disk.crash()
        stray = memory_disk.open(SEGMENT)
        stray.write_at(2 * 65_536, b"written, but its row was never committed")
        stray.sync()
        again = open_slot_store(memory_disk, ROOT)
        assert chunks_on(memory_disk, ROOT) == [chunk_id("a")]
        assert again.get([chunk_id("a")]) == [ReadOutcome(b"the body")]

    def test_files_that_are_not_ours_are_left_alone(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        strangers = [f"{ROOT}/chunks/notes.txt", f"{ROOT}/chunks/1.slots", f"{ROOT}/chunks/other/1"]
        for path in strangers:
            memory_disk.write_file(path, b"mine")
        memory_disk.crash()
        open_slot_store(memory_disk, ROOT)
        assert all(memory_disk.exists(path) for path in strangers)

    def test_after_an_orderly_end_no_slot_is_looked_at(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        """With a million chunks that would take long."""
        slots.put([a_chunk(chunk_no=no) for no in range(9)])
        slots.close()
        touched: list[Operation] = []
        memory_disk.intercept(touched.append)
        open_slot_store(memory_disk, ROOT)
        assert [operation for operation in touched if operation.path == SEGMENT] == []

    def test_space_that_could_not_be_given_back_is_then(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.put([a_chunk("a"), a_chunk("b")])
        memory_disk.fail("punch")
        assert slots.delete([chunk_id("a")]) == [True]
        memory_disk.mend()
        assert slots.put([a_chunk("c")]) == [STORED]
        slots.close()
        assert chunk_id("a") in chunks_on(memory_disk, ROOT)
        open_slot_store(memory_disk, ROOT).close()
        assert chunks_on(memory_disk, ROOT) == sorted([chunk_id("b"), chunk_id("c")])


class TestADiskThatRefuses:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
    def test_one_chunk_that_cannot_be_written_fails_alone(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore, number: int
    ) -> None:
        """SPEC.md 9.6. It isn't acknowledged, takes no capacity, and the next try succeeds."""
        slots.put([a_chunk("before")])
        fail_write(memory_disk, 2, number)
        batch = [a_chunk(name, body=name.encode()) for name in "abc"]
        assert slots.put(batch) == [STORED, FAILED, STORED]
        assert slots.usage().chunks == 3
        assert slots.get([c.chunk_id for c in batch]) == [
            ReadOutcome(b"a"),
            ReadOutcome(None),
            ReadOutcome(b"c"),
        ]
        memory_disk.mend()
        assert slots.put(batch) == [HELD, STORED, HELD]
        assert chunks_on(memory_disk, ROOT) == sorted(chunk_id(n) for n in ("a", "b", "c", "before"))

    def test_a_segment_that_cannot_be_synced_fails_the_chunks_in_it(
        self, memory_disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("storage.segments.SLOTS_IN_SEGMENT", 8)
        slots = open_slot_store(memory_disk, ROOT)
        slots.set_capacity(CAPACITY)
        memory_disk.fail("sync", where="00000001", times=1)
        assert slots.put([a_chunk(chunk_no=no) for no in range(10)]) == [FAILED] * 8 + [STORED] * 2
        assert chunks_on(memory_disk, ROOT) == [chunk_id("photo", 8), chunk_id("photo", 9)]
        assert slots.usage().chunks == 2
        assert slots.put([a_chunk(chunk_no=no) for no in range(10)]) == [STORED] * 8 + [HELD] * 2

    def test_a_new_segment_whose_name_cannot_be_synced_fails_its_chunks(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        memory_disk.fail("sync_directory", where="chunks", times=1)
        assert slots.put([a_chunk("a")]) == [FAILED]
        assert slots.put([a_chunk("a")]) == [STORED]
        memory_disk.crash()
        assert open_slot_store(memory_disk, ROOT).get([chunk_id("a")]) == [ReadOutcome(b"the body")]

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
    @pytest.mark.parametrize("is_first", [True, False])
    def test_an_index_that_cannot_be_written_fails_the_batch_and_leaves_nothing(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore, number: int, is_first: bool
    ) -> None:
        if not is_first:
            slots.put([a_chunk("held", desired=1)])
        before, held = slots.usage(), chunks_on(memory_disk, ROOT)
        memory_disk.fail("commit", number)
        outcomes = slots.put([a_chunk("a"), a_chunk("held", desired=2), a_chunk("held", body=b"other")])
        assert outcomes == [FAILED, FAILED, FAILED if is_first else CONFLICT]
        assert slots.usage() == before
        assert chunks_on(memory_disk, ROOT) == held
        memory_disk.mend()
        assert slots.put([a_chunk("a")]) == [STORED]

    def test_what_is_said_of_a_repetition_is_true_when_the_first_failed(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        fail_write(memory_disk, 1, errno.EIO)
        assert slots.put([a_chunk(body=b"one"), a_chunk(body=b"one")]) == [FAILED, STORED]
        assert slots.get([chunk_id("photo")]) == [ReadOutcome(b"one")]

    def test_a_full_disk_is_noticed_before_it_is_full(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        """SPEC.md 9.24. Both databases can go on, and so can the rest of the machine."""
        slots.put([a_chunk("before")])
        used = memory_disk.total_bytes(ROOT) - memory_disk.free_bytes(ROOT)
        memory_disk.resize(used + RESERVE_BYTES + 70_000)
        outcomes = slots.put([a_chunk(chunk_no=no, body=bytes([no]) * 64_000) for no in range(3)])
        assert outcomes == [STORED, NO_ROOM, NO_ROOM]
        assert slots.put([a_chunk("small")]) == [STORED]
        assert slots.get([chunk_id("before"), chunk_id("photo", 0)]) == [
            ReadOutcome(b"the body"),
            ReadOutcome(bytes(64_000)),
        ]
        slots.delete([chunk_id("photo", 0)])
        assert slots.put([a_chunk("large", body=b"s" * 64_000)]) == [STORED]

    def test_too_many_open_files_is_no_damage(self, memory_disk: MemoryDisk, slots: SlotChunkStore) -> None:
        """Damage has consequences: the copy is dropped."""
        slots.put([a_chunk()])
        memory_disk.fail("open", errno.EMFILE, where="chunks/")
        with pytest.raises(DiskFailed):
            slots.get([chunk_id("photo")])
        memory_disk.mend()
        assert slots.get([chunk_id("photo")]) == [ReadOutcome(b"the body")]

    def test_more_segments_than_files_may_be_open(
        self, disk: IDisk, root: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("storage.segments.SLOTS_IN_SEGMENT", 8)
        monkeypatch.setattr("storage.segments.OPEN_FILES", 2)
        store = open_slot_store(disk, root)
        store.set_capacity(CAPACITY)
        chunks = [a_chunk(chunk_no=no, body=b"%d" % no) for no in range(50)]
        assert store.put(chunks) == [STORED] * 50
        assert [outcome.body for outcome in store.get([c.chunk_id for c in chunks])] == [
            c.body for c in chunks
        ]
        assert store.delete([c.chunk_id for c in chunks[::2]]) == [True] * 25
        assert chunks_on(disk, root) == [c.chunk_id for c in chunks[1::2]]
        store.close()


def fail_write(disk: MemoryDisk, which: int, number: int) -> None:
    """Fail the which-th write from now on, and none after it."""
    seen = 0

    def interceptor(operation: Operation) -> None:
        nonlocal seen
        seen += operation.kind == "write"
        if operation.kind == "write" and seen == which:
            raise OSError(number, "refused")

    disk.intercept(interceptor)


class TestBatches:
    def test_a_batch_shares_one_sync_of_its_segment_and_one_commit(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.put([a_chunk(chunk_no=99)])
        counted = count_operations(memory_disk)
        slots.put([a_chunk(chunk_no=no) for no in range(50)])
        assert (counted["write"], counted["sync"], counted["commit"]) == (50, 1, 1)

    def test_the_index_is_committed_after_the_slots_are_synced(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        """SPEC.md 9.8."""
        slots.put([a_chunk(chunk_no=99)])
        done: list[str] = []
        memory_disk.intercept(lambda operation: done.append(operation.kind) if operation.is_change else None)
        slots.put([a_chunk("a"), a_chunk("b")])
        slots.delete([chunk_id("a")])
        assert done == ["write", "write", "sync", "commit", "commit", "punch", "sync", "commit"]

    def test_no_body_is_longer_than_a_chunk(self, slots: SlotChunkStore) -> None:
        with pytest.raises(ValueError, match="64000"):
            slots.put([a_chunk(body=bytes(64_001))])
        assert slots.put([a_chunk(body=bytes(64_000))]) == [STORED]


class TestHoldersInACrash:
    def test_notes_may_be_lost_but_not_what_was_put(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        """SPEC.md 9.9."""
        slots.put([a_chunk(holders=(1,))])
        slots.note_holders([HolderNote(chunk_id("photo"), PeerId(2), holds=True)])
        memory_disk.crash()
        held = open_slot_store(memory_disk, ROOT).describe([chunk_id("photo")])[0]
        assert held is not None
        assert held.holders == peers(1)

    def test_the_next_promise_keeps_the_notes_before_it(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.put([a_chunk(holders=(1,))])
        slots.note_holders([HolderNote(chunk_id("photo"), PeerId(2), holds=True)])
        slots.put([a_chunk("other")])
        memory_disk.crash()
        held = open_slot_store(memory_disk, ROOT).describe([chunk_id("photo")])[0]
        assert held is not None
        assert held.holders == peers(1, 2)


def test_finding_the_over_replicated_is_no_walk_through_all(slots: SlotChunkStore) -> None:
    plan = slots._index.rows(
        "EXPLAIN QUERY PLAN SELECT chunk_no FROM chunks WHERE perceived > desired"
        " AND (file_id, chunk_no) > (x'', -1) ORDER BY file_id, chunk_no LIMIT 9"
    )
    assert "chunks_over_replicated" in str(plan)
