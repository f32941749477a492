"""The snoop as a command, on real multicast that stays on this machine."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom

import pytest

from protocol.codec import serialize
from protocol.messages import Stored
from protocol.values import VERSION_1_0, FileId, PeerId
from tests.support.signals import heeded
from tools.peer_process import PROJECT
from tools.reservation import LOOPBACK, Reservation, reserved
from tools.tied import tied

pytestmark = pytest.mark.functional

STORED = serialize(Stored(VERSION_1_0, PeerId(7), FileId(bytes(32)), 0))


@contextmanager
def groups() -> Iterator[Reservation]:
    with reserved(control_ports=0, random=SystemRandom()) as reservation:
        yield reservation


@contextmanager
def snoop(reservation: Reservation, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """A snoop that has joined the groups."""
    command = [sys.executable, "-m", "tools.snoop", f"--interface={LOOPBACK}", *options]
    command += [f"--mc={reservation.mc}", f"--mdb={reservation.mdb}", f"--mdr={reservation.mdr}"]
    with heeded(signal.SIGINT):
        process = subprocess.Popen(
            tied(command),
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Listening to ")
        yield process
    finally:
        process.kill()
        process.communicate()


def say(datagram: bytes, group: str) -> None:
    """Multicast on the loopback interface."""
    host, port = group.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        sender.sendto(datagram, (host, int(port)))


def test_ctrl_c_ends_it_with_the_summary() -> None:
    with groups() as reservation, snoop(reservation) as process:
        say(STORED, reservation.mc)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "MC" in line
        assert "STORED   1.0 from 7  00000000…/0" in line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, "")
        assert "1 datagrams" in out


def test_its_time_ends_it_with_the_summary() -> None:
    with groups() as reservation, snoop(reservation, "--seconds=0.2") as process:
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err, out) == (0, "", "\n0 datagrams, 0 bytes\n")


def test_objects_are_one_a_line_and_the_summary_the_last() -> None:
    with groups() as reservation:
        command = [sys.executable, "-m", "tools.snoop", f"--interface={LOOPBACK}", "--json", "--seconds=0.2"]
        command += [f"--mc={reservation.mc}", f"--mdb={reservation.mdb}", f"--mdr={reservation.mdr}"]
        ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
        assert (ran.returncode, ran.stderr) == (0, "")
        (last,) = map(json.loads, ran.stdout.splitlines())
        assert last["summary"]["datagrams"] == 0


@pytest.mark.parametrize(
    "option", ["--type=HELLO", "--file=xyz", "--sender=-1", "--seconds=0", "--count=0", "--mc=10.0.0.1:1"]
)
def test_wrong_usage_is_refused(option: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tools.snoop", option],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


def test_a_network_that_is_not_there_is_said_in_one_sentence() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tools.snoop", "--interface=192.0.2.1"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("tools.snoop: Can't")
    assert ran.stderr.count("\n") == 1
