"""The disk as this package sees it: the only door to files, folders, locks and SQLite.

It is handed in, so that a test can fill the disk up, make any call fail, or take the power away between any
two calls. What it promises about power: what a file held at its last ``sync``, and what a folder listed at
its last ``sync_directory``, is there afterwards; whatever was done since may be lost, whole or in part.

OSErrors pass through every call. Paths are strings; names that aren't text are as ``os.fsdecode`` has them.
"""

from __future__ import annotations

import stat as stat_module
from enum import Enum
from os import stat_result
from sqlite3 import Connection

from attrs import frozen
from zope.interface import Interface

from protocol.values import Body


class FileKind(Enum):
    """What stands at a path."""

    REGULAR = "regular"
    DIRECTORY = "directory"
    OTHER = "other"
    """A device, a pipe or a socket: opening it may block or have effects."""


@frozen
class FileStat:
    """What the file system knows of a file. ``size`` in bytes."""

    size: int
    mtime_ns: int
    ctime_ns: int
    device: int
    inode: int
    kind: FileKind

    @classmethod
    def of(cls, result: stat_result) -> FileStat:
        """The same, of what the operating system said."""
        mode = result.st_mode
        kind = FileKind.OTHER
        if stat_module.S_ISREG(mode):
            kind = FileKind.REGULAR
        elif stat_module.S_ISDIR(mode):
            kind = FileKind.DIRECTORY
        return cls(result.st_size, result.st_mtime_ns, result.st_ctime_ns, result.st_dev, result.st_ino, kind)


class IFile(Interface):
    """An open file. Offsets and lengths in bytes."""

    def read_at(offset: int, length: int) -> bytes:
        """So many bytes, or fewer at the end of the file only."""

    def write_at(offset: int, *parts: Body) -> None:
        """Write all of the parts, one behind the other. If that fails, any of it may have been written."""

    def size() -> int:
        """The length of the file."""

    def truncate(size: int) -> None:
        """Cut the file short, or lengthen it with zeros."""

    def start_sync(offset: int = 0, length: int = 0) -> None:
        """Begin to write out what isn't on the disk yet, without waiting: a hint that promises nothing.

        Given while more is being made ready to be written, it lets the disk work meanwhile. A length of 0
        means all from the offset on.
        """

    def sync() -> None:
        """Return when the content is on the disk. The name in its folder is ``IDisk.sync_directory``'s."""

    def drop_cached(offset: int, length: int) -> None:
        """Have the system forget what it remembers of a part that is on the disk: a hint that promises nothing."""

    def punch(offset: int, length: int) -> None:
        """Give a part's space back; it reads as zeros. OSError EOPNOTSUPP where the file system can't."""

    def next_data(offset: int) -> tuple[int, int] | None:
        """The first part from the offset on that takes space: where it begins and ends. None: there is none.

        What lies between such parts are holes. A file system that doesn't tell them has one part, all of it.
        """

    def stat() -> FileStat:
        """What the file system knows of it now."""

    def close() -> None:
        """Let go of it. Closing again does nothing."""


class ILock(Interface):
    """A lock that is held. It ends with the process, too, however that ends."""

    def release() -> None:
        """Let another have it. Releasing again does nothing."""


class IDisk(Interface):
    """File systems, from one process's view."""

    def open(path: str, *, create: bool = False, exclusive: bool = False, writable: bool = True) -> IFile:
        """Open a file; never waits for another process, as a pipe would.

        ``create``: make it (mode 0600) if it isn't there. ``exclusive``, with that: FileExistsError if it is.
        """

    def exists(path: str) -> bool:
        """Whether anything stands there."""

    def stat(path: str) -> FileStat:
        """What stands there, symbolic links followed."""

    def list_directory(path: str) -> list[str]:
        """The names in a folder, sorted."""

    def make_directory(path: str) -> None:
        """Make a folder (mode 0700) and those above it where they are missing. Durable on return."""

    def rename(source: str, target: str) -> None:
        """Give a file another name, at once. A file that has that name is replaced."""

    def rename_new(source: str, target: str) -> None:
        """The same, but FileExistsError if the name is taken, also if that happens at this very moment.

        After an error the name is as free, or as taken, as before.
        """

    def remove(path: str) -> None:
        """Remove a file."""

    def remove_directory(path: str) -> None:
        """Remove an empty folder."""

    def sync_directory(path: str) -> None:
        """Return when the names in a folder are on the disk as they are now."""

    def free_bytes(path: str) -> int:
        """What an ordinary user can still write to the file system that holds the path."""

    def total_bytes(path: str) -> int:
        """How large the file system that holds the path is."""

    def lock(path: str) -> ILock:
        """Lock a file, made if missing. BlockingIOError if it is locked, by this process or another."""

    def connect(path: str, *, read_only: bool = False) -> Connection:
        """Open a SQLite database, in autocommit mode. Any thread may use it, one at a time.

        Who writes does so between a BEGIN and a COMMIT, both given to the connection's own ``execute`` or
        ``executescript``. Such a commit is on the disk on return if ``PRAGMA synchronous`` is FULL at that
        moment; otherwise the power may take it, with all that came after it and isn't synced either.

        ``read_only``: this connection can't change the database. If there is a journal to be read with it,
        SQLite's ``-shm`` may be left beside it.
        """
