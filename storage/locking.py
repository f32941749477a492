"""The lock of a store: one process uses it at a time (SPEC.md 9.4)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from storage.disk import IDisk, ILock
from storage.errors import StoreLocked, StoreMissing, StoreUnusable
from storage.layout import Layout


def lock_store(disk: IDisk, layout: Layout) -> ILock:
    """Lock a store, whose folder exists. Raises StoreLocked, OSError."""
    try:
        return disk.lock(layout.lock)
    except BlockingIOError as error:
        raise StoreLocked(layout.root) from error


@contextmanager
def stopped_store(disk: IDisk, root: str) -> Iterator[Layout]:
    """A store that no peer uses, and none may use in the block.

    Raises StoreMissing, StoreLocked, StoreUnusable.
    """
    layout = Layout(os.path.abspath(root))
    if not any(disk.exists(path) for path in (layout.catalog, layout.index, layout.chunks)):
        raise StoreMissing(layout.root)
    try:
        lock = lock_store(disk, layout)
    except OSError as error:
        raise StoreUnusable(layout.root, error) from error
    try:
        yield layout
    finally:
        lock.release()
