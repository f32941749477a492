"""Garbage at the highest rate that the machine sends, beside a backup (SPEC.md 2.15, 11.1)."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.functional.group import RealPeer, local_group, made_file
from tools.peer_process import PROJECT

pytestmark = pytest.mark.functional

SECONDS = 10.0
MOST_GROWTH_KB = 200_000
"""Of a peer's memory: its receive buffers are the kernel's, the bodies being stored are bounded by 64 MB."""


def groups_of(peer: RealPeer) -> list[str]:
    words = shlex.split((peer.folder / "command").read_text())
    return [word.partition("=")[2] for word in words if word.startswith(("--mc=", "--mdb=", "--mdr="))]


def memory_kb(process_id: int) -> int:
    [line] = [
        line
        for line in Path(f"/proc/{process_id}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    ]
    return int(line.split()[1])


@contextmanager
def flood(groups: list[str], seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Send garbage of every kind to the groups until the time is over; it says how much it sent."""
    command = [sys.executable, "-m", "tests.functional.flood", str(seconds), *groups]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_backup_goes_on_beside_garbage_and_nothing_grows_without_bound(tmp_path: Path) -> None:
    with local_group(tmp_path, 3) as group:
        file = made_file(tmp_path, 3_000_000)
        before = [memory_kb(peer.process_id) for peer in group.peers]
        with flood(groups_of(group[0]), SECONDS) as flooding:
            backup = group[0].asking("BACKUP", str(file), "2")
            told, _ = flooding.communicate(timeout=SECONDS + 30)
            ended = backup.end(120.0)
        assert int(told) > 10_000
        assert ended.status == 0, ended
        assert group[0].restored(file) == file.read_bytes()
        after = [memory_kb(peer.process_id) for peer in group.peers]
        assert max(now - then for then, now in zip(before, after, strict=True)) < MOST_GROWTH_KB
        for peer in group.peers:
            assert (peer.folder / "log").stat().st_size < 100_000


def test_the_flood_stays_on_this_machine() -> None:
    from tests.functional.flood import sending_socket

    with sending_socket() as sender:
        assert sender.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 0
        assert sender.getsockname()[0] == "127.0.0.1"
