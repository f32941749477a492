"""One peer of a local group: a `twistd` process of its own, that doesn't outlive who started it."""

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import define, frozen

from peer.control.access_point import AccessPoint
from tools.tied import tied

PROJECT = Path(__file__).resolve().parent.parent


@frozen(kw_only=True)
class PeerSettings:
    """What one peer is started with: a folder of its own, and further options of `twistd backup-peer`."""

    peer_id: int
    folder: Path
    access_point: AccessPoint
    options: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """Where it logs."""
        return self.folder / "log"


def peer_command(settings: PeerSettings) -> list[str]:
    """The command that runs a peer; the same one, run again, starts the same peer again."""
    # The plugin and the packages are found in this checkout even where they aren't installed.
    environment = ["/usr/bin/env", f"PYTHONPATH={PROJECT}"]
    script = Path(sys.executable).with_name("twistd")
    from_library = ["-c", "import sys; from twisted.scripts.twistd import run; sys.exit(run())"]
    twistd = [sys.executable, *([str(script)] if script.exists() else from_library)]
    return [
        *environment,
        *twistd,
        "--nodaemon",
        "--pidfile=",
        f"--logfile={settings.log}",
        "backup-peer",
        f"--id={settings.peer_id}",
        f"--store={settings.folder / 'store'}",
        f"--control={settings.access_point}",
        *settings.options,
    ]


@define
class PeerProcess:
    """A peer that was started here."""

    settings: PeerSettings
    _process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, settings: PeerSettings) -> "PeerProcess":
        """Start a peer, and leave in the file `command` of its folder how to start it again."""
        settings.folder.mkdir(parents=True, exist_ok=True)
        command = peer_command(settings)
        (settings.folder / "command").write_text(shlex.join(command) + "\n")
        with (settings.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                tied(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=settings.folder,
                # Ctrl-C in the terminal is for who started the peers: that stops them in its own way.
                start_new_session=True,
            )
        return cls(settings, process)

    @property
    def process_id(self) -> int:
        """The operating system's number for the process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def epitaph(self) -> str:
        """How the process ended and the last that it said, in one line."""
        status = self._process.poll()
        how = (
            f"was killed by {signal.Signals(-status).name}"
            if status is not None and status < 0
            else (f"ended with status {status}")
        )
        last = _last_line(self.settings.folder / "output") or _last_line(self.settings.log)
        return f"peer {self.settings.peer_id} (process {self.process_id}) {how}, and said last: {last or '-'}"

    def ask_to_stop(self) -> None:
        """Have it end in its own time."""
        self._process.terminate()

    def end(self, seconds: float) -> None:
        """Wait for its end for so many seconds, then make it end."""
        try:
            self._process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def end_all(processes: Sequence[PeerProcess], *, seconds: float) -> None:
    """End the processes: in their own time at first, after so many seconds in any case."""
    for process in processes:
        process.ask_to_stop()
    deadline = time.monotonic() + seconds
    for process in processes:
        process.end(deadline - time.monotonic())


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
