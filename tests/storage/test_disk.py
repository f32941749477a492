"""What both disks do alike, and what the one in memory does when the power goes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from zope.interface.verify import verifyObject

from storage.disk import FileKind, IDisk, IFile, ILock, PosixDisk
from tests.support.disk import MemoryDisk, PowerLost


class TestBothDisks:
    def test_they_keep_the_contract(self, disk: IDisk, root: str) -> None:
        assert verifyObject(IDisk, disk)
        file = disk.open(f"{root}/file", create=True)
        assert verifyObject(IFile, file)
        file.close()
        lock = disk.lock(f"{root}/lock")
        assert verifyObject(ILock, lock)
        lock.release()

    def test_a_file_is_read_and_written_at_any_place(self, disk: IDisk, root: str) -> None:
        file = disk.open(f"{root}/file", create=True)
        file.write_at(3, b"def")
        file.write_at(0, b"ab")
        assert file.read_at(0, 100) == b"ab\0def"
        assert file.read_at(4, 1) == b"e"
        assert file.read_at(6, 1) == b""
        assert file.size() == file.stat().size == 6
        file.truncate(4)
        file.truncate(5)
        assert file.read_at(0, 9) == b"ab\0d\0"
        file.start_sync()
        file.sync()
        file.close()

    def test_parts_are_written_one_behind_the_other(self, disk: IDisk, root: str) -> None:
        file = disk.open(f"{root}/file", create=True)
        file.write_at(1, b"head", b"", b"body", b"\0")
        assert file.read_at(0, 99) == b"\0headbody\0"
        file.write_at(0)
        assert file.size() == 10
        file.close()

    def test_a_file_tells_its_data_from_its_holes(self, disk: IDisk, root: str) -> None:
        file = disk.open(f"{root}/file", create=True)
        assert file.next_data(0) is None
        file.write_at(65_536, b"x" * 8_192)
        file.write_at(131_072, b"y" * 10)
        file.sync()
        assert file.next_data(0) == (65_536, 73_728)
        assert file.next_data(70_000) == (70_000, 73_728)
        assert file.next_data(73_728) == (131_072, 131_082)
        assert file.next_data(131_082) is None
        try:
            file.punch(65_536, 65_536)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
        else:
            assert file.read_at(65_536, 4) == bytes(4)
            assert file.next_data(0) == (131_072, 131_082)
        file.close()

    def test_a_missing_file_is_made_only_if_asked_for(self, disk: IDisk, root: str) -> None:
        with pytest.raises(FileNotFoundError):
            disk.open(f"{root}/file")
        disk.open(f"{root}/file", create=True, exclusive=True).close()
        disk.open(f"{root}/file", create=True).close()
        with pytest.raises(FileExistsError):
            disk.open(f"{root}/file", create=True, exclusive=True)

    def test_a_file_opened_for_reading_is_not_written(self, disk: IDisk, root: str) -> None:
        disk.open(f"{root}/file", create=True).close()
        file = disk.open(f"{root}/file", writable=False)
        with pytest.raises(OSError, match="Bad file descriptor"):
            file.write_at(0, b"x")
        file.close()

    def test_names_are_listed_in_order_and_removed(self, disk: IDisk, root: str) -> None:
        for name in "cab":
            disk.open(f"{root}/{name}", create=True).close()
        assert disk.list_directory(root) == ["a", "b", "c"]
        disk.remove(f"{root}/b")
        assert disk.list_directory(root) == ["a", "c"]
        assert (disk.exists(f"{root}/a"), disk.exists(f"{root}/b")) == (True, False)
        with pytest.raises(FileNotFoundError):
            disk.remove(f"{root}/b")

    def test_folders_are_made_with_those_above_them(self, disk: IDisk, root: str) -> None:
        disk.make_directory(f"{root}/a/b/c")
        disk.make_directory(f"{root}/a/b/c")
        assert disk.stat(f"{root}/a/b/c").kind is FileKind.DIRECTORY
        with pytest.raises(OSError, match="not empty"):
            disk.remove_directory(f"{root}/a/b")
        disk.remove_directory(f"{root}/a/b/c")
        assert disk.list_directory(f"{root}/a/b") == []
        disk.open(f"{root}/file", create=True).close()
        with pytest.raises(OSError, match=r"exists|Not a directory"):
            disk.make_directory(f"{root}/file")

    def test_a_rename_replaces_and_a_rename_new_does_not(self, disk: IDisk, root: str) -> None:
        for name in ("one", "two", "three"):
            file = disk.open(f"{root}/{name}", create=True)
            file.write_at(0, name.encode())
            file.close()
        disk.rename(f"{root}/one", f"{root}/two")
        with pytest.raises(FileExistsError):
            disk.rename_new(f"{root}/two", f"{root}/three")
        disk.rename_new(f"{root}/two", f"{root}/four")
        assert disk.list_directory(root) == ["four", "three"]
        file = disk.open(f"{root}/four")
        assert file.read_at(0, 9) == b"one"
        file.close()

    def test_a_lock_is_had_by_one(self, disk: IDisk, root: str) -> None:
        lock = disk.lock(f"{root}/lock")
        with pytest.raises(BlockingIOError):
            disk.lock(f"{root}/lock")
        lock.release()
        lock.release()
        disk.lock(f"{root}/lock").release()

    def test_a_file_tells_when_it_was_changed_or_replaced(self, disk: IDisk, root: str) -> None:
        for name in ("a", "b"):
            disk.open(f"{root}/{name}", create=True).close()
        first, other = disk.stat(f"{root}/a"), disk.stat(f"{root}/b")
        assert first.kind is FileKind.REGULAR
        assert (first.device, first.inode) != (other.device, other.inode)
        assert disk.stat(f"{root}/a") == first

    def test_the_space_of_the_file_system_is_told(self, disk: IDisk, root: str) -> None:
        assert 0 < disk.free_bytes(root) <= disk.total_bytes(root)

    def test_a_database_is_shared_by_its_connections(self, disk: IDisk, root: str) -> None:
        writer, reader = disk.connect(f"{root}/db"), disk.connect(f"{root}/db")
        writer.execute("CREATE TABLE t (x)")
        writer.execute("BEGIN")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.execute("COMMIT")
        assert reader.execute("SELECT x FROM t").fetchall() == [(1,)]
        writer.close()
        reader.close()
        again = disk.connect(f"{root}/db", read_only=True)
        assert again.execute("SELECT x FROM t").fetchall() == [(1,)]
        with pytest.raises(Exception, match="readonly"):
            again.execute("INSERT INTO t VALUES (2)")
        again.close()

    def test_a_database_is_a_file_like_any_other_when_nobody_uses_it(self, disk: IDisk, root: str) -> None:
        connection = disk.connect(f"{root}/db")
        connection.execute("CREATE TABLE t (x)")
        connection.close()
        disk.rename(f"{root}/db", f"{root}/renamed")
        file = disk.open(f"{root}/renamed")
        assert file.read_at(0, 6) == b"SQLite"
        file.close()


class TestThePosixDisk:
    def test_folders_and_files_are_for_their_owner_only(self, tmp_path: Path) -> None:
        """SPEC.md 9.1."""
        disk = PosixDisk()
        disk.make_directory(str(tmp_path / "a/b"))
        disk.open(str(tmp_path / "a/file"), create=True).close()
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "a/file").stat().st_mode & 0o777 == 0o600

    def test_a_name_is_not_taken_where_there_are_no_hard_links(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_names: str) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", refuse)
        (tmp_path / "new").write_bytes(b"new")
        (tmp_path / "taken").write_bytes(b"old")
        with pytest.raises(FileExistsError):
            PosixDisk().rename_new(str(tmp_path / "new"), str(tmp_path / "taken"))
        PosixDisk().rename_new(str(tmp_path / "new"), str(tmp_path / "free"))
        assert (tmp_path / "free").read_bytes() == b"new"
        assert (tmp_path / "taken").read_bytes() == b"old"

    @pytest.mark.parametrize("has_hard_links", [True, False])
    def test_a_new_name_that_cannot_be_given_whole_is_not_given(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_hard_links: bool
    ) -> None:
        failures = iter([True])

        def fail_once(_path: str, *_target: str) -> None:
            if next(failures, False):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            os.remove(_path)

        def refuse(*_names: str) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        if has_hard_links:
            monkeypatch.setattr(os, "unlink", fail_once)
        else:
            monkeypatch.setattr(os, "link", refuse)
            monkeypatch.setattr(os, "replace", fail_once)
        (tmp_path / "new").write_bytes(b"new")
        with pytest.raises(OSError, match="Input/output error"):
            PosixDisk().rename_new(str(tmp_path / "new"), str(tmp_path / "free"))
        assert next(failures, None) is None
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"new": b"new"}

    def test_a_new_name_stays_if_the_old_one_is_gone_already(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As where a removal is sent to a server a second time: the new name is the only one left."""

        def remove_twice(path: str) -> None:
            os.remove(path)
            os.remove(path)

        monkeypatch.setattr(os, "unlink", remove_twice)
        (tmp_path / "new").write_bytes(b"new")
        PosixDisk().rename_new(str(tmp_path / "new"), str(tmp_path / "free"))
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"free": b"new"}

    def test_punching_gives_space_back_where_the_file_system_can(self, tmp_path: Path) -> None:
        file = PosixDisk().open(str(tmp_path / "file"), create=True)
        file.write_at(0, b"x" * 200_000)
        file.sync()
        before = (tmp_path / "file").stat().st_blocks
        try:
            file.punch(65_536, 65_536)
        except OSError as error:
            file.close()
            if error.errno != errno.EOPNOTSUPP:
                raise
            pytest.skip("this file system punches no holes")
        assert file.read_at(0, 200_000) == b"x" * 65_536 + bytes(65_536) + b"x" * 68_928
        file.close()
        assert (tmp_path / "file").stat().st_blocks < before

    def test_a_write_that_the_system_cuts_short_is_gone_on_with(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write, read = os.pwrite, os.pread
        monkeypatch.setattr(os, "pwritev", lambda fd, parts, offset: write(fd, parts[0][:1_000], offset))
        monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: write(fd, bytes(data)[:1_000], offset))
        monkeypatch.setattr(os, "pread", lambda fd, length, offset: read(fd, min(length, 700), offset))
        body = Random(1).randbytes(4_321)
        file = PosixDisk().open(str(tmp_path / "file"), create=True)
        file.write_at(5, body[:2_000], body[2_000:])
        assert file.read_at(5, 10_000) == body
        file.close()

    def test_a_lock_goes_with_its_process(self, tmp_path: Path) -> None:
        """SPEC.md 9.4."""
        path = str(tmp_path / "lock")
        program = """if True:
            import sys
            from storage.disk import PosixDisk
            lock = PosixDisk().lock(sys.argv[1])
            print(flush=True)
            sys.stdin.read()
        """
        with subprocess.Popen(
            [sys.executable, "-c", program, path],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            with pytest.raises(BlockingIOError):
                PosixDisk().lock(path)
            child.kill()
        PosixDisk().lock(path).release()

    def test_looking_at_a_database_leaves_nothing_beside_it(self, tmp_path: Path) -> None:
        path = str(tmp_path / "db")
        disk = PosixDisk()
        connection = disk.connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.close()
        looking = disk.connect(path, read_only=True)
        assert looking.execute("SELECT * FROM t").fetchall() == []
        assert os.listdir(tmp_path) == ["db"]
        looking.close()
        assert os.listdir(tmp_path) == ["db"]


class TestThePowerGoes:
    """What ``tests.support.disk`` says of itself. The tests of crashes are worth what this is worth."""

    def test_what_was_not_synced_is_lost(self) -> None:
        disk = MemoryDisk()
        disk.write_file("/a/file", b"synced")
        disk.open("/a/file").write_at(0, b"un")
        disk.crash()
        assert disk.read_file("/a/file") == b"synced"

    def test_a_synced_file_is_lost_with_its_name(self) -> None:
        disk = MemoryDisk()
        disk.make_directory("/a")
        file = disk.open("/a/file", create=True)
        file.write_at(0, b"content")
        file.sync()
        disk.crash()
        assert disk.list_directory("/a") == []

    def test_a_rename_and_a_removal_count_from_the_sync_of_the_folder(self) -> None:
        disk = MemoryDisk()
        for name in ("one", "two"):
            disk.write_file(f"/a/{name}", name.encode())
        disk.rename("/a/one", "/a/renamed")
        disk.remove("/a/two")
        disk.crash()
        assert disk.list_directory("/a") == ["one", "two"]
        disk.rename("/a/one", "/a/renamed")
        disk.sync_directory("/a")
        disk.crash()
        assert disk.list_directory("/a") == ["renamed", "two"]
        assert disk.read_file("/a/renamed") == b"one"

    def test_a_draw_keeps_some_of_it_and_tears_some(self) -> None:
        outcomes = set()
        for seed in range(200):
            disk = MemoryDisk()
            disk.write_file("/a/file", b"a" * 2_000)
            disk.open("/a/file").write_at(0, b"b" * 2_000)
            disk.open("/a/new", create=True)
            disk.crash(Random(seed))
            outcomes.add((disk.read_file("/a/file").count(b"b"), disk.exists("/a/new")))
        assert outcomes == {
            (torn, is_new) for torn in (0, 512, 1_024, 1_536, 2_000) for is_new in (True, False)
        }

    def test_it_goes_at_the_change_that_was_said_and_stays_away(self) -> None:
        disk = MemoryDisk()
        disk.write_file("/a/file", b"abc")
        disk.lose_power_at(2)
        file = disk.open("/a/file")
        file.write_at(0, b"x")
        with pytest.raises(PowerLost):
            file.sync()
        with pytest.raises(PowerLost):
            disk.exists("/a")
        disk.crash()
        assert disk.read_file("/a/file") == b"abc"

    @pytest.mark.parametrize(("synchronous", "kept"), [("FULL", [(1,), (2,)]), ("NORMAL", [(1,)])])
    def test_a_database_goes_back_to_its_last_synced_commit(
        self, synchronous: str, kept: list[tuple[int]]
    ) -> None:
        disk = MemoryDisk()
        connection = disk.connect("/db")
        connection.executescript("BEGIN; CREATE TABLE t (x); INSERT INTO t VALUES (1); COMMIT")
        disk.sync_directory("/")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (2)")
        connection.execute("COMMIT")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (3)")
        disk.crash()
        again = disk.connect("/db")
        assert again.execute("SELECT x FROM t").fetchall() == kept
        again.close()

    def test_a_lock_ends_with_the_power(self) -> None:
        disk = MemoryDisk()
        disk.lock("/lock")
        disk.crash()
        disk.lock("/lock")


class TestADiskThatFails:
    def test_it_fails_what_it_was_told_to_as_often_as_it_was_told(self) -> None:
        disk = MemoryDisk()
        disk.write_file("/a/file", b"abc")
        disk.fail("sync", errno.EIO, where="file", times=1)
        file = disk.open("/a/file")
        file.write_at(0, b"x")
        with pytest.raises(OSError, match="Input/output"):
            file.sync()
        file.sync()

    def test_it_is_full_when_the_blocks_of_its_files_fill_it(self) -> None:
        disk = MemoryDisk(total_bytes=3 * 4_096)
        file = disk.open("/file", create=True)
        file.write_at(0, b"12345678")
        file.write_at(0, b"87654321")
        with pytest.raises(OSError, match="No space"):
            file.write_at(4_096, bytes(8_193))
        assert disk.free_bytes("/") == 8_192
        file.write_at(1_000_000, b"far away")
        assert disk.free_bytes("/") == 4_096
        file.punch(0, 4_096)
        assert disk.free_bytes("/") == 8_192
        disk.remove("/file")
        assert disk.free_bytes("/") == 3 * 4_096
