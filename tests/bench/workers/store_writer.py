"""Writes the chunks of a file into a store of its own, opened and called as a peer does, every batch synced."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom

from peer.blocking import MAX_BATCH_ITEMS
from peer.config import PeerConfig
from peer.digests import DigestsAhead, digest_thread
from peer.service import open_store
from protocol.chunking import chunk_count
from protocol.values import CHUNK_SIZE, ChunkId, FileId, PeerId
from storage.interfaces import ChunkToStore, PutOutcome
from tests.bench.workers.talk import tell, wait_to_be_told


def main() -> None:
    """Write everything once told to; `<store> <capacity> <file>`."""
    root, capacity, path = sys.argv[1:]
    random = SystemRandom()
    peer_id = PeerId(1)
    storage = open_store(
        PeerConfig(store=root, peer_id=peer_id, capacity_bytes=int(capacity)),
        random=random,
        digest_all=DigestsAhead(digest_thread()),
    )
    wait_to_be_told()
    started = time.monotonic()
    for batch in _batches(Path(path), FileId(random.randbytes(32)), frozenset({peer_id})):
        outcomes = storage.store.put(batch)
        if set(outcomes) != {PutOutcome.STORED}:
            sys.exit(f"the store refuses: {outcomes[0].value}")
    ended = time.monotonic()
    storage.close()
    tell(started=started, ended=ended)


def _batches(path: Path, file_id: FileId, holders: frozenset[PeerId]) -> Iterator[list[ChunkToStore]]:
    numbers = range(chunk_count(path.stat().st_size))
    with path.open("rb") as file:
        for first in numbers[::MAX_BATCH_ITEMS]:
            yield [
                ChunkToStore(ChunkId(file_id, number), 2, file.read(CHUNK_SIZE), holders)
                for number in numbers[first : first + MAX_BATCH_ITEMS]
            ]


if __name__ == "__main__":
    main()
