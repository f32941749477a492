"""A store in the worker's own process, opened as a peer opens it."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

from peer.config import PeerConfig
from peer.digests import DigestsAhead, digest_thread
from peer.service import open_store
from protocol.values import PeerId
from storage.interfaces import ChunkToStore, IChunkStore, PutOutcome
from storage.layout import Layout

_BLOCK_BYTES = 512
"""In which the system counts what a file takes."""


@contextmanager
def opened(root: str) -> Iterator[IChunkStore]:
    """The store in a folder, with a capacity that nothing here reaches; closed in order at the end."""
    config = PeerConfig(store=root, peer_id=PeerId(1), capacity_bytes=20_000_000_000)
    storage = open_store(config, random=SystemRandom(), digest_all=DigestsAhead(digest_thread()))
    try:
        yield storage.store
    finally:
        storage.close()


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.monotonic()
    call()
    return time.monotonic() - started


def put_all(
    store: IChunkStore, batches: Iterable[Sequence[ChunkToStore]], outcome: PutOutcome
) -> list[float]:
    """Put everything; ends the process unless each has that outcome. The seconds of each call."""
    seconds = []
    for batch in batches:
        started = time.monotonic()
        outcomes = store.put(batch)
        seconds.append(time.monotonic() - started)
        if set(outcomes) != {outcome}:
            sys.exit(f"the store says {outcomes[0].value}, not {outcome.value}")
    return seconds


def segment_files(root: str) -> list[Path]:
    """The files with the slots."""
    return sorted(Path(Layout(root).chunks).iterdir())


def taken_bytes(root: str) -> int:
    """What the slots take of the disk, as ``du`` counts it."""
    return sum(path.stat().st_blocks for path in segment_files(root)) * _BLOCK_BYTES


def drop_from_memory(root: str) -> None:
    """Have the system forget what it has in memory of the slots: the next read is the disk's."""
    for path in segment_files(root):
        file = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)


def most_memory_mb() -> float:
    """The most that this process has had resident, in 10^6 bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0
