"""The tree on disk: where everything of a store is (SPEC.md 9.7).

<store>/                    mode 0700; one peer's, for ever
    lock                    locked while a peer uses the store; empty
    catalog.sqlite          the peer's own files, its id and settings (schema/catalog.sql)
    index.sqlite            where the chunks are that it keeps for others (schema/index.sql)
    *.sqlite-wal, -shm      SQLite's journals of the two; part of them
    *.sqlite.new            one of the two being made, or copied; a stale one is removed
    *.sqlite.version-1      one of the two as it was before it was upgraded from version 1
    index.sqlite.rebuilt    the index being made anew; a stale one is removed
    index.sqlite.damaged    the index as it was before that
    seals                   digests of the two databases: only while the store is closed, and closed in order
    chunks/
        00000001.slots      segment 1: a large sparse file of 4,096 slots of 64 KiB (slot.py), one chunk each
    restored/               where RESTORE writes; the user's, but for stale temporaries
"""

from __future__ import annotations

import os

from attrs import frozen


@frozen
class Layout:
    """The paths of the store in the folder ``root``."""

    root: str

    @property
    def lock(self) -> str:
        """The file that is locked."""
        return os.path.join(self.root, "lock")

    @property
    def catalog(self) -> str:
        """The database of the peer's own files."""
        return os.path.join(self.root, "catalog.sqlite")

    @property
    def index(self) -> str:
        """The database of the chunks kept for others."""
        return os.path.join(self.root, "index.sqlite")

    @property
    def chunks(self) -> str:
        """The folder of the segment files."""
        return os.path.join(self.root, "chunks")

    @property
    def seals(self) -> str:
        """The digests of the databases of a closed store."""
        return os.path.join(self.root, "seals")

    @property
    def restored(self) -> str:
        """The folder that restored files are written to."""
        return os.path.join(self.root, "restored")
