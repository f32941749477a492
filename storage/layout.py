"""The tree on disk: where everything of a store is (SPEC.md 9.7).

<store>/                    mode 0700; one peer's, for ever
    lock                    locked while a peer uses the store; empty
    catalog.sqlite          the peer's own files, its id and settings (schema/catalog.sql)
    index.sqlite            the chunks that it keeps for others (schema/index.sql)
    *.sqlite-wal, -shm      SQLite's journals of the two; part of them
    *.sqlite.new            one of the two being made, at the first start; a stale one is removed
    chunks/
        incoming/           bodies being written; whatever is there at a start is removed
        3f/                 the first byte of the fileId, in hex
            3f09…e1-17      the fileId in hex, and the chunk's number: the body, nothing else
    restored/               where RESTORE writes; the user's, but for stale temporaries
"""

from __future__ import annotations

import os
from typing import Final

from attrs import frozen

from protocol.values import ChunkId, FileId


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
        """The folder of the bodies."""
        return os.path.join(self.root, "chunks")

    @property
    def incoming(self) -> str:
        """The folder of the bodies that are being written."""
        return os.path.join(self.chunks, "incoming")

    @property
    def restored(self) -> str:
        """The folder that restored files are written to."""
        return os.path.join(self.root, "restored")


BODY_FOLDERS: Final = frozenset(f"{first:02x}" for first in range(256))
"""The names that ``body_folder`` gives."""


def body_folder(file_id: FileId) -> str:
    """The name of the folder in ``chunks`` that holds a file's bodies: one of BODY_FOLDERS."""
    return file_id[:1].hex()


def body_name(chunk_id: ChunkId) -> str:
    """The name of the file that holds a chunk's body."""
    return f"{chunk_id.file_id.hex()}-{chunk_id.chunk_no}"


def body_owner(name: str) -> ChunkId | None:
    """Whose body a file of that name holds; None: ``body_name`` gives no such name."""
    digits, _, number = name.partition("-")
    try:
        chunk_id = ChunkId(FileId.from_hex(digits), int(number))
    except ValueError:
        return None
    return chunk_id if body_name(chunk_id) == name else None
