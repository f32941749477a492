"""``python -m tests.bench.one_process``: what a chunk costs three peers that are one process.

Real disks, but a virtual clock and a LAN in memory: no sockets, no threads, no waiting. What it tells is the processor
time of the peers' own code, with that of the clock and the LAN. The instructions behind it don't depend on what else
the machine does: run it with two numbers of chunks under ``valgrind --tool=callgrind``, with PYTHONHASHSEED=0, and
compare the differences.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, cast

from attrs import frozen

from peer.config import PeerConfig
from protocol.values import CHUNK_SIZE, PeerId
from storage.disk import PosixDisk
from tests.bench.copies import check_copy
from tests.bench.workplace import workplace
from tests.support.disk import MemoryDisk
from tests.support.group import Group, Member
from tests.support.lan import Datagram

PEERS: Final = 3
DEGREE: Final = 2


@frozen
class ChunkCost:
    """Seconds of the processor that a chunk took all peers together."""

    backup: float
    restore: float


class _UnwatchedGroup(Group):
    """Notes nothing of what is said, which would be among what is measured."""

    def _note(self, datagram: Datagram) -> None:
        pass


def chunk_cost(source: Path, chunks: int, folder: Path) -> ChunkCost:
    """Back up and restore a file of so many chunks among peers with their stores in the folder."""
    with _UnwatchedGroup() as group:
        for number in range(1, PEERS + 1):
            group.members[number] = _member(group, number, str(folder / str(number)), chunks)
            group.members[number].start()
        backup = _seconds(lambda: group[1].backup(str(source), DEGREE))
        restored: list[str] = []
        restore = _seconds(lambda: restored.append(group.run(group[1].begin_restore(str(source))).path))
        check_copy(source, Path(restored[0]))
    return ChunkCost(backup / chunks, restore / chunks)


def _member(group: Group, number: int, store: str, chunks: int) -> Member:
    # It has all that a peer asks of a disk, and none of what tests do to one.
    disk = cast(MemoryDisk, PosixDisk())
    config = PeerConfig(store=store, scrub_period=None)
    return Member(group, PeerId(number), 2 * chunks * CHUNK_SIZE, disk, config=config)


def _seconds(do: Callable[[], object]) -> float:
    began = time.process_time()
    do()
    return time.process_time() - began


def main(arguments: Sequence[str]) -> int:
    """Measure, and say it in one sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.one_process",
        description="Processor time that a chunk costs three peers in one process.",
        epilog="Example: python -m tests.bench.one_process --chunks 3000",
    )
    parser.add_argument(
        "--chunks", type=int, default=2_000, help="of the file, the last one short (default: 2000)"
    )
    chunks: int = parser.parse_args(arguments).chunks
    if chunks < 1:
        parser.error(f"a file has a chunk at least, not {chunks}: give --chunks a number from 1 on")
    with workplace(None) as place, place.room("stores") as folder:
        source = place.made_file(chunks * CHUNK_SIZE - 1)
        cost = chunk_cost(source, chunks, folder)
    print(
        f"{chunks:,} chunks at degree {DEGREE}, {PEERS} peers in one process: "
        f"{cost.backup * 1e6:,.0f} µs of the processor a chunk to back up, {cost.restore * 1e6:,.0f} to restore"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
