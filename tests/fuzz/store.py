"""Coverage-guided fuzzing of a store's files: ``python -m tests.fuzz.store [libFuzzer's options]``.

An input says how the files of a store are damaged: any bytes of any of them changed, cut off, removed, or put in
another's place. What may happen then is little (SPEC.md 9.3, 9.5, 9.26, 9.28): the start refuses the store with one of
its declared errors, or serves it. Whatever it serves is what was stored, byte for byte; damage within slots costs the
chunks in those slots and no other; a new chunk can be stored and read; and the check and the rebuild raise nothing
else than what they declare.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from attrs import frozen

from protocol.values import ChunkId, PeerId
from storage.check import check
from storage.disk import PosixDisk
from storage.errors import IndexDamaged, StorageError
from storage.interfaces import ChunkToStore, HomeChunk, PutOutcome
from storage.opening import OpenStorage, open_storage
from storage.rebuild import rebuild
from storage.slot import SLOT_BYTES, SlotHeader
from tests.fuzz.running import fuzz
from tests.storage.examples import a_chunk, a_fingerprint, chunk_id, file_id, peers

SEGMENT: Final = "chunks/00000001.slots"
BODIES: Final = {
    chunk_id("small"): b"the body",
    chunk_id("empty"): b"",
    chunk_id("long"): Random(1).randbytes(4_500),
    chunk_id("long", 1): Random(2).randbytes(9_000),
}
GONE: Final = {chunk_id("before"): b"the body"}
"""Chunks that were deleted: an index put back from a copy may know them still."""
NEW: Final = a_chunk("new", body=b"new")

MOST_CHANGES: Final = 4

Files = dict[str, bytes]


@frozen
class Change:
    """One thing that is done to a file. Numbers are drawn anyhow and taken modulo what there is."""

    file: int
    kind: int
    offset: int
    length: int
    data: bytes

    def apply(self, files: Files, others: Files) -> None:
        """Do it; *others* are the files of the same store at another time."""
        names = sorted(files)
        if not names:
            return
        name = names[self.file % len(names)]
        content = files[name]
        offset = self.offset % (len(content) + 1)
        end = offset + self.length * (1 if self.kind & 8 else 64)
        match self.kind % 8:
            case 0:
                files[name] = content[:offset] + self.data + content[offset + len(self.data) :]
            case 1:
                files[name] = (
                    content[:offset]
                    + bytes([_byte(content, offset) ^ (self.length or 1)])
                    + content[offset + 1 :]
                )
            case 2:
                files[name] = content[:offset]
            case 3:
                files[name] = content + self.data * (1 + self.length)
            case 4:
                del files[name]
            case 5:
                files[name] = content[:offset] + bytes(len(content[offset:end])) + content[end:]
            case 6:
                unit = SLOT_BYTES if name == SEGMENT else 4_096
                one, other = (
                    unit * (number % (len(content) // unit + 1)) for number in (self.offset, self.length)
                )
                files[name] = _with(
                    _with(content, one, content[other : other + unit]), other, content[one : one + unit]
                )
            case _:
                files[name] = others.get(names[self.length % len(names)], self.data)


@frozen
class Damage:
    """What an input says."""

    is_closed: bool
    """Whether the store was closed in order; if not, its peer was killed."""
    changes: tuple[Change, ...]

    @classmethod
    def read(cls, data: bytes) -> Damage:
        """The damage that the bytes stand for: any bytes do."""
        source = _Source(data)
        is_closed = source.number(1) % 2 == 0
        changes: list[Change] = []
        while source.data and len(changes) < MOST_CHANGES:
            file, kind, offset, length = (source.number(size) for size in (1, 1, 3, 1))
            changes.append(Change(file, kind, offset, length, source.take(source.number(1) % 48)))
        return cls(is_closed, tuple(changes))

    def apply(self) -> tuple[Files, Files]:
        """The files before and after it."""
        before = store_files(is_closed=self.is_closed)
        after, others = dict(before), older_files()
        for change in self.changes:
            change.apply(after, others)
        return before, after


def one_input(data: bytes) -> None:
    """Fail if the store that is damaged so does anything else than the module says."""
    before, after = Damage.read(data).apply()
    with _folder() as root:
        _write(root, after)
        _look(root)
        storage = _start(root, after)
        if storage is None:
            return
        try:
            stored = _serve(storage, must_be_there(before, after))
        finally:
            storage.close()
        storage = start(root)
        assert storage.store.get([NEW.chunk_id])[0].body == stored, "a chunk that was acknowledged is gone"
        storage.close()
        _look(root)


def must_be_there(before: Files, after: Files) -> set[ChunkId]:
    """The chunks that the damage can't have cost: those whose slots are as they were, if no database was touched."""
    if {name: before[name] for name in before if name != SEGMENT} != {
        name: after[name] for name in after if name != SEGMENT
    }:
        return set()
    old, new = before[SEGMENT], after.get(SEGMENT, b"")
    found = set()
    for offset in range(0, len(old), SLOT_BYTES):
        slot = old[offset : offset + SLOT_BYTES]
        if any(slot) and slot == new[offset : offset + SLOT_BYTES]:
            found.add(SlotHeader.parse(slot).chunk_id)
    return found


def start(root: str) -> OpenStorage:
    """Open the store as a peer does that was given no id."""
    return open_storage(
        PosixDisk(), root, peer_id=None, draw_peer_id=lambda: PeerId(7), capacity_bytes=1_000_000
    )


@cache
def store_files(*, is_closed: bool) -> Files:
    """The files of a store with chunks in it and files of its own."""
    with _folder() as root:
        storage = _fill(root)
        if is_closed:
            storage.close()
        files = _read(root)
        if not is_closed:
            storage.close()
    return files


@cache
def older_files() -> Files:
    """The files of that store when it had one chunk only, since deleted."""
    with _folder() as root:
        storage = start(root)
        storage.store.put([a_chunk("before")])
        storage.close()
        return _read(root)


def seeds() -> list[bytes]:
    """An input for each kind of change to each file, of either store."""
    return [
        bytes([is_open, file, kind, kind % 2, 30 * kind, 60 + 20 * file, 1 + kind, 3, 255, 0, 1])
        for is_open in (0, 1)
        for file in range(len(store_files(is_closed=not is_open)))
        for kind in range(8)
    ]


def _fill(root: str) -> OpenStorage:
    storage = start(root)
    storage.store.put([a_chunk("before")])
    storage.store.put([ChunkToStore(which, 2, body, peers(7)) for which, body in BODIES.items()])
    storage.store.delete([chunk_id("before")])
    version = storage.catalog.begin_version("/photo.jpg", file_id("mine"), b"", 1, a_fingerprint())
    storage.catalog.record_chunks(version.version_id, [HomeChunk(0, None, peers(1))])
    buried = storage.catalog.begin_version("/song", file_id("dead"), b"", 1, a_fingerprint())
    storage.catalog.bury([buried.version_id], 1.0)
    return storage


def _start(root: str, files: Files) -> OpenStorage | None:
    """The store, with its index made anew if the start asks for that; None if it is refused for good."""
    try:
        return start(root)
    except IndexDamaged:
        pass
    except StorageError:
        assert _kept(_read(root)) == _kept(files), "a store that was refused was changed"
        return None
    assert _kept(_read(root)) == _kept(files), "a store that was refused was changed"
    try:
        rebuild(PosixDisk(), root)
        storage = start(root)
    except (StorageError, OSError):
        return None
    storage.store.confirm([which.file_id for which in storage.store.unconfirmed(None, 99)])
    return storage


def _serve(storage: OpenStorage, expected: set[ChunkId]) -> bytes | None:
    """Use the store; the body of the new chunk, if there was room for it."""
    store, catalog = storage.store, storage.catalog
    known = BODIES | GONE
    listed = [held.chunk_id for held in store.page(None, 99)]
    assert len(set(listed)) == len(listed)
    asked = [*known, *listed]
    served = set()
    for which, outcome in zip(asked, store.get(asked), strict=True):
        assert outcome.body is None or outcome.body == known.get(which), f"wrong bytes of {which}"
        if outcome.body is not None:
            served.add(which)
    assert expected <= served, f"lost, and not damaged: {expected - served}"
    store.describe(asked)
    store.over_replicated(None, 99)
    with suppress(StorageError):
        _read_catalog(storage)
    usage = store.usage()
    has_room = usage.capacity_bytes - usage.used_bytes >= 4_000
    assert store.put([NEW]) == [PutOutcome.STORED if has_room else PutOutcome.NO_ROOM]
    assert store.get([NEW.chunk_id])[0].body == (NEW.body if has_room else None)
    store.delete(listed[:1])
    for which in listed[1:]:
        for _ in range(10):
            if store.delete_files([which.file_id]) == [True]:
                break
    for which, outcome in zip(listed, store.get(listed), strict=True):
        assert outcome.body is None, f"{which} was deleted"
    with suppress(StorageError):
        catalog.begin_version("/new", file_id("another"), b"", 1, a_fingerprint())
    return bytes(NEW.body) if has_room else None


def _read_catalog(storage: OpenStorage) -> None:
    catalog = storage.catalog
    for version in catalog.page_versions(0, 99):
        catalog.versions(version.path)
        catalog.chunks(version.version_id, 0, 99)
    catalog.unmet()
    catalog.dead()
    catalog.home_file_ids()


def _look(root: str) -> None:
    with suppress(StorageError, OSError):
        check(PosixDisk(), root, lambda sentence: None)


@contextmanager
def _folder() -> Iterator[str]:
    # In memory if there is such a place: what is tried here is damage, not power.
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="damaged-store-", dir=memory if memory.is_dir() else None)
    try:
        yield os.path.join(folder, "store")
    finally:
        shutil.rmtree(folder)


def _write(root: str, files: Files) -> None:
    os.makedirs(os.path.join(root, "chunks"), mode=0o700)
    for name, content in files.items():
        Path(root, name).write_bytes(content)


def _read(root: str) -> Files:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(Path(root).rglob("*"))
        if path.is_file() and path.name != "lock" and not path.name.endswith("-shm")
    }


def _kept(files: Files) -> Files:
    """The files that a refused store must keep: SQLite may end an empty journal."""
    return {name: content for name, content in files.items() if content or not name.endswith("-wal")}


def _byte(content: bytes, offset: int) -> int:
    return content[offset] if offset < len(content) else 0


def _with(content: bytes, offset: int, part: bytes) -> bytes:
    return content[:offset] + part + content[offset + len(part) :]


class _Source:
    """Bytes that numbers are taken from, zeros after their end."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size).ljust(size, b"\0"), "big")

    def take(self, size: int) -> bytes:
        taken, self.data = self.data[:size], self.data[size:]
        return taken


if __name__ == "__main__":
    fuzz("store", one_input, seeds(), longest=256)
