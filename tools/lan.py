"""A local group: some peers on this machine alone, to try things out and to test with.

    python -m tools.lan --peers 3 --dir /tmp/group

Each is a `twistd` process with a folder DIR/peer-<id> of its own, on the loopback interface, in groups that
no other group on the machine has. When all can be asked for something, a line for each is printed:
`peer <id> <access point> <process id>`. They run until this ends, however it ends. A peer that ends by itself
is reported, and can be started again with what is in the file DIR/peer-<id>/command. Started again in the same
folder, the peers have their ids and their stores again.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any

from twisted.internet.task import deferLater

from peer.control.access_point import AccessPoint, AccessPointError
from peer.control.interfaces import OperationError
from tools.peer_process import PeerProcess, PeerSettings, end_all
from tools.reach import Interrupted, reach, run_in_reactor
from tools.reservation import LOOPBACK, Reservation, reserved

POLL_SECONDS = 0.1
STOP_SECONDS = 10.0

START_SECONDS = 30.0
START_SECONDS_A_PEER = 3.0
"""How long all may take to be ready: their start is a second of processor time each."""


class StartFailure(Exception):
    """A peer didn't come up; says which and why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a local group until interrupted; exit status 0, or 1 if it could not be started."""
    options = _parser().parse_args(arguments)
    running: list[PeerProcess] = []
    try:
        with ExitStack() as held:
            settings = held.enter_context(_settings(options))
            held.callback(lambda: end_all(running, seconds=STOP_SECONDS))
            for each in settings:
                running.append(PeerProcess.start(each))
            run_in_reactor(lambda reactor: _serve(running, reactor))
    except (Interrupted, KeyboardInterrupt):
        return 0
    except (StartFailure, AccessPointError, OSError) as error:
        print(f"tools.lan: {error}", file=sys.stderr)
    return 1


async def _serve(processes: Sequence[PeerProcess], reactor: Any) -> None:
    """Say when all are ready, and then whenever one has ended."""
    deadline = reactor.seconds() + START_SECONDS + START_SECONDS_A_PEER * len(processes)
    for process in processes:
        await _ready(process, reactor, deadline)
    for process in processes:
        settings = process.settings
        print("peer", settings.peer_id, settings.access_point, process.process_id, flush=True)
    running = list(processes)
    while True:
        for process in [each for each in running if not each.is_running]:
            running.remove(process)
            print(f"tools.lan: {process.epitaph()}", file=sys.stderr, flush=True)
        await deferLater(reactor, POLL_SECONDS)


async def _ready(process: PeerProcess, reactor: Any, deadline: float) -> None:
    """Wait until the peer can be asked for something."""
    while True:
        if not process.is_running:
            raise StartFailure(process.epitaph())
        try:
            session = await reach(process.settings.access_point, reactor)
            await session.summary()
            await session.close()
        except OperationError as error:
            if reactor.seconds() > deadline:
                raise StartFailure(f"peer {process.settings.peer_id} doesn't answer: {error}") from None
            await deferLater(reactor, POLL_SECONDS)
        else:
            return


@contextmanager
def _settings(options: argparse.Namespace) -> Iterator[list[PeerSettings]]:
    """What each peer is started with; what is reserved for them is theirs until the end."""
    folder = Path(options.dir).absolute()
    with ExitStack() as held:
        control_ports = 0 if options.unix else options.peers
        reservation = held.enter_context(reserved(control_ports=control_ports, random=SystemRandom()))
        peers = []
        for number in range(options.peers):
            peer_folder = folder / f"peer-{options.base_id + number}"
            if options.unix:
                access_point = _socket_in(peer_folder, held)
            else:
                access_point = AccessPoint(host=LOOPBACK, port=reservation.control_ports[number])
            peers.append(
                PeerSettings(
                    peer_id=options.base_id + number,
                    folder=peer_folder,
                    access_point=access_point,
                    options=_peer_options(options, reservation),
                )
            )
        yield peers


def _peer_options(options: argparse.Namespace, reservation: Reservation) -> tuple[str, ...]:
    return (
        f"--mc={reservation.mc}",
        f"--mdb={reservation.mdb}",
        f"--mdr={reservation.mdr}",
        f"--interface={LOOPBACK}",
        "--ttl=0",
        *([f"--protocol-version={options.version}"] if options.version else []),
        *([f"--edition={options.edition}"] if options.edition else []),
        *([f"--capacity={options.capacity}"] if options.capacity is not None else []),
        *options.option,
    )


def _socket_in(folder: Path, held: ExitStack) -> AccessPoint:
    try:
        return AccessPoint.parse(str(folder / "control.sock"))
    except AccessPointError:
        # Too long for a socket, as the folders of tests are.
        short = held.enter_context(tempfile.TemporaryDirectory(prefix="backup-peer-"))
        return AccessPoint.parse(f"{short}/control.sock")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.lan",
        description="Run some peers on this machine alone, in a group of their own, until interrupted.",
        epilog="Example: python -m tools.lan --peers 3 --dir /tmp/group --capacity 100000",
    )
    parser.add_argument("--peers", type=_count, required=True, metavar="N", help="how many peers")
    parser.add_argument("--dir", required=True, help="folder for all they keep; made if missing")
    parser.add_argument("--version", metavar="V", help="protocol version that they speak")
    parser.add_argument(
        "--edition", choices=["type-first", "version-first"], help="order of the header's fields"
    )
    parser.add_argument("--capacity", type=int, metavar="KBYTE", help="disk that each lends, in KByte")
    parser.add_argument("--base-id", type=int, default=1, metavar="ID", help="the first one's id (default 1)")
    parser.add_argument("--unix", action="store_true", help="reach them by Unix sockets instead of TCP ports")
    parser.add_argument(
        "--option", action="append", default=[], help="one more option of each peer, as --option=--ttl=0"
    )
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of peers from 1 up")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
