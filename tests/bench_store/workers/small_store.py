"""A store with one file of very many small chunks: filled, opened again, put into, and rid of the file."""

import sys
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from random import SystemRandom

from protocol.values import FileId
from storage.interfaces import PutOutcome
from tests.bench.workers.talk import be_ready, tell, wait_to_be_told
from tests.bench_store.bodies import full_batches, small_batches
from tests.bench_store.workers.opened import most_memory_mb, opened, put_all, taken_bytes

_FILE = FileId(sha256(b"very many small chunks").digest())
_PUTS = 8_192
"""Small chunks that are put anew, and again. Whole batches."""


def fill(root: str, count: int, _more: int) -> None:
    """Put all of them."""
    with opened(root) as store:
        wait_to_be_told()
        seconds = put_all(store, small_batches(_FILE, range(count)), PutOutcome.STORED)
    tell(fill_s=sum(seconds), chunks=count)


def start(root: str, count: int, _more: int) -> None:
    """Open it, and say so; then what memory it takes, once it was put into."""
    started = time.monotonic()
    with opened(root) as store:
        open_s = time.monotonic() - started
        if store.usage().chunks < count:
            sys.exit("the store hasn't what was put")
        be_ready()
        new = FileId(SystemRandom().randbytes(32))
        put_all(store, small_batches(new, range(_PUTS)), PutOutcome.STORED)
        while store.delete_files([new]) != [True]:
            pass
        rss_mb = most_memory_mb()
    tell(open_s=open_s, rss_mb=rss_mb)


def put(root: str, count: int, full: int) -> None:
    """Put full chunks, new small ones and held small ones, and take the new ones out again."""
    random = SystemRandom()
    new, whole = (FileId(random.randbytes(32)) for _ in range(2))
    batches = full_batches(whole, full)
    with opened(root) as store:
        wait_to_be_told()
        full_s = sum(put_all(store, batches, PutOutcome.STORED))
        new_s = sum(put_all(store, small_batches(new, range(_PUTS)), PutOutcome.STORED))
        held_s = 0.0
        if count:
            step = max(1, count // _PUTS)
            held = range(0, count, step)[:_PUTS]
            held_s = sum(put_all(store, small_batches(_FILE, held), PutOutcome.HELD)) / len(held)
        for file_id in (new, whole):
            while store.delete_files([file_id]) != [True]:
                pass
    tell(full_s=full_s, new_s=new_s / _PUTS, held_s=held_s)


def delete(root: str, count: int, _more: int) -> None:
    """Delete the whole file, a slice and a put by turns, as the lane of a peer does."""
    batches = iter(full_batches(FileId(SystemRandom().randbytes(32)), 4_096))
    waits: list[float] = []
    with opened(root) as store:
        before = taken_bytes(root)
        wait_to_be_told()
        started = asked = time.monotonic()
        while store.delete_files([_FILE]) != [True]:
            batch = next(batches, None)
            if batch is not None:
                put_all(store, [batch[:16]], PutOutcome.STORED)
                waits.append(time.monotonic() - asked)
            asked = time.monotonic()
        seconds = time.monotonic() - started
        given_back = before - taken_bytes(root)
    tell(delete_s=seconds / count, longest_put_s=max(waits, default=0.0), given_back=given_back)


_WORK: Mapping[str, Callable[[str, int, int], None]] = {
    "fill": fill,
    "start": start,
    "put": put,
    "delete": delete,
}


if __name__ == "__main__":
    _WORK[sys.argv[1]](sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
