"""Opening a store: made at the first start, refused when it must be, and the same again at every other."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from protocol.digest import BLAKE3, SHA256, Digest
from protocol.values import PeerId
from storage.disk import IDisk, PosixDisk
from storage.errors import (
    CapacityTooLarge,
    CatalogDamaged,
    DiskFull,
    IndexDamaged,
    StorageError,
    StoreIdentity,
    StoreLocked,
    StoreNewer,
    StoreUnusable,
)
from storage.interfaces import HomeChunk, PutOutcome, ReadOutcome
from storage.opening import OpenStorage, open_storage
from storage.rebuild import rebuild
from storage.restored import TEMPORARY_PREFIX
from tests.storage.examples import a_chunk, a_fingerprint, chunk_id, file_id
from tests.support.disk import MemoryDisk
from tests.support.version_1 import set_back_to_version_1, version_1

ROOT = "/home/ann/store"
MB = 1_000_000


def draw_nothing() -> PeerId:
    raise AssertionError("an id was drawn")


def start(
    disk: IDisk,
    root: str = ROOT,
    *,
    peer_id: int | None = 7,
    drawn: Callable[[], PeerId] = draw_nothing,
    capacity_bytes: int | None = 10 * MB,
) -> OpenStorage:
    return open_storage(
        disk,
        root,
        peer_id=None if peer_id is None else PeerId(peer_id),
        draw_peer_id=drawn,
        capacity_bytes=capacity_bytes,
    )


def refusal(disk: IDisk, root: str = ROOT, **options: int | None) -> StorageError:
    """What a start is refused with: one line."""
    with pytest.raises(StorageError) as caught:
        start(disk, root, **options)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    return caught.value


class TestTheFirstStart:
    def test_a_store_is_made_with_everything_in_it(self, disk: IDisk, root: str) -> None:
        """SPEC.md 9.7."""
        storage = start(disk, f"{root}/new/store")
        assert storage.store.put([a_chunk()]) == [PutOutcome.STORED]
        assert storage.catalog.versions("/photo.jpg") == []
        assert storage.restored_folder == f"{root}/new/store/restored"
        storage.close()
        assert disk.list_directory(f"{root}/new/store") == [
            "catalog.sqlite",
            "chunks",
            "index.sqlite",
            "lock",
            "restored",
            "seals",
        ]

    def test_only_its_owner_may_enter(self, tmp_path: Path) -> None:
        """SPEC.md 9.1."""
        start(PosixDisk(), str(tmp_path / "store")).close()
        assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
        assert all(not path.stat().st_mode & 0o077 for path in (tmp_path / "store").rglob("*.sqlite"))

    def test_a_relative_path_is_taken_from_where_we_stand(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        storage = start(PosixDisk(), "store")
        monkeypatch.chdir("/")
        assert storage.restored_folder == str(tmp_path / "store/restored")
        assert storage.store.put([a_chunk()]) == [PutOutcome.STORED]
        storage.close()


class TestWhoseItIs:
    """SPEC.md 1.2, 7.2."""

    def test_an_id_is_drawn_once_and_kept(self, disk: IDisk, root: str) -> None:
        first = start(disk, f"{root}/store", peer_id=None, drawn=lambda: PeerId(2**31 - 1))
        first.close()
        again = start(disk, f"{root}/store", peer_id=None)
        assert first.peer_id == again.peer_id == 2**31 - 1
        again.close()

    def test_an_id_that_is_given_needs_no_drawing_and_is_kept(self, disk: IDisk, root: str) -> None:
        for given in (7, None, 7):
            storage = start(disk, f"{root}/store", peer_id=given)
            assert storage.peer_id == 7
            storage.close()

    def test_an_id_that_was_lost_is_not_drawn_anew(self, disk: IDisk, root: str) -> None:
        start(disk, f"{root}/store").close()
        connection = disk.connect(f"{root}/store/catalog.sqlite")
        connection.execute("BEGIN")
        connection.execute("DELETE FROM settings")
        connection.execute("COMMIT")
        connection.close()
        assert isinstance(refusal(disk, f"{root}/store", peer_id=None), CatalogDamaged)

    def test_another_id_is_refused(self, disk: IDisk, root: str) -> None:
        start(disk, f"{root}/store", peer_id=7).close()
        error = refusal(disk, f"{root}/store", peer_id=8)
        assert isinstance(error, StoreIdentity)
        assert "belongs to peer 7, not to peer 8: leave --id out" in str(error)
        start(disk, f"{root}/store", peer_id=7).close()

    def test_a_second_peer_is_refused_and_disturbs_nothing(self, disk: IDisk, root: str) -> None:
        """SPEC.md 9.4."""
        storage = start(disk, f"{root}/store")
        error = refusal(disk, f"{root}/store")
        assert isinstance(error, StoreLocked)
        assert "stop that one" in str(error)
        assert storage.store.put([a_chunk()]) == [PutOutcome.STORED]
        storage.close()
        start(disk, f"{root}/store").close()


class TestCapacity:
    def test_a_reclaim_survives_a_restart_and_a_changed_option_overrides_it(
        self, disk: IDisk, root: str
    ) -> None:
        """SPEC.md 7.18."""
        capacities = []
        for option, reclaim in (
            (20 * MB, 5 * MB),
            (20 * MB, 5 * MB),
            (21 * MB, 1 * MB),
            (21 * MB, 0),
            (None, 0),
        ):
            storage = start(disk, f"{root}/store", capacity_bytes=option)
            capacities.append(storage.store.usage().capacity_bytes)
            storage.store.set_capacity(reclaim)
            storage.close()
        assert capacities[:4] == [20 * MB, 5 * MB, 21 * MB, 1 * MB]
        assert capacities[4] > 21 * MB

    def test_the_share_is_taken_once_however_full_the_disk_gets(self) -> None:
        """SPEC.md 7.17."""
        disk = MemoryDisk(total_bytes=100 * MB)
        start(disk, capacity_bytes=None).close()
        disk.resize(10 * MB)
        storage = start(disk, capacity_bytes=None)
        assert storage.store.usage().capacity_bytes == 20 * MB

    def test_one_that_does_not_fit_is_refused_before_anything_is_made(self) -> None:
        """SPEC.md 7.19."""
        disk = MemoryDisk(total_bytes=100 * MB)
        disk.make_directory("/home")
        assert isinstance(refusal(disk, capacity_bytes=101 * MB), CapacityTooLarge)
        assert disk.list_directory("/home") == []

    def test_one_that_does_not_fit_later_changes_nothing_either(self) -> None:
        disk = MemoryDisk(total_bytes=100 * MB)
        start(disk, capacity_bytes=10 * MB).close()
        assert isinstance(refusal(disk, capacity_bytes=101 * MB), CapacityTooLarge)
        storage = start(disk, capacity_bytes=10 * MB)
        assert storage.store.usage().capacity_bytes == 10 * MB

    def test_a_crash_between_its_two_parts_does_not_lose_the_option(self) -> None:
        disk = MemoryDisk()
        start(disk, capacity_bytes=10 * MB).close()
        disk.fail("commit", where="catalog")
        refusal(disk, capacity_bytes=20 * MB)
        disk.mend()
        storage = start(disk, capacity_bytes=20 * MB)
        assert storage.store.usage().capacity_bytes == 20 * MB


class TestAStoreOfVersion1:
    """SPEC.md 9.3, 9.5: its digests are by SHA-256."""

    @pytest.fixture(autouse=True)
    def _store(self, disk: IDisk, root: str) -> None:
        with version_1():
            storage = start(disk, root)
            storage.store.put([a_chunk("old", body=b"old"), a_chunk("kept", body=b"kept")])
            version = storage.catalog.begin_version("/photo.jpg", file_id("mine"), b"", 1, a_fingerprint())
            storage.catalog.record_chunks(
                version.version_id, [HomeChunk(0, Digest.of(b"mine"), frozenset({PeerId(8)}))]
            )
            storage.close()
        set_back_to_version_1(disk, root)

    def test_it_is_upgraded_and_gives_what_it_has(self, disk: IDisk, root: str) -> None:
        storage = start(disk, root)
        assert storage.store.get([chunk_id("old")]) == [ReadOutcome(b"old")]
        [version] = storage.catalog.versions("/photo.jpg")
        [chunk] = storage.catalog.chunks(version.version_id, 0, 9)
        assert chunk.digest is not None
        assert chunk.digest.algorithm == SHA256
        assert chunk.digest.matches(b"mine")
        storage.close()
        names = disk.list_directory(root)
        assert {"catalog.sqlite.version-1", "index.sqlite.version-1"} < set(names)

    def test_the_same_body_is_held_by_whichever_digest(self, disk: IDisk, root: str) -> None:
        storage = start(disk, root)
        put = storage.store.put([a_chunk("old", body=b"old"), a_chunk("new", body=b"new")])
        assert put == [PutOutcome.HELD, PutOutcome.STORED]
        algorithms = {held.chunk_id: held.digest.algorithm for held in storage.store.page(None, 9)}
        assert (algorithms[chunk_id("old")], algorithms[chunk_id("new")]) == (SHA256, BLAKE3)
        assert storage.store.get([chunk_id("old"), chunk_id("new")]) == [
            ReadOutcome(b"old"),
            ReadOutcome(b"new"),
        ]
        storage.close()

    def test_its_slots_are_read_when_its_index_is_gone(self, disk: IDisk, root: str) -> None:
        storage = start(disk, root)
        storage.store.put([a_chunk("new", body=b"new")])
        storage.close()
        disk.remove(f"{root}/index.sqlite")
        assert rebuild(disk, root).chunks == 3
        storage = start(disk, root)
        storage.store.confirm([file_id("old"), file_id("new")])
        assert storage.store.get([chunk_id("old"), chunk_id("new")]) == [
            ReadOutcome(b"old"),
            ReadOutcome(b"new"),
        ]
        storage.close()


class TestRefusals:
    """SPEC.md 9.3, 7.21: one sentence, and nothing is changed."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Path:
        """A store with a chunk in it, closed."""
        folder = tmp_path / "store"
        storage = start(PosixDisk(), str(folder))
        storage.store.put([a_chunk()])
        storage.catalog.begin_version("/photo.jpg", file_id("mine"), b"", 1, a_fingerprint())
        storage.close()
        return folder

    def refused(self, store: Path, expected: type[StorageError]) -> str:
        before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
        error = refusal(PosixDisk(), str(store))
        assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
        assert type(error) is expected
        return str(error)

    @pytest.mark.parametrize("name", ["catalog.sqlite", "index.sqlite"])
    def test_a_newer_version(self, store: Path, name: str) -> None:
        content = bytearray((store / name).read_bytes())
        content[60:64] = (3).to_bytes(4, "big")
        (store / name).write_bytes(content)
        assert "run the newer program" in self.refused(store, StoreNewer)

    def test_a_newer_version_is_not_taken_for_damage(self, store: Path) -> None:
        content = bytearray((store / "catalog.sqlite").read_bytes())
        content[60:64] = (3).to_bytes(4, "big")
        (store / "catalog.sqlite").write_bytes(content[:5_000])
        self.refused(store, StoreNewer)

    @pytest.mark.parametrize("name", ["catalog.sqlite", "index.sqlite"])
    @pytest.mark.parametrize("damage", ["scribbled over", "cut short", "gone"])
    def test_a_damaged_or_missing_database(self, store: Path, name: str, damage: str) -> None:
        path = store / name
        if damage == "scribbled over":
            path.write_bytes(path.read_bytes()[:4_096] + b"scribble" * 2_000)
        elif damage == "cut short":
            os.truncate(path, 5_000)
        else:
            path.unlink()
        remedy, error = {
            "catalog.sqlite": ("put this file back from a copy", CatalogDamaged),
            "index.sqlite": (f"run python -m tools.store rebuild {store}", IndexDamaged),
        }[name]
        said = self.refused(store, error)
        assert name in said
        assert remedy in said

    @pytest.mark.parametrize(
        ("name", "word"), [("catalog.sqlite", b"fingerprint"), ("index.sqlite", b"checksum")]
    )
    def test_a_column_with_another_name(self, store: Path, name: str, word: bytes) -> None:
        """SQLite's check passes over that, and every statement with the name would fail."""
        content = (store / name).read_bytes()
        assert word in content
        (store / name).write_bytes(content.replace(word, word[:-1] + b"z"))
        self.refused(store, {"catalog.sqlite": CatalogDamaged, "index.sqlite": IndexDamaged}[name])

    @pytest.mark.parametrize("flipped", range(0, 30, 7))
    def test_a_bit_of_a_key_that_is_another(self, tmp_path: Path, flipped: int) -> None:
        """The row is out of its order then, and whoever looks others up by halves goes astray at it."""
        folder = tmp_path / "store"
        storage = start(PosixDisk(), str(folder))
        names = [f"photo {number}" for number in range(30)]
        storage.store.put([a_chunk(name) for name in names])
        storage.close()
        key = sorted(file_id(name) for name in names)[flipped]
        content = (folder / "index.sqlite").read_bytes()
        assert content.count(key) == 1
        (folder / "index.sqlite").write_bytes(content.replace(key, bytes([key[0] ^ 0x80]) + key[1:]))
        self.refused(folder, IndexDamaged)

    @pytest.mark.parametrize("letter", [b"z", b"\xff"])
    def test_a_condition_that_makes_no_sense(self, store: Path, letter: bytes) -> None:
        """SQLite's check passes over that too, as long as it may only read."""
        content = (store / "catalog.sqlite").read_bytes()
        assert b"(is_announced IN" in content
        (store / "catalog.sqlite").write_bytes(
            content.replace(b"(is_announced IN", b"(is_ann" + letter + b"unced IN")
        )
        self.refused(store, CatalogDamaged)

    def test_a_catalog_whose_journal_is_damaged(self, tmp_path: Path) -> None:
        """SQLite passes over such a journal, and would remove it: nobody could mend it any more."""
        running, folder = tmp_path / "running", tmp_path / "store"
        storage = start(PosixDisk(), str(running))
        shutil.copytree(running, folder)
        storage.close()
        journal = folder / "catalog.sqlite-wal"
        journal.write_bytes(b"scribble" + journal.read_bytes()[8:])
        (folder / "catalog.sqlite-shm").unlink()
        (folder / "index.sqlite-shm").unlink()
        self.refused(folder, CatalogDamaged)

    def test_an_index_gone_but_not_its_journal(self, tmp_path: Path) -> None:
        """A start on what else is left would give the catalog a new owner before it sees that."""
        running, folder = tmp_path / "running", tmp_path / "store"
        storage = start(PosixDisk(), str(running))
        shutil.copytree(running, folder)
        storage.close()
        for name in ("catalog.sqlite-wal", "catalog.sqlite-shm", "index.sqlite", "index.sqlite-shm"):
            (folder / name).unlink()
        assert (folder / "index.sqlite-wal").exists()
        self.refused(folder, IndexDamaged)

    def test_both_databases_gone_while_there_are_chunks(self, store: Path) -> None:
        """A new index would know none of them, and the start would remove them all."""
        for name in ("catalog.sqlite", "index.sqlite"):
            (store / name).unlink()
        self.refused(store, CatalogDamaged)

    @pytest.mark.parametrize("byte", range(0, 40_000, 397))
    def test_any_flipped_byte_gives_a_store_or_one_sentence(self, store: Path, byte: int) -> None:
        for name in ("catalog.sqlite", "index.sqlite"):
            content = bytearray((store / name).read_bytes())
            content[byte % len(content)] ^= 0xFF
            (store / name).write_bytes(content)
        with suppress(StorageError):
            storage = start(PosixDisk(), str(store), peer_id=None)
            outcome = storage.store.get([chunk_id("photo")])[0]
            assert outcome.body in (None, b"the body")
            storage.close()

    def test_a_file_where_the_store_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        for path in ("file", "file/store"):
            error = refusal(PosixDisk(), str(tmp_path / path))
            assert isinstance(error, StoreUnusable)
            assert "choose another with --store" in str(error)

    def test_a_folder_that_is_not_the_peers(self) -> None:
        disk = MemoryDisk()
        disk.fail("make_directory", errno.EACCES)
        assert "Permission denied" in str(refusal(disk))

    @pytest.mark.parametrize("kind", ["make_directory", "create", "commit"])
    def test_a_full_disk_at_the_first_start(self, kind: str) -> None:
        disk = MemoryDisk()
        disk.fail(kind, errno.ENOSPC)
        assert isinstance(refusal(disk), DiskFull)
        disk.mend()
        start(disk).close()

    def test_a_refused_store_is_free_for_the_next(self, store: Path) -> None:
        refusal(PosixDisk(), str(store), peer_id=8)
        start(PosixDisk(), str(store), peer_id=7).close()


class TestALaterStart:
    def test_it_finds_what_was_there(self, disk: IDisk, root: str) -> None:
        first = start(disk, f"{root}/store")
        first.store.put([a_chunk()])
        begun = first.catalog.begin_version("/photo.jpg", file_id("mine"), b"", 1, a_fingerprint())
        first.close()
        again = start(disk, f"{root}/store")
        assert again.store.get([chunk_id("photo")]) == [ReadOutcome(b"the body")]
        assert again.catalog.unmet() == [begun]
        again.close()

    def test_it_removes_what_a_restore_left_unfinished(self, disk: IDisk, root: str) -> None:
        """SPEC.md 9.15."""
        start(disk, f"{root}/store").close()
        for name in (f"{TEMPORARY_PREFIX}3", "photo.jpg"):
            disk.open(f"{root}/store/restored/{name}", create=True).close()
        start(disk, f"{root}/store").close()
        assert disk.list_directory(f"{root}/store/restored") == ["photo.jpg"]

    def test_a_folder_of_restored_files_that_the_user_removed_is_made_again(
        self, disk: IDisk, root: str
    ) -> None:
        start(disk, f"{root}/store").close()
        disk.remove_directory(f"{root}/store/restored")
        storage = start(disk, f"{root}/store")
        assert disk.exists(storage.restored_folder)
        storage.close()
