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
from tests.support.sparse import SparseBytes

_SECTOR = 512
_database_numbers = count()


class AnnouncesOperations(Protocol):
    """The disk, as a connection sees it."""

    is_off: bool

    def check_power(self) -> None:
        """Raise PowerLost if the power is gone."""

    def announce(self, kind: str, path: str, *, is_change: bool = True) -> None:
        """Raise what a test wants to be raised."""


Change = Callable[[SparseBytes, Random], None]
"""What arrives of a change that wasn't synced when the power went: some of it, by a draw."""


@define(eq=False)
class Inode:
    number: int
    changed_at: int
    kind: FileKind = FileKind.REGULAR
    content: SparseBytes = field(factory=SparseBytes)
    synced: SparseBytes = field(factory=SparseBytes)
    pending: list[Change] = field(factory=list)
    """What was done since the last sync."""
    database: Database | None = None

    def write(self, offset: int, data: bytes) -> None:
        self.content.write(offset, data)

        def arrive(content: SparseBytes, random: Random) -> None:
            is_torn = random.random() < 0.5
            length = random.randrange(len(data) + 1) // _SECTOR * _SECTOR if is_torn else len(data)
            content.write(offset, data[:length])

        self.pending.append(arrive)

    def truncate(self, size: int) -> None:
        self.content.truncate(size)
        self.pending.append(lambda content, random: content.truncate(size))

    def punch(self, offset: int, length: int) -> None:
        self.content.punch(offset, length)
        self.pending.append(lambda content, random: content.punch(offset, length))

    def replace(self, content: bytes) -> None:
        self.content = SparseBytes.of(content)
        self.sync()

    def sync(self) -> None:
        self.synced = self.content.copy()
        self.pending.clear()

    def crash(self, random: Random | None) -> None:
        if self.database is not None:
            latest = self.database.close_all()
            self.database = None
            if random is not None and random.random() < 0.5:
                self.synced = SparseBytes.of(latest)
        elif random is not None:
            for arrive in self.pending:
                if random.random() >= 0.4:
                    arrive(self.synced, random)
        self.content = self.synced
        self.sync()


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


class ClosedWhenForgotten(sqlite3.Connection):
    """A connection that goes with its disk: a disk in memory that a test is done with is just dropped."""

    def __del__(self) -> None:
        sqlite3.Connection.close(self)


class Database:
    """One database in SQLite's memory, for as long as a connection to its path is open."""

    def __init__(self, content: bytes) -> None:
        self.address = f"file:/memory-disk-{next(_database_numbers)}?vfs=memdb"
        self.connections: list[Connection] = []
        self._anchor = sqlite3.connect(
            self.address, uri=True, check_same_thread=False, factory=ClosedWhenForgotten
        )
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


class Connection(ClosedWhenForgotten):
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
            self.inode.replace(database.close_all())
            self.inode.database = None

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
            self.inode.synced = SparseBytes.of(_content(self))
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
    return FileStat(entry.content.size, entry.changed_at, entry.changed_at, 1, entry.number, entry.kind)
