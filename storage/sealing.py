"""The seals of a closed store: digests of its databases, which have no checksums of their own (SPEC.md 9.23).

They are there only while nobody uses the store, and only if it was closed in order. So a database that isn't
what its seal says was changed by the disk, or by hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256

from storage.disk import IDisk
from storage.layout import Layout

_STEP = 4_000_000


def seal(disk: IDisk, layout: Layout) -> None:
    """Seal the databases of a store that was closed. Never raises: an unsealed store is as good."""
    with suppress(OSError):
        if any(disk.exists(path + "-wal") for path in (layout.catalog, layout.index)):
            return
        unfinished = layout.seals + ".new"
        file = disk.open(unfinished, create=True)
        try:
            file.truncate(0)
            file.write_at(
                0, "".join(f"{digest}  {name}\n" for name, digest in _digests(disk, layout)).encode()
            )
            file.sync()
        finally:
            file.close()
        disk.rename(unfinished, layout.seals)
        disk.sync_directory(layout.root)


def break_seals(disk: IDisk, layout: Layout) -> None:
    """The databases are about to change. Durable on return. Raises OSError."""
    if disk.exists(layout.seals):
        disk.remove(layout.seals)
        disk.sync_directory(layout.root)


def broken_seals(disk: IDisk, layout: Layout) -> list[str] | None:
    """The databases that aren't what their seals say; None: the store isn't sealed. Raises OSError."""
    try:
        file = disk.open(layout.seals, writable=False)
    except FileNotFoundError:
        return None
    try:
        content = file.read_at(0, file.size())
    finally:
        file.close()
    now = {f"{digest}  {name}".encode(): name for name, digest in _digests(disk, layout)}
    kept = content.split(b"\n")
    if kept[-1:] != [b""] or len(kept) != len(now) + 1:
        return [os.path.basename(layout.seals)]
    return [name for line, name in now.items() if line not in kept]


def are_intact(disk: IDisk, layout: Layout) -> bool:
    """Whether the store is sealed and every database is what its seal says."""
    try:
        return broken_seals(disk, layout) == []
    except OSError:
        return False


def _digests(disk: IDisk, layout: Layout) -> Iterator[tuple[str, str]]:
    for path in (layout.catalog, layout.index):
        digest = sha256()
        file = disk.open(path, writable=False)
        try:
            offset = 0
            while part := file.read_at(offset, _STEP):
                digest.update(part)
                offset += len(part)
        finally:
            file.close()
        yield os.path.basename(path), f"sha256:{digest.hexdigest()}"
