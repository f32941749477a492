"""A SQLite database with a version, promises and refusals: what the catalog and the index have in common.

SPEC.md 9.3, 9.9, 9.10.

Promises: a commit is on the disk on return (``synchronous=FULL``), unless the transaction says that it isn't
one. Then it isn't waited for (``NORMAL``, which in WAL mode syncs at checkpoints only): the power may take
it, but never damages the database, and the next promise makes it durable too.

Refusals: what isn't a database of ours, is damaged, or was written by a newer version, is left untouched.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from attrs import Factory, define, field, frozen

from storage.disk import IDisk
from storage.errors import CatalogDamaged, DiskFailed, DiskFull, StorageError, StoreNewer, disk_trouble

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_READ_AHEAD = 4_000_000

_DISK_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)

_COLUMNS = """
    SELECT made.name, col.name, col.type, col.pk FROM sqlite_schema AS made, pragma_table_info(made.name) AS col
    WHERE made.type = 'table' AND made.name NOT LIKE 'sqlite%' ORDER BY made.name, col.cid
"""

_STATEMENTS = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"

Row = tuple[Any, ...]


@frozen
class Schema:
    """What a database has to be.

    ``<name>.sql`` makes one of the newest ``version``; ``<name>_upgrade_<n>.sql`` makes version n of n - 1. A
    version only ever grows. The scripts contain neither transactions nor the version itself.
    """

    name: str
    application_id: int
    """Stands in the file's header, by which our databases are told from others."""
    version: int
    scripts: Traversable = Factory(lambda: files("storage") / "schema")
    damaged: type[CatalogDamaged] = CatalogDamaged
    """What is raised when one is damaged: it says how to come by a whole one."""

    def script(self, suffix: str = "") -> str:
        """The text of a script."""
        return (self.scripts / f"{self.name}{suffix}.sql").read_text("utf-8")


@define(eq=False)
class Database:
    """An open database. One caller at a time."""

    path: str
    _connection: sqlite3.Connection
    _schema: Schema
    _is_full: bool = field(default=True, init=False)
    _is_together: bool = field(default=False, init=False)
    _has_begun: bool = field(default=False, init=False)

    def rows(self, sql: str, parameters: Row = ()) -> list[Row]:
        """All rows that a statement gives."""
        with telling_damage(self.path, self._schema):
            return self._connection.execute(sql, parameters).fetchall()

    def each_row(self, sql: str) -> Iterator[Row]:
        """The rows that a statement gives, one after another: there may be too many for memory."""
        with telling_damage(self.path, self._schema):
            yield from self._connection.execute(sql)

    def row(self, sql: str, parameters: Row = ()) -> Row | None:
        """The first row that a statement gives; None: it gives none."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    @contextmanager
    def transaction(self, *, is_promise: bool = True) -> Iterator[sqlite3.Connection]:
        """All statements in the block, or none of them if it, or the commit at its end, fails.

        ``is_promise``: on the disk when the block is left.
        """
        with telling_damage(self.path, self._schema):
            if not self._is_together:
                self._begin(is_promise=is_promise)
                with self._or_else("ROLLBACK"):
                    yield self._connection
                    self._connection.execute("COMMIT")
                return
            self._check_not_undone()
            if not self._has_begun:
                # How far a commit is waited for can't be changed within a transaction: all are promises here.
                self._begin(is_promise=True)
                self._has_begun = True
            self._connection.execute("SAVEPOINT part")
            with self._or_else("ROLLBACK TO part", "RELEASE part"):
                yield self._connection
                self._connection.execute("RELEASE part")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Transactions in the block are promises that share one commit, at its end; each can fail by itself.

        Whoever is told before that end what one of them did is told too early: if the commit fails, or the disk
        has made SQLite undo all that was begun, that is raised at the end, whatever they have said.
        """
        with telling_damage(self.path, self._schema):
            self._is_together = True
            try:
                with self._or_else("ROLLBACK"):
                    yield
                    self._check_not_undone()
                    if self._has_begun:
                        self._connection.execute("COMMIT")
            finally:
                self._is_together = self._has_begun = False

    def _begin(self, *, is_promise: bool) -> None:
        if is_promise != self._is_full:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if is_promise else 'NORMAL'}")
            self._is_full = is_promise
        self._connection.execute("BEGIN IMMEDIATE")

    def _check_not_undone(self) -> None:
        if self._has_begun and not self._connection.in_transaction:
            raise DiskFailed(self.path, "what was to be written at the same time couldn't be")

    @contextmanager
    def _or_else(self, *undo: str) -> Iterator[None]:
        """What the statements do, if the block fails; SQLite may have undone all by itself then.

        If they fail too, all is undone: half of what was to be done together must not be committed with the rest.
        """
        try:
            yield
        except BaseException:
            try:
                if self._connection.in_transaction:
                    for statement in undo:
                        self._connection.execute(statement)
            except sqlite3.Error:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise

    def setting(self, name: str) -> str | None:
        """The value in the table ``settings``, which every schema has."""
        row = self.row("SELECT value FROM settings WHERE name = ?", (name,))
        return None if row is None else str(row[0])

    def set_setting(self, name: str, value: str, *, is_promise: bool = True) -> None:
        """Keep a value in the table ``settings``."""
        with self.transaction(is_promise=is_promise) as connection:
            connection.execute(
                "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )

    def close(self) -> None:
        """Let go of the file."""
        with telling_damage(self.path, self._schema):
            self._connection.close()


@contextmanager
def telling_damage(path: str, schema: Schema) -> Iterator[None]:
    """Turn what SQLite says about the file, not about our statements, into a StorageError."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.NotSupportedError):
        raise
    except sqlite3.DatabaseError as error:
        raise _storage_error(path, schema, error) from error
    except UnicodeDecodeError as error:
        # SQLite quotes the names of tables and columns in what it says of damage.
        raise schema.damaged(path, "what should be text in it isn't") from error


def _storage_error(path: str, schema: Schema, error: sqlite3.DatabaseError) -> StorageError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(path)
    if code in _DISK_TROUBLE:
        return DiskFailed(path, str(error))
    return schema.damaged(path, str(error))


def check_header(disk: IDisk, path: str, schema: Schema) -> None:
    """Refuse a file that isn't a database of ours, or is one of a newer version, by its first bytes.

    Raises CatalogDamaged, StoreNewer. Only reads, and not by SQLite, which would make files beside it.
    """
    header = b""
    try:
        file = disk.open(path, writable=False)
        try:
            header = file.read_at(0, _HEADER_BYTES)
        finally:
            file.close()
    except OSError as error:
        raise schema.damaged(path, error.strerror or str(error)) from error
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise schema.damaged(path, "it isn't a database")
    if int.from_bytes(header[68:72], "big") != schema.application_id:
        raise schema.damaged(path, f"it isn't a peer's {schema.name}")
    _check_version(path, schema, int.from_bytes(header[60:64], "big"))


def _check_version(path: str, schema: Schema, found: int) -> None:
    if found > schema.version:
        raise StoreNewer(path, found=found, known=schema.version)
    if found < 1:
        raise schema.damaged(path, "it has no version")


def check_content(disk: IDisk, path: str, schema: Schema) -> None:
    """Refuse a database whose structure is damaged; changes nothing. Raises CatalogDamaged, StoreNewer.

    150,000 rows of an index took 0.12 s, in memory. The quick check took half as long, and passed over a key out of
    its order, which hides up to half of all rows from every look-up.
    """
    _read_ahead(disk, path)
    with unchanged_database(disk, path, schema) as database:
        [(version,)] = database.rows("PRAGMA user_version")
        _check_version(path, schema, version)
        [(said,)] = database.rows("PRAGMA integrity_check(1)")
        columns = database.rows(_COLUMNS)
        statements = database.rows(_STATEMENTS)
    if said != "ok":
        raise schema.damaged(path, " ".join(str(said).split()))
    if version == schema.version and columns != _columns(schema):
        raise schema.damaged(path, "its tables aren't those that it was made with")
    with telling_damage(path, schema), closing(sqlite3.connect(":memory:")) as made:
        # Only who may write is told by SQLite that a condition in one of them makes no sense.
        for (statement,) in statements:
            made.execute(statement)


@contextmanager
def unchanged_database(disk: IDisk, path: str, schema: Schema) -> Iterator[Database]:
    """A database to be looked at: nothing on the disk is another after that, its journal included.

    Raises CatalogDamaged.
    """
    shared_memory = path + "-shm"
    was_there = disk.exists(shared_memory)
    with telling_damage(path, schema):
        connection = disk.connect(path, read_only=True)
        try:
            yield Database(path, connection, schema)
        finally:
            connection.close()
            if not was_there and disk.exists(shared_memory):
                disk.remove(shared_memory)


@cache
def _columns(schema: Schema) -> list[Row]:
    """The columns of a new database. SQLite doesn't look at their names when it checks one."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(schema.script())
        return made.execute(_COLUMNS).fetchall()


def _read_ahead(disk: IDisk, path: str) -> None:
    # The check walks the tables in the order of their keys, at random through the file: from a cold disk a
    # million rows take seconds that way, and a fraction of one in the order of the file.
    file = disk.open(path, writable=False)
    try:
        offset = 0
        while file.read_at(offset, _READ_AHEAD):
            offset += _READ_AHEAD
    finally:
        file.close()


def check_unmade(disk: IDisk, path: str, schema: Schema) -> None:
    """Refuse to make a database that was there: its journal still is."""
    if disk.exists(path + "-wal"):
        raise schema.damaged(path, "it is gone, but not its journal")


def create_database(disk: IDisk, path: str, schema: Schema) -> None:
    """Make an empty database. It appears under its name whole, or not at all."""
    check_unmade(disk, path, schema)
    unfinished = path + ".new"
    if disk.exists(unfinished):
        disk.remove(unfinished)
    with telling_damage(path, schema):
        connection = disk.connect(unfinished)
        try:
            # No journal that a crash could leave behind: an unfinished file is thrown away, not mended.
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(
                f"BEGIN; {schema.script()}\n"
                f"PRAGMA application_id = {schema.application_id};"
                f"PRAGMA user_version = {schema.version}; COMMIT;"
            )
        finally:
            connection.close()
    disk.rename(unfinished, path)
    disk.sync_directory(os.path.dirname(path))


def open_database(disk: IDisk, path: str, schema: Schema) -> Database:
    """Open a database that has been checked, bringing an older one up to the schema's version.

    An older one is copied first, to ``<path>.version-<n>``. Raises StorageError.
    """
    with telling_damage(path, schema):
        connection = disk.connect(path)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            _upgrade(disk, path, connection, schema)
        except BaseException:
            connection.close()
            raise
    return Database(path, connection, schema)


def open_reader(disk: IDisk, path: str, schema: Schema) -> Database:
    """Open a database a second time, to read it beside the one that writes, in another thread even."""
    with telling_damage(path, schema):
        connection = disk.connect(path)
        connection.execute("PRAGMA query_only = ON")
    return Database(path, connection, schema)


def _upgrade(disk: IDisk, path: str, connection: sqlite3.Connection, schema: Schema) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found >= schema.version:
        return
    # So that the copy has everything, and later the new version stands in the file's header, where an older
    # program looks for it.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _copy(disk, path, f"{path}.version-{found}")
    for version in range(found + 1, schema.version + 1):
        script = schema.script(f"_upgrade_{version}")
        connection.executescript(f"BEGIN IMMEDIATE; {script}\nPRAGMA user_version = {version}; COMMIT;")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(disk: IDisk, source: str, target: str) -> None:
    unfinished = source + ".new"
    try:
        original, copy = disk.open(source, writable=False), disk.open(unfinished, create=True)
        with closing(original), closing(copy):
            copy.truncate(0)
            offset = 0
            while part := original.read_at(offset, _READ_AHEAD):
                copy.write_at(offset, part)
                offset += len(part)
            copy.sync()
        disk.rename(unfinished, target)
        disk.sync_directory(os.path.dirname(target))
    except OSError as error:
        raise disk_trouble(target, error) from error
