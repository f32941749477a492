"""What the peer is and has, page by page (SPEC.md section 7)."""

from __future__ import annotations

import re

from peer.blocking import Lane
from peer.control.interfaces import MAX_PAGE_ENTRIES, ChunkState, FileState, StatePage, StateSummary
from peer.errors import ErrorCode, OperationError
from protocol.values import MAX_CHUNKS, ChunkId, FileId, PeerId, Version
from storage.capacity import require_fits
from storage.interfaces import FileVersion, ICatalog, IChunkStore, VersionState

KBYTE = 1000
"""Bytes in the KByte of RECLAIM and STATE (SPEC.md section 7)."""

_CURSOR = re.compile(r"(?P<entry>f:[0-9]{1,18}|c:(?:[0-9a-f]{64})?):(?P<no>[0-9]{1,7})")
"""See PeerState. The numbers have no more digits than SQLite takes."""


class PeerState:
    """Reads the state from the catalog and the store; a million chunks never stand in memory at once.

    A cursor is ``f:<version id>:<chunk no>`` or ``c:<file id>:<chunk no>``: the next entry's place.
    """

    def __init__(
        self,
        *,
        peer_id: PeerId,
        version: Version,
        store: IChunkStore,
        store_lane: Lane,
        catalog: ICatalog,
        catalog_lane: Lane,
    ) -> None:
        self._peer_id = peer_id
        self._version = version
        self._store = store
        self._store_lane = store_lane
        self._catalog = catalog
        self._catalog_lane = catalog_lane

    async def summary(self) -> StateSummary:
        """The state in numbers."""
        usage = await self._store_lane.run(self._store.usage)
        file_ids = await self._catalog_lane.run(self._catalog.home_file_ids)
        return StateSummary(
            peer=self._peer_id,
            version=str(self._version),
            capacity_kbytes=usage.capacity_bytes // KBYTE,
            used_kbytes=usage.used_bytes // KBYTE,
            files=len(file_ids),
            chunks=usage.chunks,
        )

    async def check_capacity(self, capacity_bytes: int) -> None:
        """CapacityTooLarge if the disk couldn't hold so much."""
        usage = await self._store_lane.run(self._store.usage)
        require_fits(capacity_bytes, used_bytes=usage.used_bytes, free_bytes=usage.disk_free_bytes)

    async def page(self, cursor: str) -> StatePage:
        """The entries from the cursor on; OperationError for a cursor that was never given."""
        kind, place, chunk_no = _read_cursor(cursor)
        if kind == "f":
            return await self._files_page(int(place), chunk_no)
        after = ChunkId(FileId.from_hex(place), chunk_no) if place else None
        return await self._chunks_page(after)

    async def _files_page(self, version_id: int, first_no: int) -> StatePage:
        files: list[FileState] = []
        left = MAX_PAGE_ENTRIES
        while left > 1:
            # The cursor names the version to go on with; page_versions wants the one before it.
            versions = await self._catalog_lane.run(self._catalog.page_versions, version_id - 1, 1)
            if not versions:
                return StatePage(files=tuple(files), chunks=(), cursor="c::0")
            version: FileVersion = versions[0]
            if version.version_id != version_id:
                first_no = 0
            limit = left - 1
            known = await self._catalog_lane.run(self._catalog.chunks, version.version_id, first_no, limit)
            degrees = tuple((chunk.chunk_no, len(chunk.holders)) for chunk in known)
            files.append(
                FileState(
                    path=version.path,
                    file_id=version.file_id.hex(),
                    desired=version.desired,
                    chunk_count=version.chunk_count,
                    is_complete=version.state is VersionState.COMPLETE,
                    chunks=degrees,
                )
            )
            if len(known) == limit:
                version_id, first_no = version.version_id, known[-1].chunk_no + 1
                break
            left -= 1 + len(known)
            version_id, first_no = version.version_id + 1, 0
        return StatePage(files=tuple(files), chunks=(), cursor=f"f:{version_id}:{first_no}")

    async def _chunks_page(self, after: ChunkId | None) -> StatePage:
        page = await self._store_lane.run(self._store.page, after, MAX_PAGE_ENTRIES)
        chunks = tuple(
            ChunkState(
                file_id=held.chunk_id.file_id.hex(),
                no=held.chunk_id.chunk_no,
                length=held.length,
                desired=held.desired,
                perceived=held.perceived,
            )
            for held in page
        )
        cursor = ""
        if len(page) == MAX_PAGE_ENTRIES:
            last = page[-1].chunk_id
            cursor = f"c:{last.file_id.hex()}:{last.chunk_no}"
        return StatePage(files=(), chunks=chunks, cursor=cursor)


def _read_cursor(cursor: str) -> tuple[str, str, int]:
    if not cursor:
        return "f", "1", 0
    given = _CURSOR.fullmatch(cursor)
    if given is None or int(given["no"]) > MAX_CHUNKS:
        raise OperationError(
            ErrorCode.USAGE, f"{cursor[:80]!r} is no cursor of this peer's state: begin with an empty one."
        )
    kind, place = given["entry"].split(":")
    return kind, place, int(given["no"])
