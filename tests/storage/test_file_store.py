"""The chunk store of files: what a disk that refuses, damage and a second thread do to it, and a new start."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from protocol.values import ChunkId, PeerId
from storage.bodies import OPEN_FILES
from storage.disk import IDisk, PosixDisk
from storage.errors import DiskFailed
from storage.file_store import DELETE_STEP, FileChunkStore
from storage.interfaces import HolderNote, PutOutcome, ReadOutcome
from storage.layout import body_folder, body_name
from tests.storage.examples import CAPACITY, a_chunk, chunk_id, file_id, open_file_store, peers
from tests.support.disk import MemoryDisk, Operation

ROOT = "/store"
STORED, HELD, CONFLICT, FAILED = PutOutcome.STORED, PutOutcome.HELD, PutOutcome.CONFLICT, PutOutcome.FAILED


def body_path(which: ChunkId, root: str = ROOT) -> str:
    return f"{root}/chunks/{body_folder(which.file_id)}/{body_name(which)}"


def bodies_on(disk: IDisk, root: str) -> list[str]:
    """The names of all files below chunks/, also of those that are being written."""
    folders = disk.list_directory(f"{root}/chunks")
    return [name for folder in folders for name in disk.list_directory(f"{root}/chunks/{folder}")]


@pytest.fixture
def memory_disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def files(memory_disk: MemoryDisk) -> FileChunkStore:
    """A store on the disk in memory; a test that crashes the disk needs not close it."""
    store = open_file_store(memory_disk, ROOT)
    store.set_capacity(CAPACITY)
    return store


class TestAfterARestart:
    def test_everything_is_as_it_was(self, disk: IDisk, root: str) -> None:
        store = open_file_store(disk, root)
        store.set_capacity(12_000)
        store.put([a_chunk("a", holders=(1, 2)), a_chunk("b", 7, b"b" * 4_001, desired=4)])
        store.note_holders([HolderNote(chunk_id("a"), PeerId(3), holds=True)])
        before = store.page(None, 9)
        store.close()
        again = open_file_store(disk, root)
        assert again.page(None, 9) == before
        usage = again.usage()
        assert (usage.capacity_bytes, usage.used_bytes, usage.chunks) == (12_000, 12_000, 2)
        assert [outcome.body for outcome in again.get([chunk_id("a"), chunk_id("b", 7)])] == [
            b"the body",
            b"b" * 4_001,
        ]
        again.close()

    def test_bodies_that_nobody_was_promised_are_removed(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        """SPEC.md 9.8."""
        files.put([a_chunk("a")])
        memory_disk.write_file(f"{ROOT}/chunks/incoming/17", b"half a bo")
        memory_disk.write_file(body_path(chunk_id("b", 3)), b"renamed, but its row was never committed")
        memory_disk.crash()
        again = open_file_store(memory_disk, ROOT)
        assert bodies_on(memory_disk, ROOT) == [body_name(chunk_id("a"))]
        assert again.get([chunk_id("a")]) == [ReadOutcome(b"the body")]

    def test_files_that_are_not_ours_are_left_alone(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        strangers = [f"{ROOT}/chunks/notes.txt", f"{ROOT}/chunks/00/photo.jpg", f"{ROOT}/chunks/other/1"]
        for path in strangers:
            memory_disk.write_file(path, b"mine")
        memory_disk.crash()
        open_file_store(memory_disk, ROOT)
        assert all(memory_disk.exists(path) for path in strangers)

    def test_after_an_orderly_end_it_is_not_searched_for_them(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        """The search reads every folder: with a million chunks it takes seconds."""
        files.close()
        memory_disk.write_file(body_path(chunk_id("b")), b"put there by hand")
        open_file_store(memory_disk, ROOT).close()
        assert memory_disk.exists(body_path(chunk_id("b")))

    def test_a_body_that_could_not_be_removed_is_removed_then(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        files.put([a_chunk()])
        memory_disk.fail("remove")
        assert files.delete([chunk_id("photo")]) == [True]
        memory_disk.mend()
        files.close()
        assert memory_disk.exists(body_path(chunk_id("photo")))
        open_file_store(memory_disk, ROOT).close()
        assert not memory_disk.exists(body_path(chunk_id("photo")))


class TestADiskThatRefuses:
    @pytest.mark.parametrize("kind", ["create", "write", "sync", "rename"])
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
    def test_one_chunk_that_fails_fails_alone(
        self, memory_disk: MemoryDisk, files: FileChunkStore, kind: str, number: int
    ) -> None:
        """SPEC.md 9.6. It isn't acknowledged, takes no capacity, and the next try succeeds."""
        files.put([a_chunk("before")])
        where = body_name(chunk_id("b")) if kind == "rename" else "chunks/incoming/2"
        memory_disk.fail(kind, number, where=where)
        batch = [a_chunk(name, body=name.encode()) for name in "abc"]
        assert files.put(batch) == [STORED, FAILED, STORED]
        assert files.usage().chunks == 3
        assert files.get([c.chunk_id for c in batch]) == [
            ReadOutcome(b"a"),
            ReadOutcome(None),
            ReadOutcome(b"c"),
        ]
        assert sorted(bodies_on(memory_disk, ROOT)) == sorted(
            body_name(chunk_id(n)) for n in ("a", "c", "before")
        )
        memory_disk.mend()
        assert files.put(batch) == [HELD, STORED, HELD]

    def test_a_folder_that_cannot_be_synced_fails_the_chunks_in_it(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        memory_disk.fail("sync_directory", where=f"chunks/{body_folder(file_id('b'))}")
        batch = [a_chunk("a"), a_chunk("b", 0), a_chunk("b", 1)]
        assert files.put(batch) == [STORED, FAILED, FAILED]
        assert bodies_on(memory_disk, ROOT) == [body_name(chunk_id("a"))]

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
    def test_an_index_that_cannot_be_written_fails_the_batch_and_leaves_nothing(
        self, memory_disk: MemoryDisk, files: FileChunkStore, number: int
    ) -> None:
        files.put([a_chunk("held", desired=1)])
        before = files.usage()
        memory_disk.fail("commit", number)
        outcomes = files.put([a_chunk("a"), a_chunk("held", desired=2), a_chunk("held", body=b"other")])
        assert outcomes == [FAILED, FAILED, CONFLICT]
        assert files.usage() == before
        assert bodies_on(memory_disk, ROOT) == [body_name(chunk_id("held"))]
        memory_disk.mend()
        assert files.put([a_chunk("a")]) == [STORED]

    def test_what_is_said_of_a_repetition_is_true_when_the_first_failed(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        memory_disk.fail("sync", times=1)
        assert files.put([a_chunk(body=b"one"), a_chunk(body=b"one")]) == [FAILED, STORED]
        assert files.get([chunk_id("photo")]) == [ReadOutcome(b"one")]

    def test_a_full_disk_takes_what_fits_and_goes_on_serving(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        files.put([a_chunk("before")])
        used = memory_disk.total_bytes(ROOT) - memory_disk.free_bytes(ROOT)
        memory_disk.resize(used + 100_000)
        outcomes = files.put([a_chunk(chunk_no=no, body=bytes([no]) * 64_000) for no in range(3)])
        assert outcomes == [STORED, FAILED, FAILED]
        assert files.get([chunk_id("before"), chunk_id("photo", 0)]) == [
            ReadOutcome(b"the body"),
            ReadOutcome(bytes(64_000)),
        ]
        files.delete([chunk_id("photo", 0)])
        assert files.put([a_chunk("small", body=b"s" * 64_000)]) == [STORED]

    def test_too_many_open_files_is_no_damage(self, memory_disk: MemoryDisk, files: FileChunkStore) -> None:
        """Damage has consequences: the copy is dropped."""
        files.put([a_chunk()])
        memory_disk.fail("open", errno.EMFILE, where="chunks/")
        with pytest.raises(DiskFailed):
            files.get([chunk_id("photo")])
        memory_disk.mend()
        assert files.get([chunk_id("photo")]) == [ReadOutcome(b"the body")]


class TestDamage:
    """SPEC.md 9.5."""

    @pytest.mark.parametrize("offset", [0, 31_999, 63_999])
    def test_a_flipped_bit_is_found_and_the_rest_is_served(
        self, memory_disk: MemoryDisk, files: FileChunkStore, offset: int
    ) -> None:
        files.put([a_chunk("a", body=bytes(64_000)), a_chunk("b")])
        memory_disk.flip_bit(body_path(chunk_id("a")), offset)
        assert files.get([chunk_id("a"), chunk_id("b")]) == [
            ReadOutcome(None, is_damaged=True),
            ReadOutcome(b"the body"),
        ]

    def test_a_file_cut_short_is_found(self, memory_disk: MemoryDisk, files: FileChunkStore) -> None:
        files.put([a_chunk()])
        memory_disk.open(body_path(chunk_id("photo"))).truncate(3)
        assert files.get([chunk_id("photo")]) == [ReadOutcome(None, is_damaged=True)]

    def test_a_removed_file_is_found(self, memory_disk: MemoryDisk, files: FileChunkStore) -> None:
        files.put([a_chunk()])
        memory_disk.remove(body_path(chunk_id("photo")))
        assert files.get([chunk_id("photo")]) == [ReadOutcome(None, is_damaged=True)]

    def test_a_sector_that_cannot_be_read_is_damage(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        files.put([a_chunk()])
        memory_disk.fail("read", errno.EIO, where=body_name(chunk_id("photo")))
        assert files.get([chunk_id("photo")]) == [ReadOutcome(None, is_damaged=True)]

    def test_a_damaged_chunk_can_be_deleted_and_stored_anew(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        files.put([a_chunk()])
        memory_disk.remove(body_path(chunk_id("photo")))
        assert files.delete([chunk_id("photo")]) == [True]
        assert files.put([a_chunk()]) == [STORED]
        assert files.get([chunk_id("photo")]) == [ReadOutcome(b"the body")]


class TestReadingWhileOthersWrite:
    """``get`` runs in a thread of its own: what it looks up may be gone before it has read it."""

    def test_a_chunk_deleted_under_the_reader_is_not_held_and_not_damaged(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        files.put([a_chunk()])
        during_the_next_read(memory_disk, lambda: files.delete([chunk_id("photo")]))
        assert files.get([chunk_id("photo")]) == [ReadOutcome(None)]

    @pytest.mark.parametrize("body", [b"the body", b"another body"])
    def test_a_chunk_replaced_under_the_reader_is_read_as_it_is_now(
        self, memory_disk: MemoryDisk, files: FileChunkStore, body: bytes
    ) -> None:
        files.put([a_chunk()])

        def replace() -> None:
            files.delete([chunk_id("photo")])
            files.put([a_chunk(body=body)])

        during_the_next_read(memory_disk, replace)
        assert files.get([chunk_id("photo")]) == [ReadOutcome(body)]

    def test_a_reader_in_another_thread_sees_whole_chunks_or_none(self, tmp_path: Path) -> None:
        store = open_file_store(PosixDisk(), str(tmp_path))
        store.set_capacity(CAPACITY)
        names = list(range(20))
        random = Random(1)

        def write() -> None:
            for _ in range(20):
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


def during_the_next_read(disk: MemoryDisk, act: object) -> None:
    """Do something between the reader's look into the index and its look into the file."""
    assert callable(act)
    done: list[Operation] = []

    def interceptor(operation: Operation) -> None:
        if operation.kind == "open" and "/chunks/" in operation.path and not done:
            done.append(operation)
            act()

    disk.intercept(interceptor)


class TestLargeBatches:
    def test_more_chunks_than_files_may_be_open_at_once(self, files: FileChunkStore) -> None:
        chunks = [a_chunk(chunk_no=no, body=b"%d" % no) for no in range(2 * OPEN_FILES + 1)]
        assert files.put(chunks) == [STORED] * len(chunks)
        assert [outcome.body for outcome in files.get([c.chunk_id for c in chunks])] == [
            c.body for c in chunks
        ]

    def test_a_batch_shares_the_sync_of_its_folder_and_of_the_index(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        counted: dict[str, int] = {}

        def interceptor(operation: Operation) -> None:
            counted[operation.kind] = counted.get(operation.kind, 0) + 1

        files.put([a_chunk(chunk_no=99)])
        memory_disk.intercept(interceptor)
        files.put([a_chunk(chunk_no=no) for no in range(50)])
        assert (counted["sync"], counted["sync_directory"], counted["commit"]) == (50, 1, 1)

    def test_a_file_of_more_chunks_than_one_step_deletes_is_deleted(
        self, monkeypatch: pytest.MonkeyPatch, files: FileChunkStore
    ) -> None:
        assert DELETE_STEP > 1_000
        monkeypatch.setattr("storage.file_store.DELETE_STEP", 3)
        files.put([a_chunk(chunk_no=no) for no in range(7)] + [a_chunk("other")])
        assert files.delete_files([file_id("photo")]) == [7]
        assert [held.chunk_id for held in files.page(None, 9)] == [chunk_id("other")]


class TestHoldersInACrash:
    def test_notes_may_be_lost_but_not_what_was_put(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        """SPEC.md 9.9."""
        files.put([a_chunk(holders=(1,))])
        files.note_holders([HolderNote(chunk_id("photo"), PeerId(2), holds=True)])
        memory_disk.crash()
        held = open_file_store(memory_disk, ROOT).describe([chunk_id("photo")])[0]
        assert held is not None
        assert held.holders == peers(1)

    def test_the_next_promise_keeps_the_notes_before_it(
        self, memory_disk: MemoryDisk, files: FileChunkStore
    ) -> None:
        files.put([a_chunk(holders=(1,))])
        files.note_holders([HolderNote(chunk_id("photo"), PeerId(2), holds=True)])
        files.put([a_chunk("other")])
        memory_disk.crash()
        held = open_file_store(memory_disk, ROOT).describe([chunk_id("photo")])[0]
        assert held is not None
        assert held.holders == peers(1, 2)


def test_finding_the_over_replicated_is_no_walk_through_all(files: FileChunkStore) -> None:
    plan = files._index.rows(
        "EXPLAIN QUERY PLAN SELECT chunk_no FROM chunks WHERE perceived > desired"
        " AND (file_id, chunk_no) > (x'', -1) ORDER BY file_id, chunk_no LIMIT 9"
    )
    assert "chunks_over_replicated" in str(plan)
