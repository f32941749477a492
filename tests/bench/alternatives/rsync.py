"""rsync to as many daemons as there are holders, at the same time."""

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from random import SystemRandom
from shutil import which

from tests.bench.alternatives.alternative import START_SECONDS, Timing, patience, timed
from tests.bench.copies import check_copy
from tests.bench.ground import Ground
from tests.bench.started import run_together, server
from tests.functional.group import eventually
from tools.reservation import reserved

_CONFIGURATION = """\
use chroot = no
pid file = {folder}/pid
lock file = {folder}/lock
[data]
path = {folder}/data
read only = no
{identity}
"""
_AS_ROOT = "uid = 0\ngid = 0"
"""A daemon that root starts writes as nobody otherwise, who may not write here."""


class Rsync:
    """Copies are made one for each holder: each goes over the link by itself."""

    name = "rsync"
    package = "rsync"

    def why_not(self, ground: Ground, source: Path) -> str | None:
        """See Alternative."""
        return None if which("rsync") else "not installed"

    def measure(self, ground: Ground, source: Path, folder: Path) -> Timing:
        """See Alternative."""
        count = len(ground.holders)
        with ExitStack() as held:
            ports = held.enter_context(reserved(control_ports=count, random=SystemRandom())).control_ports
            targets = []
            for number, (place, port) in enumerate(zip(ground.holders, ports, strict=True)):
                own = folder / f"holder-{number}"
                (own / "data").mkdir(parents=True)
                configuration = own / "rsyncd.conf"
                identity = _AS_ROOT if os.geteuid() == 0 else ""
                configuration.write_text(_CONFIGURATION.format(folder=own, identity=identity))
                daemon = ["rsync", "--daemon", "--no-detach", f"--config={configuration}"]
                daemon += [f"--address={place.address}", f"--port={port}"]
                held.enter_context(server(place.inside(daemon), folder=own))
                targets.append(f"rsync://{place.address}:{port}/data/")
            inside = ground.initiator.inside
            for target in targets:
                _await_daemon(inside(["rsync", target]))
            copying = [inside(["rsync", "--whole-file", "-r", str(source), target]) for target in targets]
            seconds = patience(source)
            backup = timed(lambda: run_together(copying, folder=folder / "client", seconds=seconds), folder)
            for number in range(count):
                check_copy(source, folder / f"holder-{number}" / "data" / source.name)
            restored = folder / "restored"
            restored.mkdir()
            fetching = [inside(["rsync", "--whole-file", "-r", targets[0] + source.name, f"{restored}/"])]
            restore = timed(lambda: run_together(fetching, folder=folder / "client", seconds=seconds), folder)
            check_copy(source, restored / source.name)
        return Timing(backup, restore)


def _await_daemon(listing: list[str]) -> None:
    eventually(
        lambda: subprocess.run(listing, capture_output=True, check=False).returncode == 0,
        "the rsync daemon answers",
        START_SECONDS,
    )
