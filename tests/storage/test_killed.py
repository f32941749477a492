"""A real process is killed in the middle of its work. That shows nothing about syncing: test_crashes does."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from protocol.values import ChunkId, FileId, PeerId
from storage.disk import PosixDisk
from storage.opening import open_storage
from tests.support.slots import chunks_on

CHILD = """
import sys
from random import Random
from protocol.values import ChunkId, FileId, PeerId
from storage.disk import PosixDisk
from storage.interfaces import ChunkToStore
from storage.opening import open_storage

root, seed = sys.argv[1], int(sys.argv[2])
storage = open_storage(
    PosixDisk(), root, peer_id=None, draw_peer_id=lambda: PeerId(5), capacity_bytes=20_000_000
)
random = Random(seed)
held = []
while True:
    file_id = FileId(random.randbytes(32))
    chunks = [
        ChunkToStore(ChunkId(file_id, no), 2, Random(f"{file_id}/{no}").randbytes(30_000), frozenset({PeerId(5)}))
        for no in range(random.randrange(1, 12))
    ]
    storage.store.put(chunks)
    held.append(file_id)
    print("put", file_id, len(chunks), flush=True)
    if len(held) > 3:
        gone = held.pop(random.randrange(len(held)))
        print("deleting", gone, 0, flush=True)
        storage.store.delete_files([gone])
"""


@pytest.mark.parametrize("seed", range(6))
def test_whatever_a_killed_process_acknowledged_is_there(tmp_path: Path, seed: int) -> None:
    """SPEC.md 9.2, and 9.4: its lock went with it."""
    root = str(tmp_path / "store")
    lines_to_live = Random(seed).randrange(1, 60)
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, root, str(seed)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines_to_live)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    acknowledged: dict[FileId, int] = {}
    for line in said:
        # Its last line may be cut short.
        if line.endswith("\n"):
            verb, name, chunks = line.split()
            if verb == "put":
                acknowledged[FileId.from_hex(name)] = int(chunks)
            else:
                # It may have been killed before or after that.
                del acknowledged[FileId.from_hex(name)]
    assert acknowledged
    storage = open_storage(
        PosixDisk(), root, peer_id=PeerId(5), draw_peer_id=lambda: PeerId(6), capacity_bytes=20_000_000
    )
    for file_id, count in acknowledged.items():
        for no, outcome in enumerate(storage.store.get([ChunkId(file_id, no) for no in range(count)])):
            assert outcome.body == Random(f"{file_id}/{no}").randbytes(30_000)
    everything = storage.store.page(None, 10_000)
    assert not any(
        outcome.is_damaged for outcome in storage.store.get([held.chunk_id for held in everything])
    )
    assert chunks_on(PosixDisk(), root) == [held.chunk_id for held in everything]
    assert storage.store.usage().chunks == len(everything)
    storage.close()
