"""Many chunks are looked up by one statement, in the index and in the catalog alike."""

from __future__ import annotations

import pytest

from storage.catalog_rows import SELECT_HOLDERS, SELECT_SOME_HOLDERS
from storage.database import Database
from storage.interfaces import HomeChunk
from storage.lookup import LOOKED_UP, look_up
from storage.slot_rows import SELECT_ANY, SELECT_SHOWN, SELECT_SOME, SELECT_SOME_SHOWN
from tests.storage.examples import (
    CAPACITY,
    a_chunk,
    a_fingerprint,
    chunk_id,
    file_id,
    open_catalog,
    open_slot_store,
    peers,
)
from tests.support.disk import MemoryDisk

ROOT = "/store"
RECORDED = 3 * LOOKED_UP


@pytest.fixture
def index() -> Database:
    store = open_slot_store(MemoryDisk(), ROOT)
    store.set_capacity(CAPACITY)
    store.put([a_chunk(chunk_no=no) for no in range(RECORDED)])
    return store._index


@pytest.fixture
def catalog() -> Database:
    catalog = open_catalog(MemoryDisk(), ROOT)
    version = catalog.begin_version("/photo.jpg", file_id("photo"), b"salt", 2, a_fingerprint())
    catalog.record_chunks(version.version_id, [HomeChunk(no, None, peers(1)) for no in range(RECORDED)])
    return catalog._database


STATEMENTS = [
    ("index", SELECT_ANY, SELECT_SOME),
    ("index", SELECT_SHOWN, SELECT_SOME_SHOWN),
    ("catalog", SELECT_HOLDERS, SELECT_SOME_HOLDERS),
]


@pytest.fixture(params=STATEMENTS, ids=["any", "shown", "holders"])
def looked_up(request: pytest.FixtureRequest) -> tuple[Database, str, str]:
    """A database with chunks in it, and its two statements."""
    database, one, some = request.param
    return request.getfixturevalue(database), one, some


@pytest.mark.parametrize("count", [0, 1, LOOKED_UP // 4 - 1, LOOKED_UP // 4, LOOKED_UP, 2 * LOOKED_UP + 1])
def test_of_all_that_are_asked_for_those_are_found_that_are_there(
    looked_up: tuple[Database, str, str], count: int
) -> None:
    database, one, some = looked_up
    there = [chunk_id("photo", no) for no in range(count)]
    asked = [chunk_id(name, no) for no in range(count) for name in ("other", "photo")]
    rows = look_up(database, asked, one=one, some=some)
    assert sorted({(row[0], row[1]) for row in rows}) == sorted(there)


def test_one_statement_is_made_for_many(looked_up: tuple[Database, str, str]) -> None:
    database, one, some = looked_up
    made: list[str] = []
    database._connection.set_trace_callback(made.append)
    look_up(database, [chunk_id("photo", no) for no in range(LOOKED_UP)], one=one, some=some)
    assert len(made) == 1


@pytest.mark.parametrize(
    ("name", "statement", "key"),
    [
        ("index", SELECT_SOME, "file_id"),
        ("index", SELECT_SOME_SHOWN, "file_id"),
        ("catalog", SELECT_SOME_HOLDERS, "version_id"),
    ],
)
def test_looking_up_many_is_no_walk_through_all(
    request: pytest.FixtureRequest, name: str, statement: str, key: str
) -> None:
    """Neither through all chunks nor through all of a file."""
    database: Database = request.getfixturevalue(name)
    parameters = chunk_id("photo") * LOOKED_UP
    plan = [row[3] for row in database.rows(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert f"SEARCH chunks USING PRIMARY KEY ({key}=? AND chunk_no=?)" in plan
    assert not any(step.startswith(("SCAN chunks", "SCAN versions")) for step in plan)
