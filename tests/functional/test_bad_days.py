"""Peers killed over and over at any moment of real backups and restores, on a small disk that fills up.

What is checked is what can be seen from outside: a restore gives the exact bytes or an error, what was acknowledged is
in the store after each restart, and what was reported at a degree restores with so many holders less one gone.

    BACKUP_PEER_ROUNDS=500 BACKUP_PEER_SEED=7 .venv/bin/python -m pytest tests/functional/test_bad_days.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from random import Random

import pytest
from attrs import define, field

from tests.functional.ear import Ear, control_group
from tests.functional.group import Asking, Group, RealPeer, let_pass, local_group
from tools.peer_process import PROJECT

ROUNDS = int(os.environ.get("BACKUP_PEER_ROUNDS", "12"))
SEED = int(os.environ.get("BACKUP_PEER_SEED", "1"))

PEERS = 4
DISK_MB = 150
"""Less what a store leaves free of its disk, 64 MB (storage.capacity), a hundred copies of these files fit."""

CAPACITY_KBYTES = 90_000
PATIENCE = 5.0
"""Seconds after which an operation is cut off by killing the home: with too few holders it would take 31."""

pytestmark = [
    pytest.mark.functional,
    pytest.mark.timeout(300 + 60 * ROUNDS),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount the small disk"),
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this machine lets nobody mount: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@define
class BadDays:
    """A group, what its home's user has done with it, and what was promised."""

    group: Group
    ear: Ear
    disk: Path
    files: Path
    random: Random
    reported: dict[Path, int] = field(factory=dict)
    """The degree at which a file was reported as backed up."""
    written: int = 0

    def round(self) -> None:
        """Begin something, kill somebody at some moment of it, and look."""
        home = self.group[0]
        victim = self.random.choice(self.group.peers)
        path = self.random.choice([None, None, *self.reported])
        if path is not None and self.random.random() < 0.3:
            home.ask("DELETE", str(path))
            del self.reported[path]
            path = None
        degree = self.random.choice((1, 2))
        file = path or self._new_file()
        begun = home.asking("RESTORE", str(file)) if path else home.asking("BACKUP", str(file), str(degree))
        with self._others_filling_the_disk() if self.random.random() < 0.3 else nullcontext():
            let_pass(self.random.choice((0.4, 1.5)) * (0.5 + self.random.random()))
            victim.kill()
        promised = self.ear.acknowledged(victim.peer_id)
        victim.restart()
        self._compare(victim, promised)
        self._end(begun, file, None if path else degree)

    def lose_holders(self, files: int) -> None:
        """Restore some files, each while as many of its holders are down as it has to bear."""
        for file in self.random.sample(sorted(self.reported), min(files, len(self.reported))):
            file_id = self._file_id(file)
            holders = [
                peer for peer in self.group.others if any(copy["file_id"] == file_id for copy in peer.stored)
            ]
            away = self.random.sample(holders, self.reported[file] - 1)
            for peer in away:
                peer.kill()
            assert self._restored(self.group[0].asking("RESTORE", str(file)), file, 300.0), file
            for peer in away:
                peer.restart()

    def _new_file(self) -> Path:
        self.written += 1
        file = self.files / f"file-{self.written}"
        file.write_bytes(
            self.random.randbytes(self.random.choice((0, 1, 64_000, 500_000, 2_000_000, 5_000_000)))
        )
        return file

    def _compare(self, peer: RealPeer, promised: set[tuple[str, int]]) -> None:
        present = {(copy["file_id"], copy["no"]) for copy in peer.stored}
        # Those that it has dropped meanwhile, and said so, are no more promised.
        gone = (promised & self.ear.acknowledged(peer.peer_id)) - present
        assert not gone, (
            f"peer {peer.peer_id} has said STORED for {len(gone)} chunks that are gone: {min(gone)}"
        )

    def _end(self, begun: Asking, file: Path, degree: int | None) -> None:
        """See what came of what was begun: a BACKUP at a degree, or a RESTORE."""
        try:
            if degree is None:
                self._restored(begun, file, PATIENCE)
            elif begun.end(PATIENCE).status == 0:
                self.reported[file] = degree
        except subprocess.TimeoutExpired:
            home = self.group[0]
            home.kill()
            home.restart()

    def _restored(self, asking: Asking, file: Path, seconds: float) -> bool:
        """Whether the RESTORE gave the file; if it did, it is exact."""
        ending = asking.end(seconds)
        if ending.status:
            assert ending.status in (1, 4), ending
            assert "Traceback" not in ending.err, ending.err
            return False
        restored = Path(ending.report["path"])
        assert restored.read_bytes() == file.read_bytes(), f"wrong bytes of {file}"
        restored.unlink()
        return True

    def _file_id(self, file: Path) -> str:
        told = self.group[0].do("STATE")["files"]
        [file_id] = [each["file_id"] for each in told if each["path"] == str(file)]
        return str(file_id)

    @contextmanager
    def _others_filling_the_disk(self) -> Iterator[None]:
        filler = self.disk / "somebody-else-s"
        space = os.statvfs(self.disk)
        left = self.random.choice((0, 300_000, 30_000_000))
        with filler.open("wb") as file, suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(1, space.f_bavail * space.f_frsize - left))
        try:
            yield
        finally:
            filler.unlink()


def test_no_promise_is_broken_however_often_peers_are_killed(small_disk: Path, tmp_path: Path) -> None:
    """SPEC.md 4.13, 9.2, 3.19: invariants 1 to 3 of the simulator, with real processes."""
    print(f"seed {SEED}, {ROUNDS} rounds: BACKUP_PEER_SEED and BACKUP_PEER_ROUNDS")
    files = tmp_path / "files"
    files.mkdir()
    options = (f"--capacity={CAPACITY_KBYTES}",)
    # A full disk may leave tracebacks in logs: they tell of it.
    with (
        local_group(small_disk / "group", PEERS, *options, is_clean=False) as group,
        Ear(control_group(group[0].folder / "command")) as ear,
    ):
        days = BadDays(group, ear, small_disk, files, Random(SEED))
        for number in range(ROUNDS):
            print(f"round {number + 1}", flush=True)
            days.round()
        days.lose_holders(4)
    for peer in group.peers:
        check = [sys.executable, "-m", "tools.store", "check", str(peer.folder / "store")]
        checked = subprocess.run(check, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
