"""A local group of real peers, and what a user and the operating system can do to it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, field, frozen

from tests.support.signals import heeded
from tools.peer_process import PROJECT
from tools.tied import tied

START_SECONDS = 60.0
STOP_SECONDS = 30.0


@frozen
class Ending:
    """How a testapp ended."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The object that it printed."""
        report: dict[str, Any] = json.loads(self.out)
        return report


@define
class RealPeer:
    """A peer of the group, as tools.lan tells of it."""

    peer_id: int
    access_point: str
    process_id: int
    folder: Path
    environment: dict[str, str]
    restarted: "subprocess.Popen[bytes] | None" = None

    def ask(self, *request: str, timeout: float = 300.0) -> Ending:
        """Have testapp --json ask for this, and wait for how it ends."""
        return self.asking(*request).end(timeout)

    def asking(self, *request: str) -> "Asking":
        """Have testapp --json ask for this meanwhile."""
        command = [sys.executable, "-m", "tools.testapp", "--json", self.access_point, *request]
        return Asking(
            subprocess.Popen(
                tied(command),
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    def do(self, *request: str) -> dict[str, Any]:
        """Ask for this, which is to be done, and give the object that was printed."""
        ending = self.ask(*request)
        assert (ending.status, ending.err) == (0, ""), ending
        return ending.report

    def restored(self, path: Path) -> bytes:
        """The bytes that RESTORE of `path` gives."""
        return Path(self.do("RESTORE", str(path))["path"]).read_bytes()

    @property
    def stored(self) -> list[dict[str, Any]]:
        """The chunks that it stores, as STATE has them."""
        chunks: list[dict[str, Any]] = self.do("STATE")["chunks"]
        return chunks

    @property
    def bytes_on_disk(self) -> int:
        """What the store's files take of the disk."""
        files = (path for path in (self.folder / "store").rglob("*") if path.is_file())
        return sum(path.stat().st_blocks * 512 for path in files)

    def kill(self) -> None:
        """End the process as a power cut would."""
        os.kill(self.process_id, signal.SIGKILL)
        if self.restarted is not None:
            self.restarted.wait()
        eventually(lambda: not is_alive(self.process_id), "the killed process is gone")

    def restart(self) -> None:
        """Start it again as it was started, and wait until it can be asked for something."""
        command = shlex.split((self.folder / "command").read_text())
        with (self.folder / "output").open("ab") as output:
            self.restarted = subprocess.Popen(
                tied(command),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.process_id = self.restarted.pid
        eventually(lambda: self.ask("STATE").status == 0, "the restarted peer answers", START_SECONDS)


@define
class Asking:
    """A testapp that runs."""

    process: "subprocess.Popen[str]"

    def end(self, timeout: float = 300.0) -> Ending:
        """Wait for its end."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        finally:
            self.process.kill()
            self.process.wait()
        return Ending(self.process.returncode, out, err)


@define
class Group:
    """The peers of a tools.lan that runs."""

    peers: list[RealPeer] = field(factory=list)

    def __getitem__(self, number: int) -> RealPeer:
        return self.peers[number]

    @property
    def others(self) -> list[RealPeer]:
        """All but the first, which is home to the tests' files."""
        return self.peers[1:]


@contextmanager
def local_group(folder: Path, peers: int, *options: str, is_clean: bool = True) -> Iterator[Group]:
    """Run a group of its own in `folder`; afterwards no process and, if `is_clean`, no error in a log is left."""
    environment = os.environ | {"XDG_CONFIG_HOME": str(folder / "config"), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "tools.lan", f"--peers={peers}", f"--dir={folder}", *options]
    group = Group()
    with lan_process(command, environment) as lan:
        assert lan.stdout is not None
        for _ in range(peers):
            words = lan.stdout.readline().split()
            assert words, lan.communicate()
            _, peer_id, access_point, process_id = words
            group.peers.append(
                RealPeer(int(peer_id), access_point, int(process_id), folder / f"peer-{peer_id}", environment)
            )
        try:
            yield group
        finally:
            for peer in group.peers:
                if peer.restarted is not None:
                    peer.restarted.terminate()
                    peer.restarted.wait(STOP_SECONDS)
    for peer in group.peers:
        eventually(lambda peer=peer: not is_alive(peer.process_id), "no peer is left")  # type: ignore[misc]
        log = (peer.folder / "log").read_text()
        assert not is_clean or "Traceback" not in log, log


@contextmanager
def lan_process(command: list[str], environment: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """Run tools.lan until the end of the block, then stop it as a user does."""
    with heeded(signal.SIGINT):
        process = subprocess.Popen(
            tied(command),
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=STOP_SECONDS)
        finally:
            process.kill()
            process.wait()


def eventually(is_so: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait until it is so: real peers take real time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(0.1)


def let_pass(seconds: float) -> None:
    """Let real time pass, where what is to be shown is that nothing happens in it."""
    time.sleep(seconds)


def is_alive(process_id: int) -> bool:
    """Whether the process still runs; one that has ended but that nobody has waited for doesn't."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def made_file(folder: Path, size: int, *, seed: int = 1, name: str = "") -> Path:
    """A file of `size` bytes that no other seed has."""
    file = folder / (name or f"file-of-{size}-{seed}.bin")
    file.write_bytes(Random(f"{seed} {size}").randbytes(size))
    return file
