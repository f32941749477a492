"""Tahoe-LAFS: any one share of as many as there are holders gives the file back."""

import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from random import SystemRandom
from shutil import which

from tests.bench.alternatives.alternative import START_SECONDS, Timing, patience, timed
from tests.bench.copies import check_copy
from tests.bench.failure import BenchFailure
from tests.bench.ground import Ground
from tests.bench.started import environment, server
from tests.functional.group import eventually
from tools.peer_process import PROJECT
from tools.reservation import LOOPBACK, reserved

_OWN_ENVIRONMENT = PROJECT / ".venv-tahoe" / "bin" / "tahoe"
"""Where `make bench-tahoe` installs it, away from the versions that we pin."""

_SMALL = b"more than the cap of a file can hold" * 10


class TahoeLafs:
    """An introducer, a storage server for each holder, and a gateway."""

    name = "Tahoe-LAFS"
    package = "tahoe-lafs, from PyPI: make bench-tahoe"

    def why_not(self, ground: Ground, source: Path) -> str | None:
        """See Alternative."""
        if _command() is None:
            return "not installed"
        if source.is_dir():
            return "takes a second or so for each file"
        return None if ground.is_loopback else "measured on loopback alone"

    def measure(self, ground: Ground, source: Path, folder: Path) -> Timing:
        """See Alternative."""
        count = len(ground.holders)
        with ExitStack() as held:
            ports = held.enter_context(reserved(control_ports=count + 2, random=SystemRandom())).control_ports
            introducer = folder / "introducer"
            _tahoe("create-introducer", *_listening(ports[0]), str(introducer))
            held.enter_context(_running(introducer))
            furl = introducer / "private" / "introducer.furl"
            eventually(furl.exists, "the introducer runs", START_SECONDS)
            introduced = f"--introducer={furl.read_text().strip()}"
            for number in range(count):
                node = folder / f"holder-{number}"
                _tahoe("create-node", introduced, *_listening(ports[1 + number]), "--webport=none", str(node))
                held.enter_context(_running(node))
            gateway = folder / "gateway"
            _tahoe(
                *("create-client", introduced, f"--webport=tcp:{ports[-1]}:interface={LOOPBACK}"),
                *("--shares-needed=1", f"--shares-happy={count}", f"--shares-total={count}", str(gateway)),
            )
            held.enter_context(_running(gateway))
            small = folder / "small"
            small.write_bytes(_SMALL)
            eventually(lambda: _can_put(gateway, small), "the gateway has found all servers", START_SECONDS)
            caps: list[str] = []
            seconds = patience(source)
            backup = timed(lambda: caps.append(_ask(gateway, "put", str(source), seconds=seconds)), folder)
            restored = folder / "restored"
            restore = timed(lambda: _ask(gateway, "get", caps[0], str(restored), seconds=seconds), folder)
            check_copy(source, restored)
        return Timing(backup, restore)


def _command() -> str | None:
    return str(_OWN_ENVIRONMENT) if _OWN_ENVIRONMENT.exists() else which("tahoe")


def _listening(port: int) -> tuple[str, ...]:
    return (f"--port=tcp:{port}:interface={LOOPBACK}", f"--location=tcp:{LOOPBACK}:{port}")


def _running(node: Path) -> AbstractContextManager[object]:
    # It would end by itself at once, as its standard input has nobody at the other end.
    return server([str(_command()), "run", "--allow-stdin-close", str(node)], folder=node)


def _can_put(gateway: Path, file: Path) -> bool:
    try:
        _ask(gateway, "put", str(file), seconds=START_SECONDS)
    except BenchFailure:
        return False
    return True


def _ask(gateway: Path, *arguments: str, seconds: float) -> str:
    return _tahoe("-d", str(gateway), *arguments, seconds=seconds)


def _tahoe(*arguments: str, seconds: float = START_SECONDS) -> str:
    command: Sequence[str] = [str(_command()), *arguments]
    try:
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise BenchFailure(f"tahoe {arguments[0]} was not done after {seconds:.0f} s") from None
    if done.returncode:
        last = done.stderr.strip().split("\n")[-1]
        raise BenchFailure(f"tahoe {' '.join(arguments)} failed: {last}")
    return done.stdout.strip()
