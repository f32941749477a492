"""Databases with a version: what is refused untouched, and how an old one is brought up to date."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

import pytest

from storage.catalog import CATALOG_SCHEMA
from storage.database import (
    Database,
    Schema,
    check_content,
    check_header,
    create_database,
    open_database,
    open_reader,
    telling_damage,
)
from storage.disk import IDisk, PosixDisk
from storage.errors import CatalogDamaged, DiskFailed, DiskFull, StoreNewer
from storage.slot_rows import INDEX_SCHEMA
from tests.support.disk import MemoryDisk, PowerLost


@pytest.fixture
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Traversable:
    """Schemas of a notebook, of which there were three versions."""
    folder = tmp_path_factory.mktemp("schema")
    settings = "CREATE TABLE settings (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;"
    (folder / "notes.sql").write_text(settings + "CREATE TABLE notes (x TEXT, pages INTEGER, colour TEXT);")
    (folder / "notes_upgrade_2.sql").write_text("ALTER TABLE notes ADD COLUMN pages INTEGER;")
    (folder / "notes_upgrade_3.sql").write_text("ALTER TABLE notes ADD COLUMN colour TEXT;")
    (folder / "first.sql").write_text(
        settings + "CREATE TABLE notes (x TEXT); INSERT INTO notes VALUES ('kept');"
    )
    return folder


def notes(scripts: Traversable, version: int = 3, name: str = "notes") -> Schema:
    return Schema(name, application_id=1234, version=version, scripts=scripts)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_note(database: Database, name: str) -> None:
    database.rows("INSERT INTO notes VALUES (?, 1, 'red')", (name,))


class CannotUndoAPart:
    """A connection whose disk fails whenever a part of a transaction is to be undone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, parameters: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if sql.startswith("ROLLBACK TO"):
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(sql, parameters)


def columns(database: Database) -> list[str]:
    return [row[1] for row in database.rows("PRAGMA table_info(notes)")]


def check(disk: IDisk, path: str, schema: Schema) -> None:
    check_header(disk, path, schema)
    check_content(disk, path, schema)


class TestUpgrades:
    """SPEC.md 9.3, 9.10."""

    def test_a_new_database_is_of_the_newest_version(
        self, disk: IDisk, root: str, scripts: Traversable
    ) -> None:
        path = f"{root}/notes.sqlite"
        create_database(disk, path, notes(scripts))
        check(disk, path, notes(scripts))
        database = open_database(disk, path, notes(scripts))
        assert columns(database) == ["x", "pages", "colour"]
        database.close()
        assert disk.list_directory(root) == ["notes.sqlite"]

    def test_an_old_one_goes_through_every_version_and_keeps_what_it_has(
        self, disk: IDisk, root: str, scripts: Traversable
    ) -> None:
        path = f"{root}/notes.sqlite"
        create_database(disk, path, notes(scripts, 1, "first"))
        database = open_database(disk, path, notes(scripts))
        assert columns(database) == ["x", "pages", "colour"]
        assert database.rows("SELECT x FROM notes") == [("kept",)]
        database.close()
        with pytest.raises(StoreNewer):
            check_header(disk, path, notes(scripts, 2))

    def test_an_old_one_is_copied_before_it_is_touched(
        self, disk: IDisk, root: str, scripts: Traversable
    ) -> None:
        path = f"{root}/notes.sqlite"
        create_database(disk, path, notes(scripts, 1, "first"))
        old = open_database(disk, path, notes(scripts, 1, "first"))
        with old.transaction() as connection:
            connection.execute("INSERT INTO notes VALUES ('in the journal')")
        old.close()
        open_database(disk, path, notes(scripts)).close()
        assert disk.list_directory(root) == ["notes.sqlite", "notes.sqlite.version-1"]
        check(disk, f"{path}.version-1", notes(scripts, 1, "first"))
        copy = open_database(disk, f"{path}.version-1", notes(scripts, 1, "first"))
        assert columns(copy) == ["x"]
        assert copy.rows("SELECT x FROM notes") == [("kept",), ("in the journal",)]
        copy.close()

    def test_one_that_cannot_be_copied_is_not_touched(self, scripts: Traversable) -> None:
        disk = MemoryDisk()
        create_database(disk, "/notes.sqlite", notes(scripts, 1, "first"))
        disk.fail("write", errno.ENOSPC)
        with pytest.raises(DiskFull):
            open_database(disk, "/notes.sqlite", notes(scripts))
        disk.mend()
        check(disk, "/notes.sqlite", notes(scripts, 1, "first"))
        open_database(disk, "/notes.sqlite", notes(scripts)).close()
        assert disk.list_directory("/") == ["notes.sqlite", "notes.sqlite.version-1"]

    def test_the_new_version_stands_in_the_file_as_soon_as_it_holds(
        self, tmp_path: Path, scripts: Traversable
    ) -> None:
        """A program of the old version looks into the file, not into the journal."""
        path = str(tmp_path / "notes.sqlite")
        create_database(PosixDisk(), path, notes(scripts, 1, "first"))
        database = open_database(PosixDisk(), path, notes(scripts))
        with pytest.raises(StoreNewer):
            check_header(PosixDisk(), path, notes(scripts, 2))
        database.close()

    def test_an_upgrade_that_fails_leaves_the_old_version(
        self, disk: IDisk, root: str, scripts: Traversable
    ) -> None:
        path = f"{root}/notes.sqlite"
        create_database(disk, path, notes(scripts, 1, "first"))
        assert isinstance(scripts, Path)
        (scripts / "notes_upgrade_3.sql").write_text(
            "ALTER TABLE notes ADD COLUMN y; ALTER TABLE no ADD COLUMN z;"
        )
        with pytest.raises(CatalogDamaged):
            open_database(disk, path, notes(scripts))
        database = open_database(disk, path, notes(scripts, 2))
        assert columns(database) == ["x", "pages"]
        database.close()


class TestRefusals:
    """SPEC.md 9.3: with a sentence that says what to do, and nothing is changed."""

    def refused(self, path: Path) -> str:
        before = snapshot(path.parent)
        with pytest.raises((CatalogDamaged, StoreNewer)) as caught:
            check(PosixDisk(), str(path), CATALOG_SCHEMA)
        assert snapshot(path.parent) == before
        return str(caught.value)

    @pytest.mark.parametrize("content", [b"", b"short", b"x" * 5_000, b"SQLite format 3\0" + bytes(200)])
    def test_what_is_no_database(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "catalog.sqlite"
        path.write_bytes(content)
        assert "put this file back from a copy" in self.refused(path)

    def test_a_database_of_something_else(self, tmp_path: Path) -> None:
        create_database(PosixDisk(), str(tmp_path / "catalog.sqlite"), INDEX_SCHEMA)
        assert "isn't a peer's catalog" in self.refused(tmp_path / "catalog.sqlite")

    def test_a_newer_version(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.sqlite"
        create_database(PosixDisk(), str(path), CATALOG_SCHEMA)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 7")
        connection.close()
        assert "is of version 7 and this program knows versions up to 2: run the newer" in self.refused(path)

    def test_a_newer_version_that_only_its_journal_tells(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.sqlite"
        create_database(PosixDisk(), str(path), CATALOG_SCHEMA)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA user_version = 7")
        copies = {name: (tmp_path / name).read_bytes() for name in ("catalog.sqlite", "catalog.sqlite-wal")}
        connection.close()
        # As if the power had gone before it was closed.
        for name, content in copies.items():
            (tmp_path / name).write_bytes(content)
        assert "is of version 7" in self.refused(path)

    @pytest.mark.parametrize("page", [1, 2, 3, 4, 5])
    def test_a_damaged_page(self, tmp_path: Path, page: int) -> None:
        path = tmp_path / "catalog.sqlite"
        create_database(PosixDisk(), str(path), CATALOG_SCHEMA)
        content = bytearray(path.read_bytes())
        content[4096 * page : 4096 * page + 64] = b"\xff" * 64
        path.write_bytes(content)
        assert "put this file back from a copy" in self.refused(path)

    def test_a_database_cut_short(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.sqlite"
        create_database(PosixDisk(), str(path), CATALOG_SCHEMA)
        os.truncate(path, 8_192)
        assert "put this file back from a copy" in self.refused(path)

    def test_a_journal_without_its_database_is_not_taken_for_a_new_store(
        self, disk: IDisk, root: str
    ) -> None:
        disk.open(f"{root}/catalog.sqlite-wal", create=True).close()
        with pytest.raises(CatalogDamaged, match="journal"):
            create_database(disk, f"{root}/catalog.sqlite", CATALOG_SCHEMA)


class TestTransactions:
    """SPEC.md 9.9."""

    @pytest.fixture
    def database(self, disk: IDisk, root: str, scripts: Traversable) -> Database:
        create_database(disk, f"{root}/notes.sqlite", notes(scripts))
        return open_database(disk, f"{root}/notes.sqlite", notes(scripts))

    def test_all_of_it_or_nothing(self, database: Database) -> None:
        def fail() -> None:
            with database.transaction() as connection:
                connection.execute("INSERT INTO notes VALUES ('a', 1, 'red')")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert database.rows("SELECT x FROM notes") == []
        with database.transaction() as connection:
            connection.execute("INSERT INTO notes VALUES ('b', 1, 'red')")
        assert database.row("SELECT x FROM notes") == ("b",)
        database.close()

    def test_a_reader_sees_what_is_committed_and_changes_nothing(
        self, disk: IDisk, root: str, scripts: Traversable, database: Database
    ) -> None:
        reader = open_reader(disk, f"{root}/notes.sqlite", notes(scripts))
        with database.transaction() as connection:
            connection.execute("INSERT INTO notes VALUES ('a', 1, 'red')")
        assert reader.rows("SELECT x FROM notes") == [("a",)]
        with pytest.raises(DiskFailed, match="readonly"):
            reader.rows("DELETE FROM notes")
        reader.close()
        database.close()

    def test_those_made_together_share_one_promise_at_the_end(self, database: Database) -> None:
        with database.transaction(is_promise=False):
            write_note(database, "a")
        with database.together():
            for name, is_promise in (("b", False), ("c", True)):
                with database.transaction(is_promise=is_promise):
                    write_note(database, name)
                assert database._connection.in_transaction
                assert database.row("PRAGMA synchronous") == (2,)
        assert not database._connection.in_transaction
        assert database.rows("SELECT x FROM notes") == [("a",), ("b",), ("c",)]
        database.close()

    def test_one_that_fails_among_them_is_undone_alone(self, database: Database) -> None:
        with database.together():
            for name in "abc":
                with suppress(RuntimeError), database.transaction():
                    write_note(database, name)
                    if name == "b":
                        raise RuntimeError
        assert database.rows("SELECT x FROM notes") == [("a",), ("c",)]
        database.close()

    def test_none_has_done_anything_if_what_they_are_made_in_fails(self, database: Database) -> None:
        def fail() -> None:
            with database.together():
                with database.transaction():
                    write_note(database, "a")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert database.rows("SELECT x FROM notes") == []
        with database.transaction():
            write_note(database, "b")
        assert database.rows("SELECT x FROM notes") == [("b",)]
        database.close()

    def test_nobody_is_told_that_it_is_done_when_sqlite_has_undone_it_for_anothers_sake(
        self, database: Database
    ) -> None:
        """As it does with some errors of the disk: the whole transaction then, with all that was in it before."""
        told: list[str] = []

        def write_all() -> None:
            with database.together():
                with database.transaction():
                    write_note(database, "a")
                with suppress(sqlite3.IntegrityError), database.transaction() as connection:
                    connection.execute("INSERT OR ROLLBACK INTO settings VALUES ('name', NULL)")
                for name in "bc":
                    try:
                        with database.transaction():
                            write_note(database, name)
                    except DiskFailed as error:
                        told.append(str(error))

        with pytest.raises(DiskFailed, match="at the same time"):
            write_all()
        assert ["at the same time" in sentence for sentence in told] == [True, True]
        assert database.rows("SELECT x FROM notes") == []
        database.close()

    def test_what_cannot_be_undone_alone_is_undone_with_all(self, database: Database) -> None:
        database._connection = cast(sqlite3.Connection, CannotUndoAPart(database._connection))

        def write_all() -> None:
            with database.together():
                with database.transaction():
                    write_note(database, "a")
                with suppress(RuntimeError), database.transaction():
                    write_note(database, "half of what was to be written")
                    raise RuntimeError

        with pytest.raises(DiskFailed, match="at the same time"):
            write_all()
        assert database.rows("SELECT x FROM notes") == []
        database.close()

    def test_reading_together_writes_nothing(self, database: Database) -> None:
        with database.together():
            assert database.rows("SELECT x FROM notes") == []
            assert not database._connection.in_transaction
        database.close()

    def test_a_promise_syncs_and_what_is_none_does_not(self, database: Database) -> None:
        for is_promise, synchronous in ((True, 2), (False, 1), (False, 1), (True, 2)):
            with database.transaction(is_promise=is_promise) as connection:
                connection.execute("INSERT INTO notes VALUES ('a', 1, 'red')")
            assert database.row("PRAGMA synchronous") == (synchronous,)
        database.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, DiskFull),
        (sqlite3.SQLITE_IOERR_FSYNC, DiskFailed),
        (sqlite3.SQLITE_CORRUPT, CatalogDamaged),
        (sqlite3.SQLITE_NOTADB, CatalogDamaged),
        (None, CatalogDamaged),
    ],
)
def test_what_sqlite_says_is_told_as_what_to_do(code: int | None, expected: type[Exception]) -> None:
    error = sqlite3.DatabaseError("what it says")
    if code is not None:
        error.sqlite_errorcode = code
    with pytest.raises(expected), telling_damage("/store/catalog.sqlite", CATALOG_SCHEMA):
        raise error


@pytest.mark.parametrize("mistake", [sqlite3.ProgrammingError, sqlite3.IntegrityError])
def test_our_own_mistakes_are_not_told_as_damage(mistake: type[sqlite3.Error]) -> None:
    with pytest.raises(mistake), telling_damage("/store/catalog.sqlite", CATALOG_SCHEMA):
        raise mistake


def test_a_database_is_made_whole_or_not_at_all() -> None:
    """Wherever the power goes while it is made: the next start makes it, or finds it made."""
    crashes = 0
    while True:
        disk = MemoryDisk()
        disk.make_directory("/store")
        disk.lose_power_at(crashes + 1)
        try:
            create_database(disk, "/store/catalog.sqlite", CATALOG_SCHEMA)
        except PowerLost:
            crashes += 1
            disk.crash()
            if not disk.exists("/store/catalog.sqlite"):
                create_database(disk, "/store/catalog.sqlite", CATALOG_SCHEMA)
            check(disk, "/store/catalog.sqlite", CATALOG_SCHEMA)
        else:
            break
    assert crashes > 2
    disk.crash()
    assert disk.exists("/store/catalog.sqlite")
