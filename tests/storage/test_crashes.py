"""The power goes at every moment of a run: what was acknowledged is there afterwards, whole (SPEC.md 9.2, 9.8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from attrs import define, field

from protocol.values import ChunkId, PeerId
from storage.interfaces import (
    ChunkToStore,
    Fingerprint,
    HolderNote,
    HomeChunk,
    ICatalog,
    IChunkStore,
    PutOutcome,
    VersionState,
)
from storage.opening import OpenStorage, open_storage
from tests.storage.examples import a_chunk, chunk_id, file_id, peers
from tests.support.disk import MemoryDisk, Operation, PowerLost
from tests.support.slots import chunks_on

ROOT = "/home/peer/store"
OWNER = PeerId(77)


def start(disk: MemoryDisk) -> OpenStorage:
    return open_storage(disk, ROOT, peer_id=None, draw_peer_id=lambda: OWNER, capacity_bytes=1_000_000)


@define
class Acknowledged:
    """What the run was promised so far, and what it is in the middle of."""

    held: dict[ChunkId, bytes] = field(factory=dict)
    degrees: dict[ChunkId, int] = field(factory=dict)
    under_way: set[ChunkId] = field(factory=set)

    def put(self, store: IChunkStore, *chunks: ChunkToStore) -> None:
        self.under_way = {chunk.chunk_id for chunk in chunks}
        for chunk, outcome in zip(chunks, store.put(chunks), strict=True):
            assert outcome in (PutOutcome.STORED, PutOutcome.HELD)
            self.held[chunk.chunk_id] = bytes(chunk.body)
            self.degrees[chunk.chunk_id] = max(chunk.desired, self.degrees.get(chunk.chunk_id, 1))
        self.under_way = set()

    def delete(self, store: IChunkStore, *chunk_ids: ChunkId) -> None:
        self.under_way = set(chunk_ids)
        store.delete(chunk_ids)
        for gone in chunk_ids:
            self.held.pop(gone, None)
        self.under_way = set()

    def delete_file(self, store: IChunkStore, name: str) -> None:
        of_file = [held for held in self.held if held.file_id == file_id(name)]
        self.under_way = set(of_file)
        while store.delete_files([file_id(name)]) != [True]:
            pass
        for gone in of_file:
            del self.held[gone]
        self.under_way = set()


def run_of_a_holder(disk: MemoryDisk, promised: Acknowledged) -> None:
    """Puts and deletes of every kind, over several segments, with a restart in order between."""
    storage = start(disk)
    store = storage.store
    promised.put(store, a_chunk("a", 0, b"a" * 64_000), a_chunk("a", 1, b""), a_chunk("b", 0))
    promised.put(store, a_chunk("c", 0, b"c" * 5_000, desired=1))
    store.note_holders([HolderNote(chunk_id("c", 0), PeerId(5), holds=True)])
    promised.delete(store, chunk_id("b", 0))
    promised.put(store, a_chunk("b", 0, b"another body"), a_chunk("c", 0, b"c" * 5_000, desired=3))
    storage.close()
    storage = start(disk)
    store = storage.store
    promised.put(store, *[a_chunk("d", no, bytes([no]) * 700) for no in range(12)])
    promised.put(store, *[a_chunk("e", no, bytes([no]) * 9_000) for no in range(5)])
    promised.delete_file(store, "a")
    promised.delete(store, chunk_id("d", 1), chunk_id("d", 2), chunk_id("e", 4))
    promised.put(store, a_chunk("a", 0, b"again"))
    promised.delete_file(store, "d")
    promised.put(store, *[a_chunk("f", no, bytes([no]) * 700) for no in range(9)])
    storage.close()


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few chunks then fill a segment, and a file is deleted in several slices."""
    monkeypatch.setattr("storage.segments.SLOTS_IN_SEGMENT", 8)
    monkeypatch.setattr("storage.slot_store.DELETE_SLICE", 4)


def compare(disk: MemoryDisk, promised: Acknowledged) -> OpenStorage:
    """Start, and see that what was promised is there, and nothing else."""
    storage = start(disk)
    store = storage.store
    assert storage.peer_id == OWNER
    for which, body in promised.held.items():
        outcome = store.get([which])[0]
        assert outcome.body == body or (which in promised.under_way and outcome.body is None)
        held = store.describe([which])[0]
        assert held is None or held.desired >= promised.degrees[which]
    # The peer goes on with deletions at once.
    while store.deletions():
        store.delete_files(store.deletions())
    everything = store.page(None, 1_000)
    # Nothing is counted that isn't there, and nothing is there that isn't counted.
    assert not any(outcome.is_damaged for outcome in store.get([held.chunk_id for held in everything]))
    assert {held.chunk_id for held in everything} <= promised.held.keys() | promised.under_way
    assert store.usage().used_bytes == sum(held.charged_bytes for held in everything)
    assert chunks_on(disk, ROOT) == [held.chunk_id for held in everything]
    return storage


def check(disk: MemoryDisk, promised: Acknowledged) -> None:
    """The same; and it goes on: emptied, it does the same run again, to its end."""
    storage = compare(disk, promised)
    storage.store.delete([held.chunk_id for held in storage.store.page(None, 1_000)])
    storage.close()
    run_of_a_holder(disk, Acknowledged())


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_a_holder_keeps_what_it_acknowledged_wherever_the_power_goes(seed: int | None) -> None:
    """``seed`` None: all that wasn't synced is lost. Otherwise a draw decides of each bit of it."""
    crashes = 0
    while True:
        disk = MemoryDisk()
        promised = Acknowledged()
        disk.lose_power_at(crashes + 1)
        try:
            run_of_a_holder(disk, promised)
        except PowerLost:
            crashes += 1
            disk.crash(None if seed is None else Random(seed * 1_000 + crashes))
            check(disk, promised)
        else:
            break
    assert crashes > 80


def test_that_run_does_whatever_changes_a_disk() -> None:
    """So that the power goes at each kind of it, and often."""
    disk = MemoryDisk()
    done: Counter[str] = Counter()

    def note(operation: Operation) -> None:
        done[operation.kind] += operation.is_change

    disk.intercept(note)
    run_of_a_holder(disk, Acknowledged())
    for kind, least in {
        "write": 20,
        "sync": 10,
        "punch": 4,
        "commit": 20,
        "remove": 1,
        "truncate": 1,
    }.items():
        assert done[kind] >= least, done


def test_the_power_may_go_again_while_a_start_mends_what_it_has_left() -> None:
    """SPEC.md 9.20, 9.21: whatever a start has given back, the next one can go on from."""
    starts = 0
    for first in range(3, 90, 7):
        second = 0
        while True:
            disk = MemoryDisk()
            promised = Acknowledged()
            disk.lose_power_at(first)
            with pytest.raises(PowerLost):
                run_of_a_holder(disk, promised)
            disk.crash(Random(first))
            second += 1
            disk.lose_power_at(second)
            try:
                start(disk)
            except PowerLost:
                starts += 1
                disk.crash(Random(second))
                compare(disk, promised).close()
            else:
                break
    assert starts > 40


SALT = b"salt"
FINGERPRINT = Fingerprint(70_000, 1, 1, 1, 1)


def run_of_a_home(disk: MemoryDisk, promise: Callable[[str], None]) -> None:
    """A version is backed up, another replaces it, the first is buried. Says after each step what holds now."""
    storage = start(disk)
    catalog = storage.catalog
    old = catalog.begin_version("/photo.jpg", file_id("old"), SALT, 2, FINGERPRINT)
    promise("old is under way")
    chunks = [HomeChunk(no, None, peers(no)) for no in range(2)]
    catalog.record_chunks(old.version_id, chunks)
    promise("old has chunks")
    catalog.finish_version(old.version_id, degree_met=True)
    promise("old is complete")
    new = catalog.begin_version("/photo.jpg", file_id("new"), SALT, 2, FINGERPRINT)
    catalog.record_chunks(new.version_id, chunks)
    catalog.finish_version(new.version_id, degree_met=False)
    promise("new is complete")
    catalog.bury([old.version_id], now=1.5)
    promise("old is dead")
    storage.close()


def holds(catalog: ICatalog, promise: str) -> bool:
    old, new = catalog.version_of(file_id("old")), catalog.version_of(file_id("new"))
    is_dead = [dead.file_id for dead in catalog.dead()] == [file_id("old")]
    if is_dead == (old is not None):
        return False
    if promise == "old is dead":
        return is_dead and old is None and new is not None
    if promise == "new is complete":
        return new is not None and new.state is VersionState.COMPLETE
    if old is None:
        return True
    if promise == "old has chunks":
        return [chunk.holders for chunk in catalog.chunks(old.version_id, 0, 9)] == [peers(0), peers(1)]
    if promise == "old is complete":
        return old.state is VersionState.COMPLETE and old.degree_met
    return True


def test_a_home_keeps_what_it_promised_wherever_the_power_goes() -> None:
    """SPEC.md 5.5: a version is dead, or it is there with all its chunks; never both, never neither."""
    crashes = 0
    while True:
        disk = MemoryDisk()
        promises: list[str] = []
        disk.lose_power_at(crashes + 1)
        try:
            run_of_a_home(disk, promises.append)
        except PowerLost:
            crashes += 1
            disk.crash()
            storage = start(disk)
            assert [promise for promise in promises if not holds(storage.catalog, promise)] == []
            storage.close()
        else:
            break
    assert crashes > 20
    assert len(promises) == 5
