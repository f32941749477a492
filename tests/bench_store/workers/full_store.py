"""A store of full chunks: written, read warm and cold at random, and deleted at random."""

import sys
import time
from random import Random, SystemRandom

from protocol.values import ChunkId, FileId
from storage.interfaces import IChunkStore, PutOutcome
from storage.slot import SLOT_BYTES
from tests.bench.workers.talk import tell, wait_to_be_told
from tests.bench_store.bodies import full_batches
from tests.bench_store.workers.opened import drop_from_memory, opened, put_all, taken_bytes, timed

_MOST_READ = 4_000
_READ_TOGETHER = 16
_DELETED_TOGETHER = 64
_SPACE_SECONDS = 10.0
_GIVEN_BACK = 0.99
"""The part of what was deleted that has to be seen free: a file with holes needs some blocks to say where they are."""


def main() -> None:
    """Write once told to, and do the rest if it is asked for; `<store> <chunks> <write | all>`."""
    root, count, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    file_id = FileId(SystemRandom().randbytes(32))
    batches = full_batches(file_id, count)
    ids = [chunk.chunk_id for batch in batches for chunk in batch]
    with opened(root) as store:
        wait_to_be_told()
        started = time.monotonic()
        put_all(store, batches, PutOutcome.STORED)
        result = {"started": started, "ended": time.monotonic()}
        del batches
        if what == "all":
            Random(2).shuffle(ids)
            read = ids[: min(_MOST_READ, count)]
            _read_all(store, read)
            result["warm_s_a_chunk"] = timed(lambda: _read_all(store, read)) / len(read)
            drop_from_memory(root)
            result["cold_s_a_chunk"] = timed(lambda: _read_all(store, read)) / len(read)
            result |= _deleted(root, store, ids[: count // 2])
    tell(**result)


def _read_all(store: IChunkStore, ids: list[ChunkId]) -> None:
    for first in range(0, len(ids), _READ_TOGETHER):
        if any(outcome.body is None for outcome in store.get(ids[first : first + _READ_TOGETHER])):
            sys.exit("the store hasn't what was put")


def _deleted(root: str, store: IChunkStore, ids: list[ChunkId]) -> dict[str, float]:
    before = taken_bytes(root)
    started = time.monotonic()
    for first in range(0, len(ids), _DELETED_TOGETHER):
        store.delete(ids[first : first + _DELETED_TOGETHER])
    ended = time.monotonic()
    wanted = before - _GIVEN_BACK * len(ids) * SLOT_BYTES
    while taken_bytes(root) > wanted:
        if time.monotonic() - ended > _SPACE_SECONDS:
            sys.exit(f"the space of deleted chunks isn't back after {_SPACE_SECONDS:.0f} s")
    return {"delete_s": (ended - started) / len(ids), "space_back_s": time.monotonic() - ended}


if __name__ == "__main__":
    main()
