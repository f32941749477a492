"""The bytes that are written, by stores and by the plain program alike."""

from collections.abc import Iterator
from random import Random
from typing import Final

from peer.blocking import MAX_BATCH_ITEMS
from protocol.values import CHUNK_SIZE, ChunkId, FileId, PeerId
from storage.interfaces import ChunkToStore

POOL_BODIES: Final = 1_000
"""Different full bodies, 64 MB: more than any cache of a processor holds. They are written in turn."""

SMALL_BYTES: Final = 100
HOLDERS: Final = frozenset({PeerId(1), PeerId(2**31 - 1)})


def full_bodies() -> list[bytes]:
    """The full bodies, of bytes that can't be compressed."""
    random = Random(1)
    return [random.randbytes(CHUNK_SIZE) for _ in range(POOL_BODIES)]


def full_batches(file_id: FileId, count: int) -> list[list[ChunkToStore]]:
    """So many full chunks of one file, in batches as large as a peer's."""
    bodies = full_bodies()
    return [
        [
            ChunkToStore(ChunkId(file_id, number), 2, bodies[number % POOL_BODIES], HOLDERS)
            for number in range(first, min(first + MAX_BATCH_ITEMS, count))
        ]
        for first in range(0, count, MAX_BATCH_ITEMS)
    ]


def small_batches(file_id: FileId, numbers: range) -> Iterator[list[ChunkToStore]]:
    """Small chunks of one file with these numbers, in batches as large as a peer's; the same each time."""
    for first in range(0, len(numbers), MAX_BATCH_ITEMS):
        yield [
            ChunkToStore(ChunkId(file_id, number), 2, number.to_bytes(4, "big") * (SMALL_BYTES // 4), HOLDERS)
            for number in numbers[first : first + MAX_BATCH_ITEMS]
        ]
