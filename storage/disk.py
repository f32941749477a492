"""The disk: the interface, and the operating system's own (Linux)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

from attrs import define
from zope.interface import implementer

from protocol.values import Body
from storage.disk_interfaces import FileKind, FileStat, IDisk, IFile, ILock

__all__ = ["FileKind", "FileStat", "IDisk", "IFile", "ILock", "PosixDisk"]

SQLITE_PATIENCE = 30.0
"""Seconds that SQLite waits for another connection of ours, which holds the database for milliseconds."""

_SYNC_FILE_RANGE_WRITE = 2
_FALLOC_KEEP_SIZE = 1
_FALLOC_PUNCH_HOLE = 2

# What Python's os module doesn't have. Missing on a system that isn't Linux, which is answered for below.
_libc = ctypes.CDLL(None, use_errno=True)
_sync_file_range = getattr(_libc, "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_fadvise = getattr(os, "posix_fadvise", None)
_fallocate = getattr(_libc, "fallocate64", None) or getattr(_libc, "fallocate", None)
if _fallocate is not None:
    _fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


@implementer(IFile)
@define(eq=False)
class PosixFile:
    """An open file of the operating system's."""

    _descriptor: int

    def read_at(self, offset: int, length: int) -> bytes:
        """See IFile."""
        data = os.pread(self._descriptor, length, offset)
        if len(data) == length or not data:
            return data
        parts = [data]
        got = len(data)
        while got < length and (data := os.pread(self._descriptor, length - got, offset + got)):
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def write_at(self, offset: int, *parts: Body) -> None:
        """See IFile."""
        written = os.pwritev(self._descriptor, parts, offset)
        if written < sum(map(len, parts)):
            data = memoryview(b"".join(parts))
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], offset + written)

    def size(self) -> int:
        """See IFile."""
        return os.fstat(self._descriptor).st_size

    def truncate(self, size: int) -> None:
        """See IFile."""
        os.ftruncate(self._descriptor, size)

    def start_sync(self, offset: int = 0, length: int = 0) -> None:
        """See IFile."""
        if _sync_file_range is not None:
            # The answer is of no interest: what goes wrong here goes wrong, and is told, at the sync.
            _sync_file_range(self._descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)

    def sync(self) -> None:
        """See IFile."""
        os.fdatasync(self._descriptor)

    def drop_cached(self, offset: int, length: int) -> None:
        """See IFile."""
        if _fadvise is not None:
            _fadvise(self._descriptor, offset, length, os.POSIX_FADV_DONTNEED)

    def punch(self, offset: int, length: int) -> None:
        """See IFile."""
        if _fallocate is None:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        if _fallocate(self._descriptor, _FALLOC_KEEP_SIZE | _FALLOC_PUNCH_HOLE, offset, length):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def next_data(self, offset: int) -> tuple[int, int] | None:
        """See IFile."""
        try:
            first = os.lseek(self._descriptor, offset, os.SEEK_DATA)
            return first, os.lseek(self._descriptor, first, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return None

    def stat(self) -> FileStat:
        """See IFile."""
        return FileStat.of(os.fstat(self._descriptor))

    def close(self) -> None:
        """See IFile."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


@implementer(ILock)
@define(eq=False)
class PosixLock:
    """A file that is locked for as long as its descriptor is open."""

    _descriptor: int

    def release(self) -> None:
        """See ILock."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


@implementer(IDisk)
class PosixDisk:
    """The file systems of this machine."""

    def open(
        self, path: str, *, create: bool = False, exclusive: bool = False, writable: bool = True
    ) -> PosixFile:
        """See IDisk."""
        # O_NONBLOCK: to open a pipe for reading would wait for a writer, for ever.
        flags = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (os.O_RDWR if writable else os.O_RDONLY)
        if create:
            flags |= os.O_CREAT | (os.O_EXCL if exclusive else 0)
        return PosixFile(os.open(path, flags, 0o600))

    def exists(self, path: str) -> bool:
        """See IDisk."""
        return os.path.lexists(path)

    def stat(self, path: str) -> FileStat:
        """See IDisk."""
        return FileStat.of(os.stat(path))

    def list_directory(self, path: str) -> list[str]:
        """See IDisk."""
        return sorted(os.listdir(path))

    def make_directory(self, path: str) -> None:
        """See IDisk."""
        if os.path.isdir(path):
            return
        parent = os.path.dirname(os.path.abspath(path))
        self.make_directory(parent)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
        self.sync_directory(parent)

    def rename(self, source: str, target: str) -> None:
        """See IDisk."""
        os.replace(source, target)

    def rename_new(self, source: str, target: str) -> None:
        """See IDisk."""
        # A hard link fails if the name is taken, whoever took it and when; a rename would replace that file.
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                raise
            # The file system has no hard links: claim the name with an empty file and replace that.
            descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with _removed_on_error(target):
                os.close(descriptor)
                os.replace(source, target)
        else:
            # If the old name is gone, by whomever, the new one is the only one left.
            with _removed_on_error(target), suppress(FileNotFoundError):
                os.unlink(source)

    def remove(self, path: str) -> None:
        """See IDisk."""
        os.unlink(path)

    def remove_directory(self, path: str) -> None:
        """See IDisk."""
        os.rmdir(path)

    def sync_directory(self, path: str) -> None:
        """See IDisk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, path: str) -> int:
        """See IDisk."""
        answer = os.statvfs(path)
        return answer.f_bavail * answer.f_frsize

    def total_bytes(self, path: str) -> int:
        """See IDisk."""
        answer = os.statvfs(path)
        return answer.f_blocks * answer.f_frsize

    def lock(self, path: str) -> PosixLock:
        """See IDisk."""
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(descriptor)
            raise
        return PosixLock(descriptor)

    def connect(self, path: str, *, read_only: bool = False) -> sqlite3.Connection:
        """See IDisk."""
        address = "file:" + quote(os.fsencode(os.path.abspath(path)))
        if read_only:
            # Without a journal nothing can be pending, and an immutable database gets no -shm beside it.
            # With one, what is pending must be read, for which SQLite needs the -shm.
            address += "?mode=ro" + ("" if self._has_journal(path) else "&immutable=1")
        elif not self.exists(path):
            # SQLite would make it readable for everybody. Its journals then have the mode of the database.
            self.open(path, create=True).close()
        return sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False, timeout=SQLITE_PATIENCE
        )

    def _has_journal(self, path: str) -> bool:
        try:
            return os.stat(path + "-wal").st_size > 0
        except FileNotFoundError:
            return False


@contextmanager
def _removed_on_error(path: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        with suppress(OSError):
            os.unlink(path)
        raise
