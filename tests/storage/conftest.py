"""The disks and the chunk stores that every test of a contract runs with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.disk import IDisk, PosixDisk
from storage.interfaces import IChunkStore
from storage.memory_store import MemoryChunkStore
from storage.slot_store import SlotChunkStore
from tests.storage.examples import CAPACITY, ROOT, open_slot_store
from tests.support.disk import MemoryDisk


@pytest.fixture(params=["posix", "memory"])
def disk(request: pytest.FixtureRequest) -> IDisk:
    """Each kind of disk."""
    return PosixDisk() if request.param == "posix" else MemoryDisk()


@pytest.fixture
def root(disk: IDisk, tmp_path: Path) -> str:
    """A folder on the disk that the test has for itself."""
    disk.make_directory(str(tmp_path))
    return str(tmp_path)


@pytest.fixture(params=["memory", "slots on a posix disk", "slots on a disk in memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IChunkStore]:
    """Each kind of chunk store, empty, with a capacity of CAPACITY."""
    made: IChunkStore
    if request.param == "memory":
        made = MemoryChunkStore(capacity_bytes=CAPACITY)
    else:
        disk = PosixDisk() if "posix" in request.param else MemoryDisk()
        made = open_slot_store(disk, str(tmp_path))
        made.set_capacity(CAPACITY)
    yield made
    made.close()


@pytest.fixture
def memory_disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def slots(memory_disk: MemoryDisk) -> SlotChunkStore:
    """A store on the disk in memory; a test that crashes the disk needs not close it."""
    store = open_slot_store(memory_disk, ROOT)
    store.set_capacity(CAPACITY)
    return store
