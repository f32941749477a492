"""Opening a store: the lock, the refusals, whose it is, what a crash has left, and its capacity."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from errno import EDQUOT, ENOSPC
from typing import Final

from attrs import define

from protocol.values import PeerId
from storage.capacity import new_capacity, option_text
from storage.catalog import CATALOG_SCHEMA, SqliteCatalog
from storage.database import (
    Database,
    check_content,
    check_header,
    check_unmade,
    create_database,
    unchanged_database,
)
from storage.disk import IDisk, ILock
from storage.errors import CatalogDamaged, DiskFull, IndexDamaged, StoreIdentity, StoreUnusable
from storage.interfaces import ICatalog, IChunkStore
from storage.layout import Layout
from storage.locking import lock_store
from storage.restored import remove_stale
from storage.sealing import are_intact, break_seals, seal
from storage.segments import segment_numbers
from storage.slot_rows import INDEX_SCHEMA
from storage.slot_space import check_segments
from storage.slot_store import DigestAll, SlotChunkStore, digest_in_turn

PEER_ID_SETTING: Final = "peer id"
CAPACITY_OPTION_SETTING: Final = "capacity option"


@define(eq=False)
class OpenStorage:
    """A store that is ours until it is closed."""

    peer_id: PeerId
    store: IChunkStore
    catalog: ICatalog
    restored_folder: str
    """Where restored files go; it exists."""
    _lock: ILock
    _seal: Callable[[], None]

    def close(self) -> None:
        """Let go of everything, the lock last."""
        with ExitStack() as closing:
            closing.callback(self._lock.release)
            closing.callback(self._seal)
            closing.callback(self.catalog.close)
            closing.callback(self.store.close)


def open_storage(
    disk: IDisk,
    root: str,
    *,
    peer_id: PeerId | None,
    draw_peer_id: Callable[[], PeerId],
    capacity_bytes: int | None,
    digest_all: DigestAll = digest_in_turn,
) -> OpenStorage:
    """Open the store in the folder ``root``, made if it isn't there.

    ``peer_id``: who is to be its owner; None: whoever is already, or the one that ``draw_peer_id`` draws.
    ``capacity_bytes``: the capacity option; None: "auto", a share of the free disk (see ``new_capacity``).
    ``digest_all``: makes the digests of what is to be stored.

    Raises StoreUnusable, StoreLocked, StoreIdentity, StoreNewer, CatalogDamaged, CapacityTooLarge, DiskFull,
    DiskFailed. A store that is refused stays as it is.
    """
    layout = Layout(os.path.abspath(root))
    try:
        if not disk.exists(layout.catalog):
            _decide_capacity(disk, layout.root, capacity_bytes, option_before=None, used_bytes=0)
            disk.make_directory(layout.root)
        with ExitStack() as opened:
            lock = lock_store(disk, layout)
            opened.callback(lock.release)
            _check(disk, layout)
            break_seals(disk, layout)
            opened.callback(seal, disk, layout)
            catalog = _open_catalog(disk, layout)
            opened.callback(catalog.close)
            owner = _owner(disk, layout, catalog, peer_id, draw_peer_id)
            store = _open_store(disk, layout, catalog, digest_all)
            opened.callback(store.close)
            _set_capacity(disk, layout, catalog, store, capacity_bytes)
            disk.make_directory(layout.restored)
            remove_stale(disk, layout.restored)
            opened.pop_all()
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise DiskFull(layout.root) from error
        raise StoreUnusable(layout.root, error) from error
    return OpenStorage(owner, store, catalog, layout.restored, lock, lambda: seal(disk, layout))


def _check(disk: IDisk, layout: Layout) -> None:
    """All that may be refused, before anything is changed."""
    databases = {layout.catalog: CATALOG_SCHEMA, layout.index: INDEX_SCHEMA}
    present = {path: schema for path, schema in databases.items() if disk.exists(path)}
    # The cheap look at both first: a newer version is to be told from damage.
    for path, schema in present.items():
        check_header(disk, path, schema)
    if not are_intact(disk, layout):
        for path, schema in present.items():
            check_content(disk, path, schema)
        if len(present) == len(databases):
            # SQLite passes over a journal whose beginning is damaged, and removes it when it is done.
            with unchanged_database(disk, layout.catalog, CATALOG_SCHEMA) as catalog:
                kept_owner(layout, catalog)
    # One that is missing at the first start is made. Later it would be taken for an empty one: the peer would
    # have another id, or know no chunk any more.
    for path, schema in databases.items():
        if path not in present:
            check_unmade(disk, path, schema)
    segments = segment_numbers(disk, layout.chunks) if disk.exists(layout.chunks) else []
    if layout.catalog not in present and (layout.index in present or segments):
        raise CatalogDamaged(layout.catalog, "it is gone")
    if layout.index not in present and segments:
        raise IndexDamaged(layout.index, "it is gone")
    if layout.index in present:
        check_segments(disk, layout, segments)


def _open_catalog(disk: IDisk, layout: Layout) -> SqliteCatalog:
    if not disk.exists(layout.catalog):
        create_database(disk, layout.catalog, CATALOG_SCHEMA)
    return SqliteCatalog.open(disk=disk, layout=layout)


def _open_store(disk: IDisk, layout: Layout, catalog: ICatalog, digest_all: DigestAll) -> SlotChunkStore:
    if not disk.exists(layout.index):
        # A new one has no capacity: whatever the option was before, it is obeyed again.
        catalog.set_setting(CAPACITY_OPTION_SETTING, "")
        create_database(disk, layout.index, INDEX_SCHEMA)
    return SlotChunkStore.open(disk=disk, layout=layout, digest_all=digest_all)


def _owner(
    disk: IDisk,
    layout: Layout,
    catalog: ICatalog,
    asked: PeerId | None,
    draw_peer_id: Callable[[], PeerId],
) -> PeerId:
    # The index is made after the id was kept: where there is one, an id that is missing was lost.
    if catalog.setting(PEER_ID_SETTING) is None and not disk.exists(layout.index):
        owner = draw_peer_id() if asked is None else asked
        catalog.set_setting(PEER_ID_SETTING, str(owner))
        return owner
    owner = kept_owner(layout, catalog)
    if asked is not None and asked != owner:
        raise StoreIdentity(layout.root, owner=owner, asked=asked)
    return owner


def kept_owner(layout: Layout, catalog: ICatalog | Database) -> PeerId:
    """Whose a store is that was opened before. Raises CatalogDamaged."""
    kept = catalog.setting(PEER_ID_SETTING)
    if kept is None or not kept.isdecimal():
        raise CatalogDamaged(layout.catalog, "it has no id of a peer")
    return PeerId(int(kept))


def _set_capacity(
    disk: IDisk, layout: Layout, catalog: ICatalog, store: IChunkStore, option_bytes: int | None
) -> None:
    capacity_bytes = _decide_capacity(
        disk,
        layout.root,
        option_bytes,
        option_before=catalog.setting(CAPACITY_OPTION_SETTING),
        used_bytes=store.usage().used_bytes,
    )
    if capacity_bytes is not None:
        # In this order: what a crash between the two leaves undone is done at the next start.
        store.set_capacity(capacity_bytes)
        catalog.set_setting(CAPACITY_OPTION_SETTING, option_text(option_bytes))


def _decide_capacity(
    disk: IDisk, root: str, option_bytes: int | None, *, option_before: str | None, used_bytes: int
) -> int | None:
    existing = root
    while not disk.exists(existing):
        existing = os.path.dirname(existing)
    return new_capacity(
        option_bytes=option_bytes,
        option_before=option_before,
        used_bytes=used_bytes,
        free_bytes=disk.free_bytes(existing),
    )
