"""Chunks, fingerprints and stores that the tests of this folder are told with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256

from protocol.values import ChunkId, FileId, PeerId
from storage.catalog import CATALOG_SCHEMA, SqliteCatalog
from storage.database import create_database
from storage.disk import IDisk
from storage.interfaces import ChunkToStore, Fingerprint, IChunkStore
from storage.layout import Layout
from storage.slot_rows import INDEX_SCHEMA
from storage.slot_store import SlotChunkStore
from tests.support.disk import MemoryDisk, Operation

CAPACITY = 10_000_000
ROOT = "/store"
SEGMENT = f"{ROOT}/chunks/00000001.slots"

MakeStore = Callable[[], IChunkStore]


def file_id(name: object) -> FileId:
    """A fileId for each name."""
    return FileId(sha256(str(name).encode()).digest())


def chunk_id(name: object, chunk_no: int = 0) -> ChunkId:
    """The id of a chunk of the file that is called so here."""
    return ChunkId(file_id(name), chunk_no)


def peers(*numbers: int) -> frozenset[PeerId]:
    """A set of holders."""
    return frozenset(map(PeerId, numbers))


def a_chunk(
    name: object = "photo",
    chunk_no: int = 0,
    body: bytes = b"the body",
    *,
    desired: int = 2,
    holders: Iterable[int] = (1,),
) -> ChunkToStore:
    """A chunk to be stored, held by peer 1 unless the test says otherwise."""
    return ChunkToStore(chunk_id(name, chunk_no), desired, body, peers(*holders))


def a_fingerprint(size: int = 300_001, mtime_ns: int = 5) -> Fingerprint:
    """A file as the file system describes it."""
    return Fingerprint(size, mtime_ns, mtime_ns, 2**64 - 1, 2**64 - 2)


def open_slot_store(disk: IDisk, root: str) -> SlotChunkStore:
    """The store in a folder, made if it isn't there."""
    layout = Layout(root)
    disk.make_directory(root)
    if not disk.exists(layout.index):
        create_database(disk, layout.index, INDEX_SCHEMA)
    return SlotChunkStore.open(disk=disk, layout=layout)


def open_catalog(disk: IDisk, root: str) -> SqliteCatalog:
    """The catalog in a folder, made if it isn't there."""
    layout = Layout(root)
    disk.make_directory(root)
    if not disk.exists(layout.catalog):
        create_database(disk, layout.catalog, CATALOG_SCHEMA)
    return SqliteCatalog.open(disk=disk, layout=layout)


def places(store: SlotChunkStore) -> list[int]:
    """Where the chunks are, in the order of their ids."""
    return [place for (place,) in store._index.rows("SELECT place FROM chunks ORDER BY file_id, chunk_no")]


def count_operations(disk: MemoryDisk) -> dict[str, int]:
    """Counts what is done from now on, by its kind."""
    counted: dict[str, int] = {}

    def interceptor(operation: Operation) -> None:
        counted[operation.kind] = counted.get(operation.kind, 0) + 1

    disk.intercept(interceptor)
    return counted
