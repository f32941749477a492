"""The chunks that this peer can send: copies that it holds, and chunks of its own files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from attrs import frozen

from peer.blocking import Lane
from peer.errors import CopyLost
from peer.home import Home
from protocol.values import Body, ChunkId, PeerId
from storage.interfaces import IChunkStore


@frozen(kw_only=True, eq=False)
class KnownChunk:
    """A chunk, what is known of it, and how to read it."""

    chunk_id: ChunkId
    desired: int
    holders: frozenset[PeerId]
    read: Callable[[], Awaitable[Body]]
    is_ours: bool
    """Of this peer's own file: read from the original, and not held."""


class KnownChunks:
    """Looks chunks up among the copies held and among this peer's own files."""

    def __init__(
        self,
        *,
        home: Home,
        store: IChunkStore,
        store_lane: Lane,
        read_lane: Lane,
        drop_damaged: Callable[[ChunkId], None],
    ) -> None:
        self._home = home
        self._store = store
        self._store_lane = store_lane
        self._read_lane = read_lane
        self._drop_damaged = drop_damaged

    async def find(self, chunk_id: ChunkId) -> KnownChunk | None:
        """The chunk; None if this peer neither holds it nor has the file that it is of."""
        if self._home.is_ours(chunk_id.file_id):
            return await self._find_ours(chunk_id)
        held = await self._store_lane.submit(self._store.describe, chunk_id)
        if held is None:
            return None
        return KnownChunk(
            chunk_id=chunk_id,
            desired=held.desired,
            holders=held.holders,
            read=partial(self._read_copy, chunk_id),
            is_ours=False,
        )

    async def is_copy_good(self, chunk_id: ChunkId) -> bool:
        """Whether a copy of the chunk is held whose bytes are what they were; a damaged one is dropped."""
        try:
            await self._read_copy(chunk_id)
        except CopyLost:
            return False
        # It may be gone since: what the store says in its turn is true until it is told of another deletion.
        return await self._store_lane.submit(self._store.describe, chunk_id) is not None

    async def _find_ours(self, chunk_id: ChunkId) -> KnownChunk | None:
        found = await self._home.find(chunk_id)
        if found is None:
            return None
        version, chunk = found
        if chunk.digest is None:
            return None
        return KnownChunk(
            chunk_id=chunk_id,
            desired=version.desired,
            holders=chunk.holders,
            read=partial(self._home.read_again, version, chunk_id.chunk_no, chunk.digest),
            is_ours=True,
        )

    async def _read_copy(self, chunk_id: ChunkId) -> Body:
        outcome = await self._read_lane.submit(self._store.get, chunk_id)
        if outcome.is_damaged:
            self._drop_damaged(chunk_id)
        if outcome.body is None:
            raise CopyLost(f"the copy of {chunk_id} is gone")
        body: Body = outcome.body
        return body
