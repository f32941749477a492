"""Looking up many chunks of a database with one statement."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final

from protocol.values import ChunkId
from storage.database import Database, Row

LOOKED_UP: Final = 64
"""Ids that a statement takes: a look-up among so many costs a sixth to a half of one alone."""

WANTED: Final = f"WITH wanted (wanted_file, wanted_no) AS (VALUES {', '.join(['(?, ?)'] * LOOKED_UP)})"
"""What such a statement begins with. It joins tables to this by CROSS JOIN: SQLite then begins with the ids, and never
with a walk through a table."""


def look_up(database: Database, chunk_ids: Sequence[ChunkId], *, one: str, some: str) -> list[Row]:
    """The rows of those chunks that have one, in no order; a row may come twice.

    ``some`` is a statement that begins with WANTED, ``one`` what does the same for the id of one chunk.
    """
    rows: list[Row] = []
    if len(chunk_ids) < LOOKED_UP // 4:
        for chunk_id in chunk_ids:
            rows += database.rows(one, chunk_id)
        return rows
    for first in range(0, len(chunk_ids), LOOKED_UP):
        wanted = list(chunk_ids[first : first + LOOKED_UP])
        wanted += wanted[:1] * (LOOKED_UP - len(wanted))
        rows += database.rows(some, tuple(chain.from_iterable(wanted)))
    return rows
