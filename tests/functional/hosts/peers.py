"""Peers on the hosts of a LAN: one on each, with options and a Python of its own, asked on its own host."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from shlex import join
from shutil import which

from attrs import define, field

from peer.control.access_point import AccessPoint
from tests.functional.group import START_SECONDS, STOP_SECONDS, Asking, RealPeer, eventually
from tests.functional.hosts.lan import Host
from tools.peer_process import PROJECT, PeerSettings, peer_command
from tools.tied import tied

CONTROL_PORT = 7_004
"""The same on each: no other peer is on its host."""


@define
class HostPeer(RealPeer):
    """A peer on a host of its own."""

    host: Host = field(kw_only=True)

    def asking(self, *request: str) -> Asking:
        """Have testapp --json, on the same host, ask for this meanwhile."""
        command = [sys.executable, "-m", "tools.testapp", "--json", self.access_point, *request]
        return Asking(
            subprocess.Popen(
                tied(self.host.namespace.inside(command)),
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    @property
    def log(self) -> str:
        """What it has logged."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""


@define
class HostGroup:
    """The peers of a LAN, by the order in which they came."""

    _folder: Path
    _held: ExitStack
    peers: list[HostPeer] = field(factory=list)

    def __getitem__(self, number: int) -> HostPeer:
        return self.peers[number]

    @property
    def others(self) -> list[HostPeer]:
        """All but the first, which is home to the tests' files."""
        return self.peers[1:]

    def begin(
        self, host: Host, *options: str, python: str = sys.executable, is_unix: bool = False
    ) -> HostPeer:
        """Start a peer on the host, and don't wait until it is ready."""
        peer_id = len(self.peers) + 1
        folder = self._folder / f"peer-{peer_id}"
        folder.mkdir(parents=True)
        access_point = AccessPoint(host="127.0.0.1", port=CONTROL_PORT)
        if is_unix:
            # The path of a socket is bounded, and the folders of tests are deep.
            short = self._held.enter_context(tempfile.TemporaryDirectory(prefix="backup-peer-"))
            access_point = AccessPoint.parse(f"{short}/control.sock")
        settings = PeerSettings(
            peer_id=peer_id,
            folder=folder,
            access_point=access_point,
            options=(f"--interface={host.address}", "--capacity=100000", *options),
        )
        command = host.namespace.inside(_in_python(peer_command(settings), python))
        (folder / "command").write_text(join(command) + "\n")
        environment = os.environ | {"XDG_CONFIG_HOME": str(folder / "config"), "PYTHONPATH": str(PROJECT)}
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                tied(command),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        peer = HostPeer(peer_id, str(access_point), process.pid, folder, environment, process, host=host)
        self.peers.append(peer)
        return peer

    def await_all(self) -> None:
        """Wait until every peer can be asked for something."""
        for peer in self.peers:
            assert peer.restarted is not None
            eventually(
                lambda peer=peer: "is controlled at" in peer.log or peer.restarted.poll() is not None,  # type: ignore[misc]
                "the peer is ready",
                START_SECONDS,
            )
            output = (peer.folder / "output").read_text()
            assert peer.restarted.poll() is None, f"{output}\n{peer.log}"

    def end(self) -> None:
        """Stop all, and see that none has failed on its way."""
        running = [peer.restarted for peer in self.peers if peer.restarted is not None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(STOP_SECONDS)
            finally:
                process.kill()
                process.wait()


@contextmanager
def group_on_hosts(folder: Path, hosts: Sequence[Host], *options: str) -> Iterator[HostGroup]:
    """A peer on each of the hosts, ready; afterwards no process, and no error in a log."""
    with ExitStack() as held:
        group = HostGroup(folder, held)
        try:
            for host in hosts:
                group.begin(host, *options)
            group.await_all()
            yield group
        finally:
            group.end()
        for peer in group.peers:
            assert "Traceback" not in peer.log, peer.log


def other_pythons() -> list[str]:
    """One interpreter of each supported version but our own that can run the peer with what is installed here."""
    found = []
    for minor in (11, 12, 13):
        if sys.version_info[:2] != (3, minor):
            in_pyenv = Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3")
            candidates = [which(f"python3.{minor}"), *map(str, sorted(in_pyenv))]
            found += [each for each in candidates if each is not None and _runs_a_peer(each)][:1]
    return found


@cache
def _runs_a_peer(python: str) -> bool:
    ran = subprocess.run(
        _in_python(
            ["/usr/bin/env", f"PYTHONPATH={PROJECT}", sys.executable, "-c", "import peer.tap"], python
        ),
        capture_output=True,
        check=False,
    )
    return ran.returncode == 0


def _in_python(command: Sequence[str], python: str) -> list[str]:
    """`command` of peer_command, by another interpreter, which finds what is installed for this one.

    None of it is compiled for one version of Python alone: zope.interface does without its faster half.
    """
    env, python_path, _our_python, *rest = command
    return [env, python_path + os.pathsep + sysconfig.get_path("purelib"), python, *rest]
