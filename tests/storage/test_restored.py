"""Files that are restored: complete and right under a free name, or nothing (SPEC.md 4.13)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.digest import Digest
from storage.disk import IDisk, PosixDisk
from storage.errors import DiskFailed, DiskFull, UnusableName
from storage.restored import TEMPORARY_PREFIX, RestoredFile, numbered, remove_stale
from tests.support.disk import MemoryDisk, MemoryFile

FOLDER = "/restored"
BODIES = [b"a" * 64_000, b"b" * 64_000, b"c" * 10]
SIZE = 128_010


def items(*numbers: int) -> list[tuple[int, bytes, Digest]]:
    return [(number, BODIES[number], Digest.of(BODIES[number])) for number in numbers]


def read(disk: IDisk, path: str) -> bytes:
    file = disk.open(path, writable=False)
    content = file.read_at(0, 10**9)
    file.close()
    return bytes(content)


def restore(disk: IDisk, folder: str, name: str = "photo.jpg") -> str:
    file = RestoredFile.create(disk, folder, name, SIZE)
    assert file.write(items(2, 0, 1)) == [True, True, True]
    return file.commit()


class TestARestoredFile:
    def test_it_has_the_bytes_in_whatever_order_they_came(self, disk: IDisk, root: str) -> None:
        path = restore(disk, root)
        assert path == f"{root}/photo.jpg"
        assert read(disk, path) == b"".join(BODIES)
        assert disk.list_directory(root) == ["photo.jpg"]

    def test_it_does_not_show_before_it_is_complete(self, disk: IDisk, root: str) -> None:
        file = RestoredFile.create(disk, root, "photo.jpg", SIZE)
        file.write(items(0, 1))
        assert not disk.exists(f"{root}/photo.jpg")
        with pytest.raises(ValueError, match="1 chunks"):
            file.commit()
        file.abort()
        assert disk.list_directory(root) == []

    def test_it_never_takes_the_name_of_another(self, disk: IDisk, root: str) -> None:
        paths = [restore(disk, root) for _ in range(3)]
        assert paths == [f"{root}/{name}" for name in ("photo.jpg", "photo (1).jpg", "photo (2).jpg")]
        assert all(read(disk, path) == b"".join(BODIES) for path in paths)

    def test_several_may_be_under_way_at_once(self, disk: IDisk, root: str) -> None:
        files = [RestoredFile.create(disk, root, "photo.jpg", SIZE) for _ in range(2)]
        for file in files:
            file.write(items(0, 1, 2))
        assert [os.path.basename(file.commit()) for file in files] == ["photo.jpg", "photo (1).jpg"]

    def test_a_temporary_name_has_the_first_free_number_from_a_given_one_on(
        self, disk: IDisk, root: str
    ) -> None:
        for _ in range(2):
            RestoredFile.create(disk, root, "photo.jpg", SIZE, first_number=7)
        assert sorted(disk.list_directory(root)) == [f"{TEMPORARY_PREFIX}7", f"{TEMPORARY_PREFIX}8"]

    @pytest.mark.parametrize("is_committed", [False, True])
    def test_to_abort_what_has_ended_leaves_the_next_one_alone(
        self, disk: IDisk, root: str, is_committed: bool
    ) -> None:
        """SPEC.md 4.13: who cancels a RESTORE can't know whether it was just committed, or has failed."""
        ended = RestoredFile.create(disk, root, "photo.jpg", SIZE)
        if is_committed:
            ended.write(items(0, 1, 2))
            ended.commit()
        else:
            ended.abort()
        following = RestoredFile.create(disk, root, "other.jpg", SIZE)
        ended.abort()
        following.write(items(0, 1, 2))
        assert read(disk, following.commit()) == b"".join(BODIES)

    def test_a_body_with_another_digest_or_length_is_not_written(self, disk: IDisk, root: str) -> None:
        """SPEC.md 4.4."""
        file = RestoredFile.create(disk, root, "photo.jpg", SIZE)
        wrong = b"x" * 64_000
        too_long = BODIES[2] + b"more"
        assert file.write(
            [(0, wrong, Digest.of(BODIES[0])), *items(1), (2, too_long, Digest.of(too_long))]
        ) == [False, True, False]
        assert file.write(items(0, 2)) == [True, True]
        assert read(disk, file.commit()) == b"".join(BODIES)

    @pytest.mark.parametrize("size", [0, 64_000])
    def test_the_empty_last_chunk_needs_no_writing(self, disk: IDisk, root: str, size: int) -> None:
        """SPEC.md 4.5."""
        file = RestoredFile.create(disk, root, "file", size)
        file.write([(0, BODIES[0], Digest.of(BODIES[0]))] if size else [])
        assert read(disk, file.commit()) == BODIES[0][:size]

    def test_it_is_on_the_disk_when_its_name_is(self) -> None:
        disk = MemoryDisk()
        disk.make_directory(FOLDER)
        path = restore(disk, FOLDER)
        disk.crash()
        assert disk.read_file(path) == b"".join(BODIES)

    def test_the_disk_begins_to_write_before_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Else the sync at the end of a large file waits for all of it."""
        told: list[int] = []
        monkeypatch.setattr("storage.restored.START_SYNC_BYTES", 128_000)
        monkeypatch.setattr(MemoryFile, "start_sync", lambda file: told.append(file.size()))
        disk = MemoryDisk()
        disk.make_directory(FOLDER)
        bodies = [bytes([no]) * 64_000 for no in range(7)]
        file = RestoredFile.create(disk, FOLDER, "photo.jpg", 7 * 64_000)
        for no, body in enumerate(bodies):
            file.write([(no, body, Digest.of(body))])
        assert told == [2 * 64_000, 4 * 64_000, 6 * 64_000]
        assert read(disk, file.commit()) == b"".join(bodies)

    def test_only_its_owner_may_read_it(self, tmp_path: Path) -> None:
        """SPEC.md 9.1."""
        path = restore(PosixDisk(), str(tmp_path))
        assert os.stat(path).st_mode & 0o777 == 0o600


class TestNames:
    @pytest.mark.parametrize("given", ["/home/ann/photo.jpg", "photo.jpg", "../photo.jpg"])
    def test_only_the_last_part_of_a_path_is_taken(self, disk: IDisk, root: str, given: str) -> None:
        assert restore(disk, root, given) == f"{root}/photo.jpg"

    @pytest.mark.parametrize("given", ["", "/", "/home/", ".", "..", "/home/..", "a\0b"])
    def test_an_unusable_name_is_refused_in_one_sentence(self, disk: IDisk, root: str, given: str) -> None:
        with pytest.raises(UnusableName, match="give the path of a file"):
            RestoredFile.create(disk, root, given, 1)
        assert disk.list_directory(root) == []

    def test_a_file_called_like_our_temporaries_is_not_removed_as_one(self, disk: IDisk, root: str) -> None:
        path = restore(disk, root, f"{TEMPORARY_PREFIX}0")
        remove_stale(disk, root)
        assert disk.exists(path)

    @pytest.mark.parametrize(
        ("name", "first", "second"),
        [
            ("photo.jpg", "photo.jpg", "photo (1).jpg"),
            ("photo", "photo", "photo (1)"),
            (".profile", ".profile", ".profile (1)"),
            ("a.tar.gz", "a.tar.gz", "a.tar (1).gz"),
        ],
    )
    def test_the_number_stands_before_the_extension(self, name: str, first: str, second: str) -> None:
        assert (numbered(name, 0), numbered(name, 1)) == (first, second)

    @given(st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=255), st.integers(0, 2000))
    def test_a_numbered_name_is_never_too_long(self, stem: str, number: int) -> None:
        assert len(os.fsencode(numbered(stem + ".jpg", number))) <= 255

    @given(st.integers(0, 254), st.integers(1, 2000))
    def test_a_numbered_name_is_never_too_long_nor_taken(self, place_of_dot: int, number: int) -> None:
        """Wherever its dot is: what looks like an extension may be nearly all of it."""
        name = "x" * place_of_dot + "." + "y" * (254 - place_of_dot)
        names = {numbered(name, number), numbered(name, number + 1)}
        assert len(names) == 2
        assert max(len(os.fsencode(name)) for name in names) <= 255

    def test_a_long_name_is_shortened_for_its_number_only(self, tmp_path: Path) -> None:
        name = "é" * 125 + ".jpg"
        paths = [restore(PosixDisk(), str(tmp_path), name) for _ in range(2)]
        assert [os.path.basename(path) for path in paths] == [name, "é" * 123 + " (1).jpg"]


class TestADiskThatRefuses:
    def test_a_full_disk_is_told_and_leaves_nothing_behind(self) -> None:
        disk = MemoryDisk(total_bytes=100_000)
        disk.make_directory(FOLDER)
        file = RestoredFile.create(disk, FOLDER, "photo.jpg", SIZE)
        assert file.write(items(0)) == [True]
        with pytest.raises(DiskFull, match="free some space"):
            file.write(items(1))
        file.abort()
        assert disk.list_directory(FOLDER) == []
        assert disk.free_bytes(FOLDER) == 100_000

    @pytest.mark.parametrize("kind", ["sync", "rename", "truncate", "sync_directory"])
    def test_a_commit_that_fails_leaves_nothing_behind(self, kind: str) -> None:
        disk = MemoryDisk()
        disk.make_directory(FOLDER)
        file = RestoredFile.create(disk, FOLDER, "photo.jpg", SIZE)
        file.write(items(0, 1, 2))
        disk.fail(kind)
        with pytest.raises(DiskFailed, match="Input/output error"):
            file.commit()
        assert disk.list_directory(FOLDER) == []

    def test_a_folder_that_was_taken_away_is_made_again(self, disk: IDisk, root: str) -> None:
        folder = f"{root}/away"
        file = RestoredFile.create(disk, folder, "photo", 0)
        assert file.commit() == f"{folder}/photo"

    @pytest.mark.parametrize("is_dangling", [True, False])
    def test_but_not_the_store_around_it_nor_what_a_link_leads_to(
        self, tmp_path: Path, is_dangling: bool
    ) -> None:
        """They are on a disk that isn't there, perhaps."""
        folder = tmp_path / "restored" if is_dangling else tmp_path / "away" / "restored"
        if is_dangling:
            folder.symlink_to(tmp_path / "away")
        with pytest.raises(DiskFailed, match="moved or removed"):
            RestoredFile.create(PosixDisk(), str(folder), "photo.jpg", SIZE)
        assert not (tmp_path / "away").exists()

    def test_a_folder_that_cannot_be_written_is_told(self) -> None:
        disk = MemoryDisk()
        disk.make_directory(FOLDER)
        disk.fail("create", errno.EACCES)
        with pytest.raises(DiskFailed, match=r"can't use.*Permission denied.*: let the user"):
            RestoredFile.create(disk, FOLDER, "photo.jpg", SIZE)


def test_what_an_earlier_run_left_unfinished_is_removed_and_nothing_else(disk: IDisk, root: str) -> None:
    """SPEC.md 9.15."""
    path = restore(disk, root)
    RestoredFile.create(disk, root, "other.jpg", SIZE)
    remove_stale(disk, root)
    assert disk.list_directory(root) == [os.path.basename(path)]
