"""Fills the store of a peer that doesn't run, with many small chunks of somebody's files."""

import sys
from random import SystemRandom

from peer.blocking import MAX_BATCH_ITEMS
from peer.config import PeerConfig
from peer.service import open_store
from protocol.values import ChunkId, FileId, PeerId
from storage.interfaces import ChunkToStore, PutOutcome
from tests.bench.workers.talk import tell, wait_to_be_told

_CHUNKS_OF_A_FILE = 10_000
_STRANGER = PeerId(2**31 - 1)


def main() -> None:
    """Fill it once told to; `<store> <peer id> <capacity> <chunks>`."""
    root, peer_id, capacity, chunks = sys.argv[1:]
    random = SystemRandom()
    config = PeerConfig(store=root, peer_id=PeerId(int(peer_id)), capacity_bytes=int(capacity))
    storage = open_store(config, random=random)
    holders = frozenset({storage.peer_id, _STRANGER})
    wait_to_be_told()
    numbers = range(int(chunks))
    file_ids = [FileId(random.randbytes(32)) for _ in numbers[::_CHUNKS_OF_A_FILE]]
    for first in numbers[::MAX_BATCH_ITEMS]:
        batch = [
            ChunkToStore(
                ChunkId(file_ids[number // _CHUNKS_OF_A_FILE], number % _CHUNKS_OF_A_FILE),
                2,
                random.randbytes(100),
                holders,
            )
            for number in numbers[first : first + MAX_BATCH_ITEMS]
        ]
        outcomes = storage.store.put(batch)
        if set(outcomes) != {PutOutcome.STORED}:
            sys.exit(f"the store refuses: {outcomes[0].value}")
    storage.close()
    tell(chunks=len(numbers))


if __name__ == "__main__":
    main()
