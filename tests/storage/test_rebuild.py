"""The index is gone or damaged: everything that is in the slots is found again (SPEC.md 9.26, 9.27)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from protocol.values import ChunkId, PeerId
from storage.disk import PosixDisk
from storage.errors import CatalogDamaged, IndexDamaged, StoreNewer
from storage.interfaces import ChunkToStore, HolderNote, HomeChunk, PutOutcome, ReadOutcome
from storage.opening import OpenStorage, open_storage
from storage.rebuild import RebuildReport, rebuild
from storage.slot import VERSION, SlotDamaged, SlotHeader
from tests.storage.examples import a_chunk, a_fingerprint, chunk_id, file_id, peers
from tests.support.disk import MemoryDisk, PowerLost
from tests.support.slots import chunks_on, slot_of, slots_on

ROOT = "/store"
INDEX = f"{ROOT}/index.sqlite"
OWNER = PeerId(7)
OPTION = 1_000_000
STORED, HELD = PutOutcome.STORED, PutOutcome.HELD


def start(disk: MemoryDisk) -> OpenStorage:
    return open_storage(disk, ROOT, peer_id=None, draw_peer_id=lambda: OWNER, capacity_bytes=OPTION)


@pytest.fixture
def disk() -> MemoryDisk:
    """A disk with a closed store of four chunks, one of three files."""
    disk = MemoryDisk()
    storage = start(disk)
    storage.store.set_capacity(500_000)
    storage.store.put([a_chunk("a", no, bytes([no]) * 5_000, desired=3, holders=(7, 8)) for no in range(2)])
    storage.store.put([a_chunk("b"), a_chunk("gone"), a_chunk("c", body=b"")])
    storage.store.delete([chunk_id("gone")])
    storage.close()
    return disk


def all_confirmed(storage: OpenStorage) -> OpenStorage:
    storage.store.confirm([found.file_id for found in storage.store.unconfirmed(None, 99)])
    return storage


class TestWhatIsFound:
    def test_every_whole_chunk_with_what_its_slot_says(self, disk: MemoryDisk) -> None:
        before = {held.chunk_id: held for held in start(disk).store.page(None, 9)}
        disk.crash()
        disk.remove(INDEX)
        report = rebuild(disk, ROOT)
        assert (report.chunks, report.files, report.body_bytes) == (4, 3, 10_008)
        storage = all_confirmed(start(disk))
        page = storage.store.page(None, 9)
        assert [held.chunk_id for held in page] == sorted(before)
        for held in page:
            known = before[held.chunk_id]
            assert (held.length, held.digest, held.desired) == (known.length, known.digest, known.desired)
            assert held.holders == {OWNER}
        assert storage.store.get([chunk_id("a", 1)]) == [ReadOutcome(b"\1" * 5_000)]
        assert (storage.store.usage().used_bytes, storage.store.usage().chunks) == (24_000, 4)

    @pytest.mark.parametrize("damage", ["gone", "scribbled over", "empty"])
    def test_whatever_has_become_of_the_index(self, disk: MemoryDisk, damage: str) -> None:
        if damage == "gone":
            disk.remove(INDEX)
        else:
            content = disk.read_file(INDEX)
            disk.write_file(INDEX, b"" if damage == "empty" else content[:5_000] + b"scribble" * 900)
        with pytest.raises(IndexDamaged, match="rebuild /store"):
            start(disk)
        assert rebuild(disk, ROOT).chunks == 4
        assert len(all_confirmed(start(disk)).store.page(None, 9)) == 4
        assert disk.exists(f"{INDEX}.damaged") == (damage != "gone")

    def test_a_damaged_slot_is_none_and_its_space_comes_back(self, disk: MemoryDisk) -> None:
        for which in (chunk_id("a", 0), chunk_id("b")):
            slot = slot_of(disk, ROOT, which)
            disk.flip_bit(slot.path, slot.offset + slot.length - 1)
        disk.remove(INDEX)
        report = rebuild(disk, ROOT)
        assert (report.chunks, report.damaged_slots) == (2, 2)
        start(disk)
        assert chunks_on(disk, ROOT) == sorted([chunk_id("a", 1), chunk_id("c")])

    @pytest.mark.parametrize("is_newer_first", [True, False])
    def test_of_two_slots_with_one_chunk_the_later_counts(
        self, disk: MemoryDisk, is_newer_first: bool
    ) -> None:
        """As a crash leaves them of a chunk that was dropped and came again."""
        slot = slot_of(disk, ROOT, chunk_id("b"))
        header = SlotHeader.parse(slot.content)
        batch = header.batch + (-1 if is_newer_first else 1)
        other = SlotHeader(header.chunk_id, header.length, 5, header.digest, batch)
        disk.open(slot.path).write_at(40 * 65_536, other.pack(), b"the body")
        disk.remove(INDEX)
        report = rebuild(disk, ROOT)
        assert (report.chunks, report.older_slots) == (4, 1)
        storage = all_confirmed(start(disk))
        held = storage.store.describe([chunk_id("b")])[0]
        assert held is not None
        assert held.desired == (header.desired if is_newer_first else 5)
        assert len(slots_on(disk, ROOT)) == storage.store.usage().chunks == 4

    def test_several_segments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("storage.segments.SLOTS_IN_SEGMENT", 8)
        disk = MemoryDisk()
        storage = start(disk)
        storage.store.put([a_chunk(chunk_no=no) for no in range(30)])
        storage.store.delete([chunk_id("photo", no) for no in range(3, 20)])
        storage.close()
        disk.remove(INDEX)
        assert rebuild(disk, ROOT).chunks == 13
        storage = all_confirmed(start(disk))
        assert storage.store.put([a_chunk("new", no) for no in range(20)]) == [STORED] * 20
        everything = [held.chunk_id for held in storage.store.page(None, 99)]
        assert len(everything) == 33
        assert not any(outcome.is_damaged for outcome in storage.store.get(everything))

    def test_a_store_without_a_chunk(self) -> None:
        disk = MemoryDisk()
        start(disk).close()
        disk.remove(INDEX)
        assert rebuild(disk, ROOT) == RebuildReport()
        assert start(disk).store.usage().capacity_bytes == OPTION


class TestTheCapacity:
    def test_it_is_taken_over_if_the_old_index_still_tells_it(self, disk: MemoryDisk) -> None:
        assert rebuild(disk, ROOT).capacity_bytes == 500_000
        assert start(disk).store.usage().capacity_bytes == 500_000

    def test_if_not_the_option_is_obeyed_again(self, disk: MemoryDisk) -> None:
        disk.remove(INDEX)
        assert rebuild(disk, ROOT).capacity_bytes is None
        assert start(disk).store.usage().capacity_bytes == OPTION


class TestUntilItIsConfirmed:
    """SPEC.md 9.27: what was found may have been deleted."""

    @pytest.fixture
    def found(self, disk: MemoryDisk) -> OpenStorage:
        rebuild(disk, ROOT)
        return start(disk)

    def test_nothing_of_it_is_given_to_anybody(self, found: OpenStorage) -> None:
        everything = [chunk_id("a", 0), chunk_id("a", 1), chunk_id("b"), chunk_id("c")]
        assert found.store.get(everything) == [ReadOutcome(None)] * 4
        assert found.store.describe(everything) == [None] * 4
        assert found.store.page(None, 9) == []
        assert found.store.note_holders([HolderNote(chunk_id("b"), PeerId(9), holds=True)]) == [None]
        assert found.store.usage().chunks == 4

    def test_it_is_told_by_file(self, found: OpenStorage) -> None:
        expected = sorted([chunk_id("a", 0), chunk_id("b"), chunk_id("c")])
        assert found.store.unconfirmed(None, 9) == expected
        assert found.store.unconfirmed(expected[0].file_id, 1) == [expected[1]]
        found.store.confirm([expected[0].file_id])
        assert found.store.unconfirmed(None, 9) == expected[1:]
        assert {held.chunk_id.file_id for held in found.store.page(None, 9)} == {expected[0].file_id}

    def test_a_file_that_was_deleted_is_gone(self, disk: MemoryDisk, found: OpenStorage) -> None:
        assert found.store.delete_files([file_id("a")]) == [True]
        found.store.confirm([file_id("a"), file_id("b"), file_id("c")])
        assert found.store.unconfirmed(None, 9) == []
        assert chunks_on(disk, ROOT) == sorted([chunk_id("b"), chunk_id("c")])

    def test_a_chunk_that_comes_again_confirms_its_file(self, found: OpenStorage) -> None:
        assert found.store.put([a_chunk("a", 1, b"\1" * 5_000)]) == [HELD]
        assert [held.chunk_id for held in found.store.page(None, 9)] == [chunk_id("a", 0), chunk_id("a", 1)]

    def test_another_chunk_of_it_does_so_too(self, found: OpenStorage) -> None:
        assert found.store.put([a_chunk("a", 2)]) == [STORED]
        assert len(found.store.page(None, 9)) == 3

    def test_so_does_one_that_was_damaged_meanwhile(self, disk: MemoryDisk, found: OpenStorage) -> None:
        """SPEC.md 9.31."""
        slot = slot_of(disk, ROOT, chunk_id("a", 1))
        disk.flip_bit(slot.path, slot.offset + 4_000)
        assert found.store.put([a_chunk("a", 1, b"\1" * 5_000)]) == [PutOutcome.MENDED]
        assert found.store.get([chunk_id("a", 1)]) == [ReadOutcome(b"\1" * 5_000)]
        assert len(found.store.page(None, 9)) == 2

    def test_a_chunk_with_another_body_does_not(self, found: OpenStorage) -> None:
        assert found.store.put([a_chunk("b", body=b"other")]) == [PutOutcome.CONFLICT]
        assert found.store.page(None, 9) == []

    def test_a_file_that_was_deleted_may_come_again(self, found: OpenStorage) -> None:
        found.store.delete([chunk_id("b")])
        assert found.store.put([a_chunk("b")]) == [STORED]
        assert found.store.get([chunk_id("b")]) == [ReadOutcome(b"the body")]


class TestWhatIsRefused:
    def test_a_store_whose_catalog_is_damaged(self, disk: MemoryDisk) -> None:
        disk.write_file(f"{ROOT}/catalog.sqlite", b"scribble")
        before = disk.read_file(INDEX)
        with pytest.raises(CatalogDamaged, match="from a copy"):
            rebuild(disk, ROOT)
        assert disk.read_file(INDEX) == before

    def test_slots_of_a_newer_program(self, disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch) -> None:
        storage = start(disk)
        monkeypatch.setattr("storage.slot.VERSION", VERSION + 1)
        storage.store.put([a_chunk("newer")])
        monkeypatch.undo()
        storage.close()
        with pytest.raises(StoreNewer, match=f"version {VERSION + 1}"):
            rebuild(disk, ROOT)
        assert start(disk).store.usage().chunks == 5


def test_a_header_of_version_1_knows_sha256_alone(disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPEC.md 9.18."""
    header = SlotHeader.parse(slot_of(disk, ROOT, chunk_id("b")).content)
    assert SlotHeader.parse(header.pack()) == header
    monkeypatch.setattr("storage.slot.VERSION", 1)
    claimed = header.pack()
    monkeypatch.undo()
    with pytest.raises(SlotDamaged, match="no chunk is like that"):
        SlotHeader.parse(claimed)


def test_wherever_the_power_goes_it_can_be_done_again() -> None:
    crashes = 0
    while True:
        disk = MemoryDisk()
        storage = start(disk)
        storage.store.set_capacity(500_000)
        storage.store.put([ChunkToStore(ChunkId(file_id("a"), no), 2, b"x", peers(7)) for no in range(3)])
        storage.close()
        disk.lose_power_at(crashes + 1)
        try:
            rebuild(disk, ROOT)
        except PowerLost:
            crashes += 1
            disk.crash(Random(crashes))
            try:
                storage = start(disk)
            except IndexDamaged:
                assert rebuild(disk, ROOT).capacity_bytes == 500_000
                storage = start(disk)
            assert len(all_confirmed(storage).store.page(None, 9)) == 3
            assert storage.store.usage().capacity_bytes == 500_000
        else:
            break
    assert crashes > 8


def test_the_catalog_alone_is_enough_for_a_new_store_of_the_same_peer(tmp_path: Path) -> None:
    """SPEC.md 13.13: as README.md tells, copied by SQLite while the peer runs, to where its disk is not."""
    storage = open_at(tmp_path / "old", OWNER)
    version = storage.catalog.begin_version("/photo", file_id("mine"), b"", 1, a_fingerprint())
    storage.catalog.record_chunks(version.version_id, [HomeChunk(0, None, peers(8))])
    storage.catalog.finish_version(version.version_id, degree_met=True)
    (tmp_path / "new").mkdir(0o700)
    with (
        closing(sqlite3.connect(tmp_path / "old" / "catalog.sqlite")) as source,
        closing(sqlite3.connect(tmp_path / "new" / "catalog.sqlite")) as copy,
    ):
        source.backup(copy)
    before = storage.catalog.versions("/photo")
    storage.close()
    new = open_at(tmp_path / "new", PeerId(99))
    assert new.peer_id == OWNER
    assert new.catalog.versions("/photo") == before
    assert [chunk.holders for chunk in new.catalog.chunks(version.version_id, 0, 9)] == [peers(8)]
    new.close()


def open_at(folder: Path, drawn: PeerId) -> OpenStorage:
    return open_storage(
        PosixDisk(), str(folder), peer_id=None, draw_peer_id=lambda: drawn, capacity_bytes=OPTION
    )
