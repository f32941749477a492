"""A disk in memory that forgets what wasn't synced when the power goes, and that fails when it is told to.

What it models, from the strict end of what real file systems do:

- A file is made of blocks of 4,096 bytes; holes take none.
- A file keeps what it held at its last ``sync``; a folder keeps the names it had at its last
  ``sync_directory``. A synced file whose name wasn't synced is gone. Made folders are there at once.
- ``crash()`` loses all the rest. ``crash(random)`` draws: of each name, whether the old or the new is there;
  of each write, whether it arrived, or its beginning did.
- SQLite reaches its files past the disk interface. Here each database lives in SQLite's own memory, shared by
  the connections to one path. A commit with ``synchronous=FULL`` sets down the whole database; that is what a
  crash goes back to (``crash(random)``: or to the last commit of any kind, as the journal may have arrived).
  There is no ``-wal`` and no ``-shm``, and a full disk doesn't fail a commit unless ``fail`` says so.
"""

from __future__ import annotations

import errno
import posixpath
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from random import Random

from attrs import define, frozen
from zope.interface import implementer

from protocol.values import Body
from storage.disk import FileKind, FileStat, IDisk, IFile, ILock
from tests.support.disk_nodes import Connection, Database, Directory, Inode, as_sqlite_says, os_error, stat_of
from tests.support.sparse import SparseBytes


class PowerLost(BaseException):
    """The power is gone. No code under test may catch it: none of it runs any more."""


@frozen
class Operation:
    """A call that reaches the disk. ``is_change`` is False for opening and reading."""

    kind: str
    """open, read, create, write, truncate, sync, punch, rename, remove, make_directory, remove_directory,
    sync_directory, or commit (of a database)."""
    path: str
    is_change: bool


@implementer(IFile)
@define(eq=False)
class MemoryFile:
    disk: MemoryDisk
    path: str
    inode: Inode
    is_writable: bool

    def read_at(self, offset: int, length: int) -> bytes:
        self.disk.announce("read", self.path, is_change=False)
        return self.inode.content.read(offset, length)

    def write_at(self, offset: int, *parts: Body) -> None:
        data = b"".join(parts)
        self._change("write")
        self.disk.take(self.inode.content.missing_bytes(offset, len(data)), self.path)
        self.inode.write(offset, data)

    def size(self) -> int:
        return self.inode.content.size

    def truncate(self, size: int) -> None:
        self._change("truncate")
        with self._giving_back():
            self.inode.truncate(size)

    def start_sync(self, offset: int = 0, length: int = 0) -> None:
        self.disk.check_power()

    def drop_cached(self, offset: int, length: int) -> None:
        self.disk.check_power()

    def sync(self) -> None:
        self._change("sync")
        self.inode.sync()

    def punch(self, offset: int, length: int) -> None:
        self._change("punch")
        with self._giving_back():
            self.inode.punch(offset, length)

    def next_data(self, offset: int) -> tuple[int, int] | None:
        self.disk.announce("read", self.path, is_change=False)
        return self.inode.content.next_data(offset)

    def stat(self) -> FileStat:
        return stat_of(self.inode)

    def close(self) -> None:
        pass

    def _change(self, kind: str) -> None:
        if not self.is_writable:
            raise os_error(errno.EBADF, self.path)
        assert self.inode.database is None, "SQLite is using this file"
        self.disk.announce(kind, self.path)
        if kind != "sync":
            self.inode.changed_at = self.disk.changes

    @contextmanager
    def _giving_back(self) -> Iterator[None]:
        before = self.inode.content.taken_bytes
        yield
        self.disk.take(self.inode.content.taken_bytes - before, self.path)


@implementer(ILock)
@define(eq=False)
class MemoryLock:
    held: set[str]
    path: str

    def release(self) -> None:
        self.held.discard(self.path)


@implementer(IDisk)
class MemoryDisk:
    """See the module. Paths are absolute; there are no links.

    ``changes`` counts the calls that change something; each is announced before it is done.
    """

    def __init__(self, *, total_bytes: int = 10**12) -> None:
        self.changes = 0
        self.is_off = False
        self._total_bytes = total_bytes
        self._used_bytes = 0
        self._numbers = count(1)
        self._root = Directory(0, 0)
        self._locked: set[str] = set()
        self._interceptors: list[Callable[[Operation], None]] = []

    # What a test does to it

    def intercept(self, interceptor: Callable[[Operation], None]) -> None:
        """Have a function called before each operation; what it raises is what the caller gets."""
        self._interceptors.append(interceptor)

    def fail(self, kind: str, number: int = errno.EIO, *, where: str = "", times: int = -1) -> None:
        """Fail so many operations of the kind (-1: all) on paths that contain ``where``, until ``mend``."""
        left = times

        def interceptor(operation: Operation) -> None:
            nonlocal left
            if operation.kind == kind and where in operation.path and left:
                left -= 1
                raise os_error(number, operation.path)

        self.intercept(interceptor)

    def mend(self) -> None:
        """Fail no more."""
        self._interceptors.clear()

    def lose_power_at(self, change: int) -> None:
        """Lose power instead of doing the ``change``-th change from now on; the first is 1."""
        last = self.changes + change

        def interceptor(operation: Operation) -> None:
            if operation.is_change and self.changes == last:
                self.is_off = True
                raise PowerLost

        self.intercept(interceptor)

    def crash(self, random: Random | None = None) -> None:
        """Lose power, if it isn't lost yet, and come back with what was synced (``random``: see above)."""
        self.is_off = True
        self._root.crash(random)
        self._used_bytes = _bytes_below(self._root)
        self._locked.clear()
        self.mend()
        self.is_off = False

    def resize(self, total_bytes: int) -> None:
        """Make the disk larger or smaller; smaller than what is on it leaves nothing free."""
        self._total_bytes = total_bytes

    def flip_bit(self, path: str, offset: int) -> None:
        """Damage a file, on the disk too."""
        inode = self._file(path)
        (byte,) = inode.content.read(offset, 1)
        inode.content.write(offset, bytes([byte ^ 1]))
        inode.sync()

    def make_device(self, path: str) -> None:
        """Put something that isn't a file at a path."""
        self._add(path, Inode(next(self._numbers), self.changes, FileKind.OTHER))

    def write_file(self, path: str, content: bytes) -> None:
        """Put a file there, as anybody else on the machine may, folders included."""
        self.make_directory(posixpath.dirname(path))
        file = self.open(path, create=True)
        file.truncate(0)
        file.write_at(0, content)
        file.sync()
        self.sync_directory(posixpath.dirname(path))

    def read_file(self, path: str) -> bytes:
        """All that a file holds."""
        return self.open(path, writable=False).read_at(0, 10**12)

    # What the code under test does with it

    def open(
        self, path: str, *, create: bool = False, exclusive: bool = False, writable: bool = True
    ) -> MemoryFile:
        is_new = create and not self.exists(path)
        self.announce("create" if is_new else "open", path, is_change=is_new)
        # Looked for only now: what a test does when it is told may be that it removes the file.
        folder, name = self._place(path)
        found = folder.entries.get(name)
        if found is None:
            if not create:
                raise os_error(errno.ENOENT, path)
            found = folder.entries[name] = Inode(next(self._numbers), self.changes)
        elif create and exclusive:
            raise os_error(errno.EEXIST, path)
        if isinstance(found, Directory):
            if writable:
                raise os_error(errno.EISDIR, path)
            found = Inode(found.number, found.changed_at, FileKind.DIRECTORY)
        if found.database is not None:
            found.content = SparseBytes.of(found.database.content())
        return MemoryFile(self, path, found, writable)

    def exists(self, path: str) -> bool:
        self.check_power()
        try:
            self._find(path)
        except OSError:
            return False
        return True

    def stat(self, path: str) -> FileStat:
        self.announce("stat", path, is_change=False)
        return stat_of(self._find(path))

    def list_directory(self, path: str) -> list[str]:
        self.check_power()
        return sorted(self._directory(path).entries)

    def make_directory(self, path: str) -> None:
        folder = self._root
        for name in _parts(path):
            if name not in folder.entries:
                self.announce("make_directory", path)
                # Durable on return, says IDisk.
                folder.entries[name] = folder.synced[name] = Directory(next(self._numbers), self.changes)
            entry = folder.entries[name]
            if isinstance(entry, Inode):
                raise os_error(errno.ENOTDIR, path)
            folder = entry

    def rename(self, source: str, target: str) -> None:
        self.announce("rename", target)
        old_folder, old_name = self._place(source)
        moved = self._find(source)
        if self.exists(target):
            self._used_bytes -= self._file(target).content.taken_bytes
        assert not isinstance(moved, Inode) or moved.database is None, "SQLite is using this file"
        self._place(target)[0].entries[posixpath.basename(target)] = moved
        del old_folder.entries[old_name]

    def rename_new(self, source: str, target: str) -> None:
        if self.exists(target):
            raise os_error(errno.EEXIST, target)
        self.rename(source, target)

    def remove(self, path: str) -> None:
        removed = self._file(path)
        self.announce("remove", path)
        self._used_bytes -= removed.content.taken_bytes
        folder, name = self._place(path)
        del folder.entries[name]

    def remove_directory(self, path: str) -> None:
        if self._directory(path).entries:
            raise os_error(errno.ENOTEMPTY, path)
        self.announce("remove_directory", path)
        folder, name = self._place(path)
        del folder.entries[name]

    def sync_directory(self, path: str) -> None:
        folder = self._directory(path)
        self.announce("sync_directory", path)
        folder.synced = dict(folder.entries)

    def free_bytes(self, path: str) -> int:
        self.announce("free", path, is_change=False)
        return self._free_bytes

    def total_bytes(self, path: str) -> int:
        return self._total_bytes

    def lock(self, path: str) -> MemoryLock:
        if path in self._locked:
            raise os_error(errno.EAGAIN, path)
        if not self.exists(path):
            self.open(path, create=True)
        self._locked.add(path)
        return MemoryLock(self._locked, path)

    def connect(self, path: str, *, read_only: bool = False) -> sqlite3.Connection:
        if not self.exists(path):
            if read_only:
                raise as_sqlite_says(os_error(errno.ENOENT, path))
            self.open(path, create=True)
        inode = self._file(path)
        if inode.database is None:
            inode.database = Database(inode.content.read(0, inode.content.size))
        connection = sqlite3.connect(
            inode.database.address,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        connection.disk, connection.path, connection.inode = self, path, inode
        inode.database.connections.append(connection)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        return connection

    # What its parts ask of it

    def check_power(self) -> None:
        if self.is_off:
            raise PowerLost

    def announce(self, kind: str, path: str, *, is_change: bool = True) -> None:
        self.check_power()
        self.changes += is_change
        for interceptor in self._interceptors:
            interceptor(Operation(kind, path, is_change))

    def take(self, growth: int, path: str) -> None:
        if growth > self._free_bytes:
            raise os_error(errno.ENOSPC, path)
        self._used_bytes += growth

    @property
    def _free_bytes(self) -> int:
        return max(0, self._total_bytes - self._used_bytes)

    def _find(self, path: str) -> Inode | Directory:
        entry: Inode | Directory = self._root
        for name in _parts(path):
            if isinstance(entry, Inode):
                raise os_error(errno.ENOTDIR, path)
            if name not in entry.entries:
                raise os_error(errno.ENOENT, path)
            entry = entry.entries[name]
        return entry

    def _directory(self, path: str) -> Directory:
        found = self._find(path)
        if isinstance(found, Inode):
            raise os_error(errno.ENOTDIR, path)
        return found

    def _file(self, path: str) -> Inode:
        found = self._find(path)
        if isinstance(found, Directory):
            raise os_error(errno.EISDIR, path)
        return found

    def _place(self, path: str) -> tuple[Directory, str]:
        return self._directory(posixpath.dirname(path)), posixpath.basename(path)

    def _add(self, path: str, entry: Inode) -> None:
        self.make_directory(posixpath.dirname(path))
        folder, name = self._place(path)
        folder.entries[name] = folder.synced[name] = entry


def _parts(path: str) -> list[str]:
    assert path.startswith("/"), path
    if "\0" in path:
        raise ValueError("embedded null byte")
    return [part for part in path.split("/") if part]


def _bytes_below(folder: Directory) -> int:
    return sum(
        _bytes_below(entry) if isinstance(entry, Directory) else entry.content.taken_bytes
        for entry in folder.entries.values()
    )
