"""The chunk store of slots: what it takes of the disk, and how it gives it back."""

from __future__ import annotations

import errno

import pytest

from protocol.values import PeerId
from storage.interfaces import HolderNote, PutOutcome, ReadOutcome
from storage.slot_store import SlotChunkStore
from tests.storage.examples import (
    CAPACITY,
    ROOT,
    a_chunk,
    chunk_id,
    count_operations,
    file_id,
    open_slot_store,
    places,
)
from tests.support.disk import MemoryDisk
from tests.support.slots import chunks_on

STORED, FAILED = PutOutcome.STORED, PutOutcome.FAILED


class TestSpace:
    def test_a_chunk_takes_the_blocks_that_it_needs(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        """SPEC.md 9.17: as many blocks of 4,096 bytes as it is charged units of 4,000."""
        for length, blocks in ((0, 1), (4_000, 1), (4_001, 2), (8_000, 2), (64_000, 16)):
            before = memory_disk.free_bytes(ROOT)
            slots.put([a_chunk(length, body=b"x" * length)])
            # The index grows in SQLite's own memory.
            assert before - memory_disk.free_bytes(ROOT) == blocks * 4_096

    @pytest.mark.parametrize("is_file", [False, True])
    def test_what_is_dropped_is_free_at_once(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore, is_file: bool
    ) -> None:
        """SPEC.md 9.14."""
        slots.put([a_chunk("kept")])
        before = memory_disk.free_bytes(ROOT)
        slots.put([a_chunk(chunk_no=no, body=bytes([no]) * 64_000) for no in range(3)])
        if is_file:
            assert slots.delete_files([file_id("photo")]) == [True]
        else:
            slots.delete([chunk_id("photo", no) for no in range(3)])
        assert memory_disk.free_bytes(ROOT) == before
        assert chunks_on(memory_disk, ROOT) == [chunk_id("kept")]

    def test_a_free_slot_is_used_again(self, slots: SlotChunkStore) -> None:
        slots.put([a_chunk("a"), a_chunk("b"), a_chunk("c")])
        slots.delete([chunk_id("b")])
        slots.put([a_chunk("b")])
        first, second, third = sorted(places(slots))
        assert (second, third) == (first + 1, first + 2)

    def test_a_segment_that_is_wholly_free_goes_and_its_number_with_it(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("storage.segments.SLOTS_IN_SEGMENT", 8)
        slots = open_slot_store(MemoryDisk(), ROOT)
        slots.set_capacity(CAPACITY)
        disk = slots._disk
        slots.put([a_chunk(chunk_no=no) for no in range(20)])
        folder = f"{ROOT}/chunks"
        assert disk.list_directory(folder) == ["00000001.slots", "00000002.slots", "00000003.slots"]
        slots.put([a_chunk("other")])
        slots.delete([chunk_id("photo", no) for no in range(16)])
        assert disk.list_directory(folder) == ["00000003.slots"]
        slots.put([a_chunk(chunk_no=no) for no in range(10)])
        assert disk.list_directory(folder) == ["00000003.slots", "00000004.slots"]

    def test_adjacent_slots_are_punched_together(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.put([a_chunk(chunk_no=no) for no in range(100)] + [a_chunk("other")])
        counted = count_operations(memory_disk)
        slots.delete_files([file_id("photo")])
        assert counted["punch"] == 1
        assert counted["sync"] == 1

    def test_a_large_file_is_deleted_in_slices(
        self, slots: SlotChunkStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No put waits for more than a slice."""
        monkeypatch.setattr("storage.slot_store.DELETE_SLICE", 3)
        slots.put([a_chunk(chunk_no=no) for no in range(7)] + [a_chunk("b", no) for no in range(2)])
        left = []
        both = [file_id("photo"), file_id("b")]
        while slots.delete_files(both) != [True, True]:
            left.append(slots.usage().chunks)
        assert left == [6, 3]
        assert slots.usage().chunks == 0
        assert slots.delete_files(both) == [True, True]


class TestWherePunchingIsNotSupported:
    @pytest.fixture
    def slots(self, memory_disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch) -> SlotChunkStore:
        monkeypatch.setattr("storage.segments.SLOTS_IN_SEGMENT", 8)
        memory_disk.fail("punch", errno.EOPNOTSUPP)
        store = open_slot_store(memory_disk, ROOT)
        store.set_capacity(CAPACITY)
        store.put([a_chunk(chunk_no=no, body=b"x" * 5_000) for no in range(20)])
        store.put([a_chunk("last", body=b"x" * 5_000)])
        return store

    def test_a_free_segment_is_removed_and_the_tail_is_cut(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.delete([chunk_id("photo", no) for no in (*range(8), 14, 15)])
        assert memory_disk.list_directory(f"{ROOT}/chunks") == ["00000002.slots", "00000003.slots"]
        assert memory_disk.stat(f"{ROOT}/chunks/00000002.slots").size == 6 * 65_536

    def test_slots_are_used_again_and_hold_what_they_should(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.delete([chunk_id("photo", no) for no in (9, 11)])
        before = memory_disk.free_bytes(ROOT)
        assert slots.put([a_chunk("new", body=b"n"), a_chunk("new", 1, body=b"m" * 5_000)]) == [STORED] * 2
        assert memory_disk.free_bytes(ROOT) == before
        slots.close()
        again = open_slot_store(memory_disk, ROOT)
        everything = [held.chunk_id for held in again.page(None, 99)]
        assert len(everything) == 21
        assert not any(outcome.is_damaged for outcome in again.get(everything))


class TestADeletionThatTakesSeveralCalls:
    """SPEC.md 9.25: to everybody else the file is deleted from the first one on."""

    @pytest.fixture
    def halfway(self, slots: SlotChunkStore, monkeypatch: pytest.MonkeyPatch) -> SlotChunkStore:
        monkeypatch.setattr("storage.slot_store.DELETE_SLICE", 3)
        slots.put([a_chunk(chunk_no=no, desired=1, holders=(1, 2)) for no in range(7)] + [a_chunk("b")])
        assert slots.delete_files([file_id("photo")]) == [False]
        return slots

    def test_nothing_of_it_is_seen_but_what_it_takes(self, halfway: SlotChunkStore) -> None:
        assert halfway.get([chunk_id("photo", 6), chunk_id("b")]) == [
            ReadOutcome(None),
            ReadOutcome(b"the body"),
        ]
        assert halfway.describe([chunk_id("photo", 6)]) == [None]
        assert [held.chunk_id for held in halfway.page(None, 9)] == [chunk_id("b")]
        assert halfway.over_replicated(None, 9) == []
        assert halfway.note_holders([HolderNote(chunk_id("photo", 6), PeerId(9), holds=True)]) == [None]
        assert halfway.usage().chunks == 5

    def test_nothing_of_it_is_stored_until_it_has_ended(self, halfway: SlotChunkStore) -> None:
        assert halfway.put([a_chunk(chunk_no=0), a_chunk(chunk_no=6), a_chunk("c")]) == [
            FAILED,
            FAILED,
            STORED,
        ]
        assert [halfway.delete_files([file_id("photo")]) for _ in range(2)] == [[False], [True]]
        assert halfway.put([a_chunk(chunk_no=0)]) == [STORED]
        assert halfway.get([chunk_id("photo", 0)]) == [ReadOutcome(b"the body")]

    def test_a_crash_does_not_bring_it_back(self, memory_disk: MemoryDisk, halfway: SlotChunkStore) -> None:
        memory_disk.crash()
        again = open_slot_store(memory_disk, ROOT)
        assert again.deletions() == [file_id("photo")]
        assert again.get([chunk_id("photo", 6)]) == [ReadOutcome(None)]
        while again.delete_files(again.deletions()) != [True]:
            pass
        assert again.deletions() == []
        assert chunks_on(memory_disk, ROOT) == [chunk_id("b")]
