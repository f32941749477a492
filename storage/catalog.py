"""The catalog on SQLite; its tables are in ``schema/catalog.sql``."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from attrs import define
from zope.interface import implementer

from protocol.values import ChunkId, FileId, PeerId
from storage.catalog_rows import (
    BURY,
    INSERT_VERSION,
    OLDER_OF_PATH,
    RECORD_CHUNK,
    SELECT_CHUNKS,
    SELECT_HOLDERS,
    SELECT_SOME_HOLDERS,
    SELECT_VERSIONS,
    UPDATE_HOLDERS,
    chunk_row,
    file_version,
    fingerprint_text,
    home_chunk,
)
from storage.database import Database, Row, Schema, open_database
from storage.disk import IDisk
from storage.errors import CatalogDamaged
from storage.holders import pack_holders, unpack_holders, with_note
from storage.interfaces import (
    DeadFile,
    FileVersion,
    Fingerprint,
    HolderChange,
    HolderNote,
    HomeChunk,
    ICatalog,
    VersionState,
)
from storage.layout import Layout
from storage.lookup import look_up

CATALOG_SCHEMA: Final = Schema("catalog", application_id=0x6270_6361, version=2)


@implementer(ICatalog)
@define(eq=False)
class SqliteCatalog:
    """See ICatalog. Made by ``SqliteCatalog.open``."""

    _database: Database

    @classmethod
    def open(cls, *, disk: IDisk, layout: Layout) -> SqliteCatalog:
        """Open a checked catalog. Raises StorageError."""
        return cls(open_database(disk, layout.catalog, CATALOG_SCHEMA))

    def together(self) -> AbstractContextManager[None]:
        """See ICatalog."""
        return self._database.together()

    def setting(self, name: str) -> str | None:
        """See ICatalog."""
        return self._database.setting(name)

    def set_setting(self, name: str, value: str) -> None:
        """See ICatalog."""
        self._database.set_setting(name, value)

    def begin_version(
        self, path: str, file_id: FileId, salt: bytes, desired: int, fingerprint: Fingerprint
    ) -> FileVersion:
        """See ICatalog."""
        row = (
            os.fsencode(path),
            file_id,
            desired,
            fingerprint.size,
            fingerprint_text(fingerprint),
            VersionState.UNDER_WAY.value,
            salt,
        )
        with self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM dead WHERE file_id = ?", (file_id,)).fetchone():
                raise ValueError(f"the fileId {file_id} is dead")
            try:
                version_id = connection.execute(INSERT_VERSION, row).lastrowid
            except sqlite3.IntegrityError as error:
                raise ValueError(
                    f"the fileId {file_id} is in use, or a value is out of range: {error}"
                ) from error
        return self._one("WHERE version_id = ?", (version_id,))

    def record_chunks(self, version_id: int, chunks: Sequence[HomeChunk]) -> None:
        """See ICatalog."""
        with self._changing(version_id) as connection:
            connection.executemany(RECORD_CHUNK, [chunk_row(version_id, chunk) for chunk in chunks])

    def finish_version(self, version_id: int, *, degree_met: bool) -> list[FileVersion]:
        """See ICatalog."""
        self._set_state(version_id, VersionState.COMPLETE, degree_met=degree_met)
        return self._all(OLDER_OF_PATH, (version_id,)) if degree_met else []

    def reopen_version(self, version_id: int) -> None:
        """See ICatalog."""
        self._set_state(version_id, VersionState.UNDER_WAY, degree_met=False)

    def set_desired(self, version_id: int, desired: int) -> None:
        """See ICatalog."""
        with self._changing(version_id) as connection:
            connection.execute(
                "UPDATE versions SET desired = ?1, degree_met = degree_met AND ?1 <= desired WHERE version_id = ?2",
                (desired, version_id),
            )

    def set_fingerprint(self, version_id: int, fingerprint: Fingerprint) -> None:
        """See ICatalog."""
        with self._changing(version_id) as connection:
            connection.execute(
                "UPDATE versions SET fingerprint = ?, size = ? WHERE version_id = ?",
                (fingerprint_text(fingerprint), fingerprint.size, version_id),
            )

    def versions(self, path: str) -> list[FileVersion]:
        """See ICatalog."""
        return self._all("WHERE path = ? ORDER BY version_id DESC", (os.fsencode(path),))

    def version_of(self, file_id: FileId) -> FileVersion | None:
        """See ICatalog."""
        found = self._all("WHERE file_id = ?", (file_id,))
        return found[0] if found else None

    def unmet(self) -> list[FileVersion]:
        """See ICatalog."""
        return self._all("WHERE degree_met = 0 ORDER BY version_id")

    def page_versions(self, after_version_id: int, limit: int) -> list[FileVersion]:
        """See ICatalog."""
        return self._all("WHERE version_id > ? ORDER BY version_id LIMIT ?", (after_version_id, limit))

    def chunks(self, version_id: int, first_no: int, limit: int) -> list[HomeChunk]:
        """See ICatalog."""
        rows = self._database.rows(SELECT_CHUNKS, (version_id, first_no, limit))
        with self._reading_rows():
            return [home_chunk(row) for row in rows]

    def note_holders(self, notes: Sequence[HolderNote]) -> list[HolderChange | None]:
        """See ICatalog."""
        known = self._holders([note.chunk_id for note in notes])
        changed: dict[ChunkId, Row] = {}
        changes: list[HolderChange | None] = []
        for note in notes:
            row = known.get(note.chunk_id)
            if row is None:
                changes.append(None)
                continue
            version_id, desired, before = row
            holders = with_note(before, note.peer_id, holds=note.holds)
            if holders is not before:
                known[note.chunk_id] = (version_id, desired, holders)
                changed[note.chunk_id] = (pack_holders(holders), version_id, note.chunk_id.chunk_no)
            changes.append(HolderChange(note.chunk_id, holders is not before, len(holders), desired))
        if changed:
            with self._database.transaction(is_promise=False) as connection:
                connection.executemany(UPDATE_HOLDERS, changed.values())
        return changes

    def bury(self, version_ids: Collection[int], now: float) -> None:
        """See ICatalog."""
        with self._database.transaction() as connection:
            for version_id in version_ids:
                connection.execute(BURY, (now, version_id))
                connection.execute("DELETE FROM chunks WHERE version_id = ?", (version_id,))
                connection.execute("DELETE FROM versions WHERE version_id = ?", (version_id,))

    def dead(self) -> list[DeadFile]:
        """See ICatalog."""
        rows = self._database.rows(
            "SELECT file_id, buried_at, is_announced FROM dead ORDER BY buried_at, file_id"
        )
        with self._reading_rows():
            return [DeadFile(FileId(file_id), buried_at, bool(said)) for file_id, buried_at, said in rows]

    def set_announced(self, file_ids: Collection[FileId]) -> None:
        """See ICatalog."""
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE dead SET is_announced = 1 WHERE file_id = ?", [(file_id,) for file_id in file_ids]
            )

    def forget_dead(self, before: float) -> None:
        """See ICatalog."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM dead WHERE buried_at < ?", (before,))

    def home_file_ids(self) -> list[FileId]:
        """See ICatalog."""
        with self._reading_rows():
            return [
                FileId(row[0]) for row in self._database.rows("SELECT file_id FROM versions ORDER BY file_id")
            ]

    def close(self) -> None:
        """See ICatalog."""
        self._database.close()

    @contextmanager
    def _changing(self, version_id: int) -> Iterator[sqlite3.Connection]:
        with self._database.transaction() as connection:
            if not connection.execute(
                "SELECT 1 FROM versions WHERE version_id = ?", (version_id,)
            ).fetchone():
                raise KeyError(version_id)
            yield connection

    def _set_state(self, version_id: int, state: VersionState, *, degree_met: bool) -> None:
        with self._changing(version_id) as connection:
            connection.execute(
                "UPDATE versions SET state = ?, degree_met = ? WHERE version_id = ?",
                (state.value, degree_met, version_id),
            )

    def _one(self, clause: str, parameters: Row) -> FileVersion:
        return self._all(clause, parameters)[0]

    def _all(self, clause: str, parameters: Row = ()) -> list[FileVersion]:
        rows = self._database.rows(f"{SELECT_VERSIONS} {clause}", parameters)
        with self._reading_rows():
            return [file_version(row) for row in rows]

    def _holders(self, chunk_ids: Sequence[ChunkId]) -> dict[ChunkId, tuple[int, int, frozenset[PeerId]]]:
        """Version id, desired degree and holders of those chunks that are recorded."""
        rows = look_up(self._database, chunk_ids, one=SELECT_HOLDERS, some=SELECT_SOME_HOLDERS)
        with self._reading_rows():
            return {
                ChunkId(FileId(file_id), chunk_no): (version_id, desired, unpack_holders(holders))
                for file_id, chunk_no, version_id, desired, holders in rows
            }

    @contextmanager
    def _reading_rows(self) -> Iterator[None]:
        """What the file's structure doesn't show: a value that we can't have written."""
        try:
            yield
        except (TypeError, ValueError) as error:
            raise CatalogDamaged(self._database.path, str(error)) from error
