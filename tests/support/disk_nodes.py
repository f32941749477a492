"""What a disk in memory is made of: files and folders that know what of them was synced, and SQLite's files.

The model is told in ``tests.support.disk``.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Protocol

from attrs import define, field

from storage.disk import FileKind, FileStat

_SECTOR = 512
_database_numbers = count()


class AnnouncesOperations(Protocol):
    """The disk, as a connection sees it."""

    is_off: bool

    def check_power(self) -> None:
        """Raise PowerLost if the power is gone."""

    def announce(self, kind: str, path: str, *, is_change: bool = True) -> None:
        """Raise what a test wants to be raised."""


@define(eq=False)
class Inode:
    number: int
    changed_at: int
    kind: FileKind = FileKind.REGULAR
    data: bytearray = field(factory=bytearray)
    synced: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(factory=list)
    """Writes (offset, data) and truncations (size, None) since the last sync."""
    database: Database | None = None

    def write(self, offset: int, data: bytes) -> None:
        if offset > len(self.data):
            self.data.extend(bytes(offset - len(self.data)))
        self.data[offset : offset + len(data)] = data

    def truncate(self, size: int) -> None:
        del self.data[size:]
        self.data.extend(bytes(size - len(self.data)))

    def sync(self) -> None:
        self.synced = bytes(self.data)
        self.pending.clear()

    def crash(self, random: Random | None) -> None:
        if self.database is not None:
            latest = self.database.close_all()
            self.database = None
            self.data = bytearray(latest if random is not None and random.random() < 0.5 else self.synced)
        else:
            self.data = bytearray(self.synced)
            for place, data in self.pending if random is not None else ():
                self._arrive(place, data, random)
        self.sync()

    def _arrive(self, place: int, data: bytes | None, random: Random | None) -> None:
        assert random is not None
        fate = random.random()
        if fate < 0.4:
            return
        if data is None:
            self.truncate(place)
        elif fate < 0.7:
            self.write(place, data)
        else:
            self.write(place, data[: random.randrange(len(data) + 1) // _SECTOR * _SECTOR])


@define(eq=False)
class Directory:
    number: int
    changed_at: int
    entries: dict[str, Inode | Directory] = field(factory=dict)
    synced: dict[str, Inode | Directory] = field(factory=dict)

    def crash(self, random: Random | None) -> None:
        if random is None:
            self.entries = dict(self.synced)
        else:
            for name in sorted(self.entries.keys() | self.synced.keys()):
                kept = random.choice((self.entries, self.synced)).get(name)
                if kept is None:
                    self.entries.pop(name, None)
                else:
                    self.entries[name] = kept
        self.synced = dict(self.entries)
        for entry in self.entries.values():
            entry.crash(random)


class Database:
    """One database in SQLite's memory, for as long as a connection to its path is open."""

    def __init__(self, content: bytes) -> None:
        self.address = f"file:/memory-disk-{next(_database_numbers)}?vfs=memdb"
        self.connections: list[Connection] = []
        self._anchor = sqlite3.connect(self.address, uri=True, check_same_thread=False)
        if content:
            self._load(content)

    def content(self) -> bytes:
        return _content(self._anchor)

    def close_all(self) -> bytes:
        for connection in tuple(self.connections):
            connection.forget()
        content = self.content()
        self._anchor.close()
        return content

    def _load(self, content: bytes) -> None:
        loaded = sqlite3.connect(":memory:")
        try:
            loaded.deserialize(content)
            loaded.backup(self._anchor)
        except BaseException:
            self._anchor.close()
            raise
        finally:
            loaded.close()


class Connection(sqlite3.Connection):
    """A connection that tells the disk of its commits."""

    disk: AnnouncesOperations
    path: str
    inode: Inode

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        self.disk.check_power()
        if sql.lstrip().upper().startswith("COMMIT"):
            return self._committing(lambda: super(Connection, self).execute(sql))
        return super().execute(sql, parameters)  # type: ignore[arg-type]

    def executescript(self, sql: str, /) -> sqlite3.Cursor:
        return self._committing(lambda: super(Connection, self).executescript(sql))

    def close(self) -> None:
        database = self.inode.database
        if database is None or self not in database.connections:
            return
        self.forget()
        if not database.connections and not self.disk.is_off:
            # SQLite moves the journal into the database, and syncs that, when the last one goes.
            self.inode.data = bytearray(database.close_all())
            self.inode.database = None
            self.inode.sync()

    def forget(self) -> None:
        assert self.inode.database is not None
        self.inode.database.connections.remove(self)
        super().close()

    def _committing(self, commit: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        try:
            self.disk.announce("commit", self.path)
        except OSError as error:
            raise as_sqlite_says(error) from error
        cursor = commit()
        if super().execute("PRAGMA synchronous").fetchone()[0] >= 2:
            self.inode.synced = _content(self)
        return cursor


def _content(connection: sqlite3.Connection) -> bytes:
    # SQLite has no serial form for a database that nothing was written to yet.
    is_empty = not connection.execute("PRAGMA page_count").fetchone()[0]
    return b"" if is_empty else connection.serialize()


def as_sqlite_says(error: OSError) -> sqlite3.OperationalError:
    is_full = error.errno == errno.ENOSPC
    said = sqlite3.OperationalError("database or disk is full" if is_full else "disk I/O error")
    said.sqlite_errorcode = sqlite3.SQLITE_FULL if is_full else sqlite3.SQLITE_IOERR
    return said


def os_error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


def stat_of(entry: Inode | Directory) -> FileStat:
    if isinstance(entry, Directory):
        return FileStat(0, entry.changed_at, entry.changed_at, 1, entry.number, FileKind.DIRECTORY)
    return FileStat(len(entry.data), entry.changed_at, entry.changed_at, 1, entry.number, entry.kind)
