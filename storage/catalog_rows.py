"""Versions of our own files and their chunks as rows of the catalog (``schema/catalog.sql``)."""

from __future__ import annotations

import os
from typing import Final

from attrs import astuple

from protocol.chunking import chunk_count
from protocol.digest import Digest
from protocol.values import FileId
from storage.database import Row
from storage.holders import pack_holders, unpack_holders
from storage.interfaces import FileVersion, Fingerprint, HomeChunk, VersionState
from storage.lookup import WANTED

SELECT_VERSIONS: Final = (
    "SELECT version_id, path, file_id, desired, size, fingerprint, state, degree_met, salt FROM versions"
)
OLDER_OF_PATH: Final = """
    WHERE path = (SELECT path FROM versions WHERE version_id = ?1) AND version_id < ?1 ORDER BY version_id DESC
"""
INSERT_VERSION: Final = """
    INSERT INTO versions (path, file_id, desired, size, fingerprint, state, degree_met, salt)
    VALUES (?, ?, ?, ?, ?, ?, 0, ?)
"""
RECORD_CHUNK: Final = """
    INSERT INTO chunks (version_id, chunk_no, algorithm, digest, holders) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (version_id, chunk_no) DO UPDATE SET
        algorithm = coalesce(excluded.algorithm, algorithm),
        digest = coalesce(excluded.digest, digest),
        holders = excluded.holders
"""
SELECT_CHUNKS: Final = """
    SELECT chunk_no, algorithm, digest, holders FROM chunks
    WHERE version_id = ? AND chunk_no >= ? ORDER BY chunk_no LIMIT ?
"""
SELECT_EVERY_CHUNK: Final = "SELECT chunk_no, algorithm, digest, holders FROM chunks"
_HOLDERS = "versions.file_id, chunks.chunk_no, versions.version_id, versions.desired, chunks.holders"
SELECT_HOLDERS: Final = f"""
    SELECT {_HOLDERS} FROM versions JOIN chunks ON chunks.version_id = versions.version_id
    WHERE versions.file_id = ? AND chunks.chunk_no = ?
"""
SELECT_SOME_HOLDERS: Final = f"""
    {WANTED}
    SELECT {_HOLDERS} FROM wanted CROSS JOIN versions ON versions.file_id = wanted_file
    CROSS JOIN chunks ON chunks.version_id = versions.version_id AND chunks.chunk_no = wanted_no
"""
UPDATE_HOLDERS: Final = "UPDATE chunks SET holders = ? WHERE version_id = ? AND chunk_no = ?"
BURY: Final = """
    INSERT INTO dead (file_id, buried_at, is_announced)
    SELECT file_id, ?, 0 FROM versions WHERE version_id = ?
"""


def file_version(row: Row) -> FileVersion:
    """The version of a row that SELECT_VERSIONS gives. ValueError, TypeError: no version is like that."""
    version_id, path, file_id, desired, size, fingerprint, state, degree_met, salt = row
    return FileVersion(
        version_id,
        os.fsdecode(path),
        FileId(file_id),
        desired,
        size,
        chunk_count(size),
        Fingerprint(*map(int, fingerprint.split(" "))),
        VersionState(state),
        bool(degree_met),
        salt,
    )


def fingerprint_text(fingerprint: Fingerprint) -> str:
    """The column ``fingerprint``."""
    return " ".join(map(str, astuple(fingerprint)))


def home_chunk(row: Row) -> HomeChunk:
    """The chunk of a row that SELECT_CHUNKS gives. ValueError, TypeError: no chunk is like that."""
    chunk_no, algorithm, digest, holders = row
    kept = None if algorithm is None else Digest(algorithm, digest)
    return HomeChunk(chunk_no, kept, unpack_holders(holders))


def chunk_row(version_id: int, chunk: HomeChunk) -> Row:
    """What RECORD_CHUNK takes."""
    digest = chunk.digest
    kept = (None, None) if digest is None else (digest.algorithm, digest.value)
    return (version_id, chunk.chunk_no, *kept, pack_holders(chunk.holders))
