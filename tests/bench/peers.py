"""A group of real peers on a ground."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, frozen

from peer.control.access_point import AccessPoint
from tests.bench.failure import BenchFailure
from tests.bench.ground import Ground, Place
from tests.bench.samples import rate
from tests.bench.started import all_ready, environment, last_line, worker
from tests.bench.workplace import Workplace
from tests.functional.group import START_SECONDS, STOP_SECONDS, eventually
from tools.peer_process import PeerSettings, peer_command
from tools.tied import tied

_READY = "is controlled at"
_GRANTED = re.compile(r"the receive buffer of \S+ has (\d+) bytes")
_SLOWEST = 500_000.0
"""Bytes a second below which a run is given up."""
_PATIENCE = 120.0
"""Seconds that any request may take, whatever its size."""


@frozen(kw_only=True)
class Request:
    """What is asked of one peer at once."""

    name: str
    paths: tuple[Path, ...]
    degree: int = 1

    @property
    def size(self) -> int:
        """Bytes of all the files."""
        return sum(path.stat().st_size for path in self.paths)


@frozen(kw_only=True)
class Answer:
    """What came of a Request; times are seconds of the monotonic clock."""

    started: float
    ended: float
    size: int
    reports: tuple[Mapping[str, Any], ...]
    errors: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long everything took, from asking to the last answer."""
        return self.ended - self.started

    @property
    def rate(self) -> float:
        """MB/s."""
        return rate(self.size, self.seconds)

    @property
    def perceived_min(self) -> int:
        """The degree of the chunk that has the fewest copies, of a backup."""
        return min(int(report["perceived_min"]) for report in self.reports)

    @property
    def below_degree(self) -> int:
        """How many chunks have fewer copies than were asked for, of a backup."""
        return sum(int(report["below_degree"]) for report in self.reports)

    def done(self) -> "Answer":
        """This answer; BenchFailure if anything in it failed."""
        if self.errors:
            raise BenchFailure(f"a peer refuses {len(self.errors)} requests, the first: {self.errors[0]}")
        return self


@define
class BenchPeer:
    """One peer that runs."""

    settings: PeerSettings
    place: Place
    _process: "subprocess.Popen[bytes]"

    @property
    def log(self) -> str:
        """What it has logged."""
        return self.settings.log.read_text() if self.settings.log.exists() else ""

    @property
    def most_memory_mb(self) -> float:
        """The most memory that it had so far, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6

    @property
    def granted_buffer_bytes(self) -> int:
        """The smallest receive buffer that it was granted, as the system counts."""
        return min(int(granted) for granted in _GRANTED.findall(self.log))

    def await_ready(self) -> None:
        """Wait until it can be asked for something."""
        try:
            eventually(lambda: _READY in self.log or self._has_ended, "the peer is ready", START_SECONDS)
        except AssertionError as error:
            raise BenchFailure(f"peer {self.settings.peer_id}: {error}") from None
        if self._has_ended:
            raise BenchFailure(
                f"peer {self.settings.peer_id} has ended: {last_line(self.settings.folder / 'output')}"
            )

    def ask_to_stop(self) -> None:
        """Have it end in its own time."""
        self._process.terminate()

    def end(self) -> None:
        """Wait for its end, and make it end after a while."""
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def _has_ended(self) -> bool:
        return self._process.poll() is not None


@define
class BenchGroup:
    """The peers, by the places of their ground."""

    ground: Ground
    peers: list[BenchPeer]

    @property
    def most_memory_mb(self) -> float:
        """The most memory that any of them had so far, in MB."""
        return max(peer.most_memory_mb for peer in self.peers)

    @property
    def granted_buffer_bytes(self) -> int:
        """The smallest receive buffer of any of them."""
        return min(peer.granted_buffer_bytes for peer in self.peers)

    def ask(self, request: Request, *, patience: float = _PATIENCE) -> Answer:
        """Ask the first peer for something, and wait for the answers."""
        return self.ask_all([request], patience=patience)[0]

    def ask_all(self, requests: Sequence[Request], *, patience: float = _PATIENCE) -> list[Answer]:
        """Ask as many peers, from the first on, for something each at the same time."""
        with ExitStack() as held:
            askers = [
                held.enter_context(worker("asker", peer.settings.access_point, request.name, request.degree))
                for peer, request in zip(self.peers, requests, strict=False)
            ]
            all_ready(askers)
            for asker, request in zip(askers, requests, strict=True):
                asker.proceed(json.dumps([str(path) for path in request.paths]))
            seconds = patience + sum(request.size for request in requests) / _SLOWEST
            results = [asker.result(seconds) for asker in askers]
        return [
            Answer(
                started=result["started"],
                ended=result["ended"],
                size=request.size,
                reports=tuple(result["reports"]),
                errors=tuple(result["errors"]),
            )
            for result, request in zip(results, requests, strict=True)
        ]


@contextmanager
def group_on(
    ground: Ground,
    workplace: Workplace,
    folder: Path,
    *,
    options: Sequence[str] = (),
    options_of: Mapping[int, Sequence[str]] | None = None,
) -> Iterator[BenchGroup]:
    """A peer at each place of the ground, ready; `options_of` has further options by the number of the place."""
    with ExitStack() as held:
        group = BenchGroup(ground, [])
        held.callback(_end_all, group.peers)
        for number, place in enumerate(ground.places):
            own = (options_of or {}).get(number, ())
            socket = workplace.sockets / f"{number}.sock"
            settings = PeerSettings(
                peer_id=number + 1,
                folder=peer_folder(folder, number),
                access_point=AccessPoint.parse(str(socket)),
                options=(
                    f"--mc={ground.mc}",
                    f"--mdb={ground.mdb}",
                    f"--mdr={ground.mdr}",
                    f"--interface={place.address}",
                    f"--ttl={ground.ttl}",
                    *options,
                    *own,
                ),
            )
            group.peers.append(_started(settings, place))
        for peer in group.peers:
            peer.await_ready()
        yield group


def peer_folder(folder: Path, number: int) -> Path:
    """Where the peer at that place keeps everything."""
    return folder / f"peer-{number + 1}"


def _started(settings: PeerSettings, place: Place) -> BenchPeer:
    settings.folder.mkdir(parents=True, exist_ok=True)
    with (settings.folder / "output").open("wb") as output:
        process = subprocess.Popen(
            tied(place.inside(peer_command(settings))),
            cwd=settings.folder,
            env=environment(XDG_CONFIG_HOME=str(settings.folder)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return BenchPeer(settings, place, process)


def _end_all(peers: Sequence[BenchPeer]) -> None:
    for peer in peers:
        peer.ask_to_stop()
    for peer in peers:
        peer.end()
