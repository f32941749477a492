"""Writes as many bytes as a store would into one preallocated file, with a sync every 16 MB."""

import os
import sys
import time

from protocol.values import CHUNK_SIZE
from tests.bench.workers.talk import tell, wait_to_be_told
from tests.bench_store.bodies import POOL_BODIES, full_bodies

_BODIES_A_WRITE = 10
_BODIES_A_SYNC = 250


def main() -> None:
    """Write everything once told to; `<file> <chunks>`."""
    path, count = sys.argv[1], int(sys.argv[2])
    data = memoryview(b"".join(full_bodies()))
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.posix_fallocate(file, 0, count * CHUNK_SIZE)
    os.fsync(file)
    wait_to_be_told()
    started = time.monotonic()
    for first in range(0, count, _BODIES_A_WRITE):
        place = first % POOL_BODIES * CHUNK_SIZE
        length = min(_BODIES_A_WRITE, count - first) * CHUNK_SIZE
        if os.pwrite(file, data[place : place + length], first * CHUNK_SIZE) != length:
            sys.exit("the disk took less than it was given")
        if (first + _BODIES_A_WRITE) % _BODIES_A_SYNC == 0:
            os.fdatasync(file)
    os.fdatasync(file)
    tell(started=started, ended=time.monotonic())


if __name__ == "__main__":
    main()
