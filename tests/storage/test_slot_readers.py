"""The chunk store of slots: reading while others write."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from storage.disk import PosixDisk
from storage.interfaces import ReadOutcome
from storage.slot_store import SlotChunkStore
from tests.storage.examples import (
    CAPACITY,
    ROOT,
    a_chunk,
    chunk_id,
    open_slot_store,
    places,
)
from tests.support.disk import MemoryDisk, Operation
from tests.support.slots import slot_of


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
