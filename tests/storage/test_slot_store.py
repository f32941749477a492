"""The chunk store of slots: what a disk that refuses, damage and a second thread do to it, and a new start."""

from __future__ import annotations

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from protocol.values import PeerId
from storage.disk import IDisk, PosixDisk
from storage.errors import DiskFailed
from storage.interfaces import HolderNote, PutOutcome, ReadOutcome
from storage.scrub import ScrubBatch
from storage.slot import HEADER_BYTES
from storage.slot_store import RESERVE_BYTES, SlotChunkStore
from tests.storage.examples import CAPACITY, a_chunk, chunk_id, file_id, open_slot_store, peers
from tests.support.disk import MemoryDisk, Operation, PowerLost
from tests.support.slots import chunks_on, slot_of, slots_on

ROOT = "/store"
SEGMENT = f"{ROOT}/chunks/00000001.slots"
STORED, HELD, CONFLICT, FAILED = PutOutcome.STORED, PutOutcome.HELD, PutOutcome.CONFLICT, PutOutcome.FAILED
NO_ROOM, MENDED = PutOutcome.NO_ROOM, PutOutcome.MENDED


@pytest.fixture
def memory_disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def slots(memory_disk: MemoryDisk) -> SlotChunkStore:
    """A store on the disk in memory; a test that crashes the disk needs not close it."""
    store = open_slot_store(memory_disk, ROOT)
    store.set_capacity(CAPACITY)
    return store


def places(store: SlotChunkStore) -> list[int]:
    """Where the chunks are, in the order of their ids."""
    return [place for (place,) in store._index.rows("SELECT place FROM chunks ORDER BY file_id, chunk_no")]


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


def count_operations(disk: MemoryDisk) -> dict[str, int]:
    """Counts what is done from now on, by its kind."""
    counted: dict[str, int] = {}

    def interceptor(operation: Operation) -> None:
        counted[operation.kind] = counted.get(operation.kind, 0) + 1

    disk.intercept(interceptor)
    return counted


class TestDamage:
    """SPEC.md 9.5."""

    @pytest.mark.parametrize("offset", [0, 50, HEADER_BYTES - 1, HEADER_BYTES, 31_999, HEADER_BYTES + 63_999])
    def test_a_flipped_bit_is_found_and_the_rest_is_served(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore, offset: int
    ) -> None:
        slots.put([a_chunk("a", body=bytes(64_000)), a_chunk("b")])
        slot = slot_of(memory_disk, ROOT, chunk_id("a"))
        memory_disk.flip_bit(slot.path, slot.offset + offset)
        assert slots.get([chunk_id("a"), chunk_id("b")]) == [
            ReadOutcome(None, is_damaged=True),
            ReadOutcome(b"the body"),
        ]
        assert slots.scrub(None, 9) == ScrubBatch(2, (chunk_id("a"),), None)

    def test_a_file_cut_short_is_found(self, memory_disk: MemoryDisk, slots: SlotChunkStore) -> None:
        slots.put([a_chunk("a"), a_chunk("b")])
        first, second = slots_on(memory_disk, ROOT)
        assert second.offset - first.offset == 65_536
        memory_disk.open(second.path).truncate(second.offset + 100)
        outcomes = slots.get([chunk_id("a"), chunk_id("b")])
        assert sorted(outcomes, key=lambda outcome: outcome.is_damaged) == [
            ReadOutcome(b"the body"),
            ReadOutcome(None, is_damaged=True),
        ]

    def test_a_removed_file_is_found(self, memory_disk: MemoryDisk, slots: SlotChunkStore) -> None:
        slots.put([a_chunk()])
        memory_disk.remove(SEGMENT)
        assert slots.get([chunk_id("photo")]) == [ReadOutcome(None, is_damaged=True)]

    def test_a_sector_that_cannot_be_read_is_damage(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.put([a_chunk()])
        memory_disk.fail("read", errno.EIO, where=SEGMENT)
        assert slots.get([chunk_id("photo")]) == [ReadOutcome(None, is_damaged=True)]

    def test_a_slot_with_another_whole_chunk_is_damage(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        """As a disk leaves it that has written to the wrong place."""
        slots.put([a_chunk("a"), a_chunk("b", body=b"another")])
        wrong = slot_of(memory_disk, ROOT, chunk_id("a"))
        memory_disk.open(wrong.path).write_at(wrong.offset, slot_of(memory_disk, ROOT, chunk_id("b")).content)
        assert slots.get([chunk_id("a")]) == [ReadOutcome(None, is_damaged=True)]

    def test_a_damaged_chunk_can_be_deleted_and_stored_anew(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.put([a_chunk(), a_chunk("other")])
        slot = slot_of(memory_disk, ROOT, chunk_id("photo"))
        memory_disk.flip_bit(slot.path, slot.offset)
        assert slots.delete([chunk_id("photo")]) == [True]
        assert slots.put([a_chunk()]) == [STORED]
        assert slots.get([chunk_id("photo")]) == [ReadOutcome(b"the body")]


class TestADamagedCopyThatIsReplaced:
    """SPEC.md 9.31, on a disk."""

    @pytest.fixture
    def damaged(self, memory_disk: MemoryDisk, slots: SlotChunkStore) -> SlotChunkStore:
        """A store with chunks a, b and c, where b is damaged."""
        slots.put([a_chunk("a"), a_chunk("b", body=b"b" * 9_000), a_chunk("c")])
        slot = slot_of(memory_disk, ROOT, chunk_id("b"))
        memory_disk.flip_bit(slot.path, slot.offset + 4_000)
        return slots

    GOOD = a_chunk("b", body=b"b" * 9_000)

    def test_its_slot_is_given_back(self, memory_disk: MemoryDisk, damaged: SlotChunkStore) -> None:
        before = places(damaged)
        assert damaged.put([self.GOOD]) == [MENDED]
        assert places(damaged) != before
        assert len(slots_on(memory_disk, ROOT)) == damaged.usage().chunks == 3
        damaged.close()
        again = open_slot_store(memory_disk, ROOT)
        assert [outcome.body for outcome in again.get([chunk_id(n) for n in "abc"])] == [
            b"the body",
            b"b" * 9_000,
            b"the body",
        ]

    @pytest.mark.parametrize("kind", ["write", "sync", "commit"])
    def test_a_disk_that_refuses_leaves_it_as_it_is(
        self, memory_disk: MemoryDisk, damaged: SlotChunkStore, kind: str
    ) -> None:
        memory_disk.fail(kind)
        assert damaged.put([self.GOOD, a_chunk("a")]) in ([FAILED, HELD], [FAILED, FAILED])
        memory_disk.mend()
        held = damaged.describe([chunk_id("b")])[0]
        assert held is not None
        assert damaged.get([chunk_id("b")]) == [ReadOutcome(None, is_damaged=True)]
        assert damaged.usage().used_bytes == 20_000
        assert damaged.put([self.GOOD]) == [MENDED]
        assert damaged.usage().used_bytes == 20_000
        assert damaged.get([chunk_id("b")]) == [ReadOutcome(b"b" * 9_000)]

    def test_one_that_can_not_be_read_for_now_is_not_vouched_for(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.put([a_chunk("a")])
        memory_disk.fail("read", errno.EMFILE, where="/chunks/")
        assert slots.put([a_chunk("a"), a_chunk("new")]) == [FAILED, STORED]
        memory_disk.mend()
        assert slots.put([a_chunk("a")]) == [HELD]

    def test_it_takes_nothing_of_the_reserve(self, memory_disk: MemoryDisk, damaged: SlotChunkStore) -> None:
        """SPEC.md 9.24."""
        memory_disk.resize(10**12 - memory_disk.free_bytes(ROOT) + RESERVE_BYTES + 12_000)
        assert damaged.put([self.GOOD]) == [NO_ROOM]
        memory_disk.resize(10**12)
        assert damaged.put([self.GOOD]) == [MENDED]

    def test_one_whose_segment_is_gone(self, memory_disk: MemoryDisk, damaged: SlotChunkStore) -> None:
        damaged.close()
        memory_disk.remove(SEGMENT)
        store = open_slot_store(memory_disk, ROOT)
        assert store.put([a_chunk("a", body=b"the bodY")]) == [CONFLICT]
        assert not memory_disk.exists(SEGMENT)
        assert store.put([self.GOOD, a_chunk("a"), a_chunk("c")]) == [MENDED] * 3
        assert not any(outcome.is_damaged for outcome in store.get([chunk_id(n) for n in "abc"]))

    def test_a_reader_in_the_middle_finds_the_new_one(
        self, memory_disk: MemoryDisk, damaged: SlotChunkStore
    ) -> None:
        """SPEC.md 9.19, 9.21."""
        outcomes: list[PutOutcome] = []

        def replace_it(operation: Operation) -> None:
            if operation.kind == "read":
                memory_disk.mend()
                outcomes.extend(damaged.put([self.GOOD]))

        memory_disk.intercept(replace_it)
        assert damaged.get([chunk_id("b")]) == [ReadOutcome(b"b" * 9_000)]
        assert outcomes == [MENDED]

    def test_wherever_the_power_goes_it_is_damaged_still_or_whole(self) -> None:
        crashes = 0
        while True:
            disk = MemoryDisk()
            store = open_slot_store(disk, ROOT)
            store.set_capacity(CAPACITY)
            store.put([a_chunk("a"), a_chunk("b", body=b"b" * 9_000)])
            slot = slot_of(disk, ROOT, chunk_id("b"))
            disk.flip_bit(slot.path, slot.offset + 4_000)
            outcomes: list[PutOutcome] = []
            disk.lose_power_at(crashes + 1)
            try:
                outcomes = store.put([self.GOOD, a_chunk("c")])
                store.put([a_chunk("d")])
            except PowerLost:
                crashes += 1
                disk.crash(Random(crashes))
                again = open_slot_store(disk, ROOT)
                a, b, c = again.get([chunk_id(n) for n in "abc"])
                assert a.body == b"the body"
                assert b.body == b"b" * 9_000 or (b.is_damaged and not outcomes)
                assert c.body == b"the body" or (c == ReadOutcome(None) and not outcomes)
                assert len(slots_on(disk, ROOT)) == again.usage().chunks == len(again.page(None, 9))
                assert again.put([self.GOOD])[0] in (MENDED, HELD)
                assert again.get([chunk_id("b")]) == [ReadOutcome(b"b" * 9_000)]
                again.close()
            else:
                break
        assert outcomes == [MENDED, STORED]
        assert crashes >= 6


class TestASpoiltRow:
    """SQLite has no checksums: a byte that flips in its file is a value of ours that changed."""

    @pytest.fixture
    def spoilt(self, slots: SlotChunkStore) -> SlotChunkStore:
        slots.put([a_chunk(name) for name in "abc"])
        with slots._index.transaction() as connection:
            connection.execute(
                "UPDATE chunks SET place = (SELECT place FROM chunks WHERE file_id = ?) WHERE file_id = ?",
                (file_id("b"), file_id("a")),
            )
        return slots

    def test_it_is_damage_and_the_rest_is_served(self, spoilt: SlotChunkStore) -> None:
        assert spoilt.get([chunk_id("a"), chunk_id("b")]) == [
            ReadOutcome(None, is_damaged=True),
            ReadOutcome(b"the body"),
        ]
        assert spoilt.describe([chunk_id("a")]) == [None]
        assert spoilt.note_holders([HolderNote(chunk_id("a"), PeerId(3), holds=True)]) == [None]

    def test_the_scrub_tells_it(self, spoilt: SlotChunkStore) -> None:
        """SPEC.md 9.29."""
        assert spoilt.scrub(None, 9) == ScrubBatch(3, (chunk_id("a"),), None)

    @pytest.mark.parametrize("spoilt_rows", [1, 2, 5])
    @pytest.mark.parametrize("limit", [1, 2, 9])
    def test_the_scrub_goes_on_behind_rows_that_name_no_chunk(
        self, slots: SlotChunkStore, spoilt_rows: int, limit: int
    ) -> None:
        """SPEC.md 9.29: most stores are scrubbed one chunk at a time."""
        slots.put([a_chunk(name) for name in "abcdefgh"])
        ids = sorted(chunk_id(name) for name in "abcdefgh")
        with slots._index.transaction() as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            for number, spoilt_id in enumerate(ids[:spoilt_rows]):
                connection.execute(
                    "UPDATE chunks SET file_id = ? WHERE file_id = ?", (bytes([number]), spoilt_id.file_id)
                )
        batch = slots.scrub(None, limit)
        read = batch.chunks
        while batch.last is not None:
            batch = slots.scrub(batch.last, limit)
            read += batch.chunks
        assert read == len(ids) - spoilt_rows

    def test_a_page_passes_it_over_and_is_full_all_the_same(self, spoilt: SlotChunkStore) -> None:
        assert len(spoilt.page(None, 2)) == 2
        assert {held.chunk_id for held in spoilt.page(None, 9)} == {chunk_id("b"), chunk_id("c")}

    @pytest.mark.parametrize("is_file", [False, True])
    def test_to_drop_it_costs_no_other_chunk(self, spoilt: SlotChunkStore, is_file: bool) -> None:
        if is_file:
            spoilt.delete_files([file_id("a")])
        else:
            assert spoilt.delete([chunk_id("a")]) == [True]
        assert spoilt.get([chunk_id("a"), chunk_id("b")]) == [ReadOutcome(None), ReadOutcome(b"the body")]

    def test_its_chunk_can_be_stored_anew(self, spoilt: SlotChunkStore) -> None:
        assert spoilt.put([a_chunk("a")]) == [STORED]
        assert [outcome.body for outcome in spoilt.get([chunk_id(n) for n in "abc"])] == [b"the body"] * 3


class TestReadingWhileOthersWrite:
    """``get`` runs in a thread of its own: what it looks up may be gone before it has read it."""

    def test_a_chunk_deleted_under_the_reader_is_not_held_and_not_damaged(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.put([a_chunk()])
        during_the_next_read(memory_disk, lambda: slots.delete([chunk_id("photo")]))
        assert slots.get([chunk_id("photo")]) == [ReadOutcome(None)]

    @pytest.mark.parametrize("body", [b"the body", b"another body"])
    def test_a_chunk_replaced_under_the_reader_is_read_as_it_is_now(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore, body: bytes
    ) -> None:
        slots.put([a_chunk()])

        def replace() -> None:
            slots.delete([chunk_id("photo")])
            slots.put([a_chunk(body=body)])

        during_the_next_read(memory_disk, replace)
        assert slots.get([chunk_id("photo")]) == [ReadOutcome(body)]

    def test_no_slot_is_used_again_while_somebody_reads(
        self, memory_disk: MemoryDisk, slots: SlotChunkStore
    ) -> None:
        slots.put([a_chunk("a"), a_chunk("b")])
        freed, _ = sorted(places(slots))
        name = "a" if slot_of(memory_disk, ROOT, chunk_id("a")).offset == 0 else "b"
        taken: list[int] = []

        def replace() -> None:
            slots.delete([chunk_id(name)])
            slots.put([a_chunk("c")])
            taken.extend(places(slots))

        during_the_next_read(memory_disk, replace)
        slots.get([chunk_id("a")])
        assert freed not in taken
        slots.put([a_chunk("d")])
        assert freed in places(slots)

    def test_a_reader_in_another_thread_sees_whole_chunks_or_none(self, tmp_path: Path) -> None:
        store = open_slot_store(PosixDisk(), str(tmp_path))
        store.set_capacity(CAPACITY)
        names = list(range(20))
        random = Random(1)

        def write() -> None:
            for _ in range(60):
                some = random.sample(names, 8)
                store.put([a_chunk(name, body=str((name, random.randrange(2))).encode()) for name in some])
                store.delete([chunk_id(name) for name in some])

        seen: set[tuple[object, ReadOutcome]] = set()
        with ThreadPoolExecutor(1) as executor:
            writing = executor.submit(write)
            while not writing.done():
                seen.update(zip(names, store.get([chunk_id(name) for name in names]), strict=True))
            writing.result()
        store.close()
        whole = {(name, ReadOutcome(str((name, draw)).encode())) for name in names for draw in (0, 1)}
        assert seen <= whole | {(name, ReadOutcome(None)) for name in names}
        assert len(seen) > len(names)


def during_the_next_read(disk: MemoryDisk, act: Callable[[], object]) -> None:
    """Do something between the reader's look into the index and its look into the slot."""
    done: list[Operation] = []

    def interceptor(operation: Operation) -> None:
        if operation.kind == "read" and "/chunks/" in operation.path and not done:
            done.append(operation)
            act()

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
        memory_disk.intercept(lambda operation: done.append(operation.kind))
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
