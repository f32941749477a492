"""Files that are read to be backed up: what is refused, and what is noticed while they are read."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from protocol.chunking import MAX_FILE_SIZE
from protocol.values import CHUNK_SIZE
from storage.disk import IDisk, PosixDisk
from storage.errors import (
    FileTooLarge,
    NotARegularFile,
    PathMissing,
    PathUnreadable,
    SourceChanged,
    StorageError,
)
from storage.interfaces import Fingerprint
from storage.source import SourceFile
from tests.support.disk import MemoryDisk

PHOTO = "/home/ann/photo.jpg"


def write(disk: IDisk, path: str, content: bytes) -> None:
    file = disk.open(path, create=True)
    file.truncate(0)
    file.write_at(0, content)
    file.close()


@pytest.fixture
def photo(disk: IDisk, root: str) -> str:
    """A file of three chunks on each kind of disk."""
    path = f"{root}/photo.jpg"
    write(disk, path, b"a" * 64_000 + b"b" * 64_000 + b"c" * 10)
    return path


class TestReading:
    def test_a_file_is_read_in_chunks(self, disk: IDisk, photo: str) -> None:
        """SPEC.md 1.6."""
        source = SourceFile.open(disk, photo)
        assert (source.size, source.chunk_count) == (128_010, 3)
        assert source.fingerprint == Fingerprint.of(disk.stat(photo))
        assert source.read_chunks(0, 2) == [b"a" * 64_000, b"b" * 64_000]
        assert source.read_chunks(1, 99) == [b"b" * 64_000, b"c" * 10]
        source.close_unchanged()

    @pytest.mark.parametrize(("size", "lengths"), [(0, [0]), (1, [1]), (64_000, [64_000, 0])])
    def test_the_last_chunk_is_always_shorter(
        self, disk: IDisk, root: str, size: int, lengths: list[int]
    ) -> None:
        """SPEC.md 1.6."""
        write(disk, f"{root}/file", bytes(size))
        source = SourceFile.open(disk, f"{root}/file")
        assert [len(body) for body in source.read_chunks(0, 9)] == lengths
        source.close()

    def test_a_link_to_a_file_is_as_good_as_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"content")
        (tmp_path / "link").symlink_to("file")
        source = SourceFile.open(PosixDisk(), str(tmp_path / "link"))
        assert source.read_chunks(0, 1) == [b"content"]
        source.close_unchanged()

    def test_closing_twice_does_no_harm(self, disk: IDisk, photo: str) -> None:
        source = SourceFile.open(disk, photo)
        source.close()
        source.close()


class TestChanges:
    def test_a_file_that_was_written_to_has_changed(self, disk: IDisk, photo: str) -> None:
        source = SourceFile.open(disk, photo)
        write(disk, photo, b"x" * 128_010)
        # Where the clock of the file system is coarse, two writes may have one time.
        if isinstance(disk, PosixDisk):
            os.utime(photo, ns=(1, 1))
        with pytest.raises(SourceChanged, match="back it up again"):
            source.close_unchanged()

    def test_a_file_that_was_replaced_has_changed(self, disk: IDisk, root: str, photo: str) -> None:
        source = SourceFile.open(disk, photo)
        write(disk, f"{root}/other", b"other")
        disk.rename(f"{root}/other", photo)
        with pytest.raises(SourceChanged):
            source.close_unchanged()

    def test_a_file_that_was_removed_has_changed(self, disk: IDisk, photo: str) -> None:
        source = SourceFile.open(disk, photo)
        disk.remove(photo)
        with pytest.raises(SourceChanged):
            source.close_unchanged()

    def test_a_file_that_is_shorter_than_it_was_is_noticed_in_reading(self, disk: IDisk, photo: str) -> None:
        source = SourceFile.open(disk, photo)
        disk.open(photo).truncate(64_001)
        assert source.read_chunks(0, 1) == [b"a" * 64_000]
        with pytest.raises(SourceChanged):
            source.read_chunks(1, 1)
        source.close()

    @pytest.mark.parametrize("size", [0, 10, CHUNK_SIZE])
    def test_a_file_that_has_more_than_it_says_is_noticed_in_reading(self, size: int) -> None:
        """SPEC.md 3.33: those of /proc say that they are empty."""
        disk = MemoryDisk()
        disk.write_file("/photo", bytes(size))
        source = SourceFile.open(disk, "/photo")
        disk.write_file("/photo", bytes(size + 1))
        with pytest.raises(SourceChanged):
            source.read_chunks(0, 2)
        source.close()

    @pytest.mark.skipif(not Path("/proc/version").exists(), reason="only Linux has such files")
    def test_a_file_that_says_it_is_empty_and_is_not_is_no_ordinary_file(self) -> None:
        source = SourceFile.open(PosixDisk(), "/proc/version")
        with pytest.raises(NotARegularFile):
            source.read_chunks(0, 1)
        source.close()

    def test_a_sector_that_cannot_be_read_is_told(self) -> None:
        disk = MemoryDisk()
        disk.write_file(PHOTO, b"content")
        source = SourceFile.open(disk, PHOTO)
        disk.fail("read")
        with pytest.raises(PathUnreadable, match="Input/output error"):
            source.read_chunks(0, 1)


class TestRefusals:
    """SPEC.md 7.21: one sentence that says what to do, and nothing is read."""

    @pytest.mark.parametrize("path", ["missing", "photo.jpg/inside", "no/such/folder/file", "nul\0"])
    def test_a_path_where_nothing_is(self, disk: IDisk, root: str, photo: str, path: str) -> None:
        with pytest.raises(PathMissing, match="check the path"):
            SourceFile.open(disk, f"{root}/{path}")

    def test_a_folder(self, disk: IDisk, root: str) -> None:
        with pytest.raises(NotARegularFile, match="only ordinary files"):
            SourceFile.open(disk, root)

    def test_a_pipe_nobody_writes_to_is_refused_at_once(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(NotARegularFile):
            SourceFile.open(PosixDisk(), str(tmp_path / "pipe"))

    def test_a_socket_and_a_device(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "socket"))
            for path in (str(tmp_path / "socket"), "/dev/null", "/dev/zero"):
                with pytest.raises(NotARegularFile):
                    SourceFile.open(PosixDisk(), path)

    def test_a_device_is_not_even_opened(self) -> None:
        disk = MemoryDisk()
        disk.make_device("/dev/tape")
        done: list[str] = []
        disk.intercept(lambda operation: done.append(operation.kind))
        with pytest.raises(NotARegularFile):
            SourceFile.open(disk, "/dev/tape")
        assert done == ["stat"]

    def test_a_pipe_that_takes_the_place_of_a_file_at_the_last_moment(self, tmp_path: Path) -> None:
        """Between the look at the path and the opening."""
        path = str(tmp_path / "file")
        disk = PosixDisk()
        write(disk, path, b"content")

        class ChangingDisk(PosixDisk):
            def open(self, path: str, **options: bool):  # type: ignore[no-untyped-def]
                os.unlink(path)
                os.mkfifo(path)
                return super().open(path, **options)

        with pytest.raises(NotARegularFile):
            SourceFile.open(ChangingDisk(), path)

    def test_a_file_that_the_peer_may_not_read(self) -> None:
        disk = MemoryDisk()
        disk.write_file(PHOTO, b"content")
        disk.fail("open", errno.EACCES)
        with pytest.raises(PathUnreadable, match=r"Permission denied.*let the user"):
            SourceFile.open(disk, PHOTO)

    def test_a_loop_of_links_is_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(PathUnreadable):
            SourceFile.open(PosixDisk(), str(tmp_path / "loop"))

    def test_a_file_of_more_chunks_than_there_are_numbers(self, tmp_path: Path) -> None:
        """SPEC.md 1.7. The file is sparse: it takes no room."""
        path = str(tmp_path / "huge")
        with open(path, "wb") as file:
            file.truncate(MAX_FILE_SIZE + 1)
        with pytest.raises(FileTooLarge, match="64,000,000,000 bytes and 63,999,999,999 is the most"):
            SourceFile.open(PosixDisk(), path)
        os.truncate(path, MAX_FILE_SIZE)
        source = SourceFile.open(PosixDisk(), path)
        assert source.chunk_count == 1_000_000
        assert source.read_chunks(999_999, 9) == [bytes(63_999)]
        source.close()

    def test_a_name_that_is_no_text_still_gives_one_printable_line(self, disk: IDisk, root: str) -> None:
        with pytest.raises(StorageError) as caught:
            SourceFile.open(disk, f"{root}/line\nbreak \udcff")
        assert str(caught.value).isprintable()
