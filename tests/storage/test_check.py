"""Whatever a disk does to a store: the check finds it, it is never served, and the rest still is (SPEC.md 9.28)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

import pytest

from protocol.values import PeerId
from storage.check import CheckReport, check
from storage.disk import IDisk, PosixDisk
from storage.errors import CatalogDamaged, StoreLocked, StoreMissing
from storage.interfaces import ChunkToStore, HomeChunk
from storage.opening import OpenStorage, open_storage
from storage.rebuild import rebuild
from storage.slot import HEADER_BYTES
from tests.storage.examples import a_chunk, a_fingerprint, chunk_id, file_id, peers
from tests.support.disk import MemoryDisk, PowerLost
from tests.support.slots import chunk_slots_on, slot_of

SEGMENT = "chunks/00000001.slots"
FILES = (SEGMENT, "catalog.sqlite", "index.sqlite", "seals")
BODIES = {
    chunk_id("small"): b"the body",
    chunk_id("empty"): b"",
    chunk_id("long"): Random(1).randbytes(4_500),
    chunk_id("long", 1): Random(2).randbytes(9_000),
}


def start(disk: IDisk, root: str) -> OpenStorage:
    return open_storage(disk, root, peer_id=None, draw_peer_id=lambda: PeerId(7), capacity_bytes=1_000_000)


def fill(disk: IDisk, root: str) -> OpenStorage:
    """A store with chunks, a hole between them, and a file of its own."""
    storage = start(disk, root)
    storage.store.put([a_chunk("before")])
    storage.store.put([ChunkToStore(which, 2, body, peers(7)) for which, body in BODIES.items()])
    storage.store.delete([chunk_id("before")])
    version = storage.catalog.begin_version("/photo.jpg", file_id("mine"), b"", 1, a_fingerprint())
    storage.catalog.record_chunks(version.version_id, [HomeChunk(0, None, peers(1))])
    return storage


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of such a store that was closed in order."""
    root = tmp_path / "store"
    fill(PosixDisk(), str(root)).close()
    return root


def checked(root: object, disk: IDisk | None = None) -> tuple[CheckReport, list[str]]:
    told: list[str] = []
    return check(disk or PosixDisk(), str(root), told.append), told


def damage_is_found(store: Path) -> bool:
    """Whether the check tells it. What it tells can be printed, a line each."""
    report, told = checked(store)
    assert len(told) == report.wrong
    assert all(sentence.isprintable() for sentence in told)
    return report.wrong > 0


def serve(store: Path) -> int:
    """Start on the store, rebuilt if the start says so: how many of the chunks are served, each as it was."""
    disk, root = PosixDisk(), str(store)
    try:
        storage = start(disk, root)
    except CatalogDamaged as error:
        if "rebuild" not in str(error):
            return len(BODIES)
        rebuild(disk, root)
        storage = start(disk, root)
        storage.store.confirm([which.file_id for which in storage.store.unconfirmed(None, 99)])
    outcomes = storage.store.get(list(BODIES))
    assert all(outcome.body in (None, body) for outcome, body in zip(outcomes, BODIES.values(), strict=True))
    storage.close()
    return sum(outcome.body is not None for outcome in outcomes)


def flip(path: Path, place: int) -> None:
    """Flip a bit of a byte."""
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def test_a_store_with_nothing_wrong_is_read_and_left_as_it_is(store: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}

    before = content()
    report, told = checked(store)
    assert told == []
    assert report == CheckReport(chunks=4, body_bytes=13_508, is_sealed=True, wrong=0)
    assert content() == before


def test_one_that_has_crashed_has_nothing_wrong_either() -> None:
    crashes = 0
    while True:
        disk = MemoryDisk()
        storage = fill(disk, "/store")
        disk.lose_power_at(crashes + 1)
        try:
            storage.store.put([a_chunk("lost"), a_chunk("lost", 1)])
            storage.store.delete([chunk_id("small"), chunk_id("long")])
            storage.store.put([a_chunk("last")])
        except PowerLost:
            crashes += 1
            disk.crash(Random(crashes))
            report, told = checked("/store", disk)
            assert told == []
            assert report.chunks >= 2
        else:
            break
    assert crashes > 9


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_byte_is_found(store: Path, name: str) -> None:
    path = store / name
    size = path.stat().st_size
    # Every byte of a header, and of the rest one in so many.
    places = {*range(0, size, 1 if size < 1_000 else 397), *range(min(65_536, size), min(65_640, size))}
    missed = []
    for place in sorted(places):
        flip(path, place)
        if not damage_is_found(store):
            missed.append(place)
        flip(path, place)
    assert missed == []
    assert not damage_is_found(store)


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_byte_costs_one_chunk_at_the_most(store: Path, tmp_path: Path, name: str) -> None:
    size = (store / name).stat().st_size
    for place in range(0, size, max(1, size // 60)):
        copy = tmp_path / str(place)
        shutil.copytree(store, copy)
        flip(copy / name, place)
        assert serve(copy) >= len(BODIES) - 1, place


@pytest.mark.parametrize("name", FILES)
def test_any_file_cut_short_is_found(store: Path, name: str) -> None:
    path = store / name
    content = path.read_bytes()
    for kept in sorted({0, 1, len(content) // 2, len(content) - 4_096, len(content) - 1}):
        if kept >= 0:
            os.truncate(path, kept)
            assert damage_is_found(store), kept
            path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_any_file_that_is_gone_is_found(store: Path, name: str) -> None:
    (store / name).unlink()
    assert damage_is_found(store)


def lengths(size: int) -> list[int]:
    """To which a file is cut: to nothing, in the middle of things, and by next to nothing."""
    wanted = {0, 1, size // 3, size // 2, size - 4_096, size - 100, size - 1}
    return sorted(length for length in wanted if length >= 0)


@pytest.mark.parametrize("name", FILES)
def test_any_file_cut_short_or_gone_costs_only_the_chunks_that_were_in_what_is_missing(
    store: Path, tmp_path: Path, name: str
) -> None:
    """Whatever is missing of the databases costs none: where one is refused, it can be made anew."""
    ends = [slot.offset + slot.length for slot in chunk_slots_on(PosixDisk(), str(store))]
    for kept in [*lengths((store / name).stat().st_size), None]:
        copy = tmp_path / f"cut to {kept}"
        shutil.copytree(store, copy)
        if kept is None:
            (copy / name).unlink()
        else:
            os.truncate(copy / name, kept)
        left = sum(end <= (kept or 0) for end in ends) if name == SEGMENT else len(BODIES)
        assert serve(copy) == left, kept


def test_any_flipped_byte_of_a_chunk_is_found_after_a_crash_too() -> None:
    """Without seals: every byte of a slot that holds a chunk, the zeros behind it among them."""
    disk = MemoryDisk()
    fill(disk, "/store")
    disk.crash()
    assert checked("/store", disk)[1] == []
    slots = chunk_slots_on(disk, "/store")
    assert len(slots) == len(BODIES)
    for slot in slots:
        end = -(-slot.length // 4_096) * 4_096
        for place in {*range(HEADER_BYTES), *range(HEADER_BYTES, end, 89), slot.length - 1, end - 1}:
            disk.flip_bit(slot.path, slot.offset + place)
            assert checked("/store", disk)[0].wrong == 1, place
            disk.flip_bit(slot.path, slot.offset + place)


def test_a_segment_cut_short_costs_only_what_was_cut_off(store: Path) -> None:
    last = slot_of(PosixDisk(), str(store), chunk_id("long", 1))
    os.truncate(last.path, last.offset + 200)
    assert serve(store) == len(BODIES) - 1


def test_every_chunk_that_is_damaged_is_told_by_its_place(store: Path) -> None:
    for which in BODIES:
        slot = slot_of(PosixDisk(), str(store), which)
        flip(Path(slot.path), slot.offset + slot.length - 1)
    report, told = checked(store)
    assert (report.chunks, report.wrong) == (0, 4)
    assert all("of 00000001.slots is damaged" in sentence for sentence in told)


def test_a_slot_that_should_be_empty_is_told(store: Path) -> None:
    slot = slot_of(PosixDisk(), str(store), chunk_id("small"))
    with Path(slot.path).open("r+b") as file:
        file.write(slot.content)
    report, told = checked(store)
    assert told == ["slot 0 of 00000001.slots should be empty"]
    assert report.chunks == 4


def test_a_segment_that_the_index_does_not_know_is_told(store: Path) -> None:
    (store / "chunks/00000009.slots").write_bytes(b"")
    assert checked(store)[1] == ["00000009.slots isn't known to the index"]


def test_without_an_index_every_whole_slot_is_counted(store: Path) -> None:
    (store / "index.sqlite").unlink()
    report, _ = checked(store)
    assert report.chunks == 4


def test_a_store_in_use_is_not_read(tmp_path: Path) -> None:
    storage = start(PosixDisk(), str(tmp_path))
    for look in (checked, lambda root: rebuild(PosixDisk(), str(root))):
        with pytest.raises(StoreLocked):
            look(tmp_path)
    storage.close()


def test_a_folder_without_a_store_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    for look in (checked, lambda root: rebuild(PosixDisk(), str(root))):
        with pytest.raises(StoreMissing, match="holds no store"):
            look(tmp_path)
    assert list(tmp_path.iterdir()) == []
