"""The chunk store of slots: what was stored and is damaged, told, replaced and dropped."""

from __future__ import annotations

import errno
from random import Random

import pytest

from protocol.values import PeerId
from storage.capacity import RESERVE_BYTES
from storage.interfaces import HolderNote, PutOutcome, ReadOutcome
from storage.scrub import ScrubBatch
from storage.slot import HEADER_BYTES
from storage.slot_store import SlotChunkStore
from tests.storage.examples import (
    CAPACITY,
    ROOT,
    SEGMENT,
    a_chunk,
    chunk_id,
    file_id,
    open_slot_store,
    places,
)
from tests.support.disk import MemoryDisk, Operation, PowerLost
from tests.support.slots import slot_of, slots_on

STORED, HELD, CONFLICT, FAILED, NO_ROOM, MENDED = (
    PutOutcome.STORED,
    PutOutcome.HELD,
    PutOutcome.CONFLICT,
    PutOutcome.FAILED,
    PutOutcome.NO_ROOM,
    PutOutcome.MENDED,
)


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
