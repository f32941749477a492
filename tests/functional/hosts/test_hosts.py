"""The LAN of hosts itself: real fragments, nothing of it in the machine's own network, nothing left of it."""

import os
import signal
import subprocess
import sys

import pytest

from tests.functional.group import eventually, is_alive
from tests.functional.hosts.drops import drop_some
from tests.functional.hosts.lan import lan_of_hosts
from tools.peer_process import PROJECT
from tools.tied import tied

pytestmark = pytest.mark.functional

SPEAK = """
import socket, sys
address, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
for number in range(count):
    speaker.sendto(bytes(size), ("239.192.7.2", 7002))
"""

MAKE_AND_WAIT = """
from tests.functional.hosts.lan import lan_of_hosts
with lan_of_hosts(2) as lan:
    print(*(space.process_id for space in [lan.bridge, *(host.namespace for host in lan.hosts)]), flush=True)
    input()
"""


def machine_s_network() -> str:
    """The machine's own interfaces, addresses and routes."""
    commands = (["ip", "-oneline", "link"], ["ip", "-brief", "address"], ["ip", "route"], ["ip", "rule"])
    told = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in commands
    ]
    return "".join(told)


def test_hosts_hear_each_other_in_fragments_and_nobody_else_does() -> None:
    with lan_of_hosts(0):
        before = machine_s_network()
    with lan_of_hosts(3) as lan:
        assert machine_s_network() == before
        sender, *others = lan.hosts
        assert "bridge" in lan.bridge.run("ip", "-brief", "link")
        assert lan.bridge.run("ip", "-4", "address") == ""
        for host in lan.hosts:
            [route] = host.namespace.run("ip", "route").splitlines()
            assert route.startswith("10.77.0.0/24 dev lan ")
        sender.namespace.run(sys.executable, "-c", SPEAK, sender.address, "64000", "2")
        # 64,008 bytes of UDP, 1,480 a fragment.
        assert sender.ip_counters["FragCreates"] == 2 * 44
        for host in others:
            assert host.ip_counters["InReceives"] >= 2 * 44
    assert machine_s_network() == before


def test_what_is_lost_is_whole_datagrams_as_many_as_was_asked_for() -> None:
    with lan_of_hosts(2) as lan:
        sender, receiver = lan.hosts
        receiver.lose(0.05)
        sender.namespace.run(sys.executable, "-c", SPEAK, sender.address, "64000", "400")
        assert receiver.packets_dropped % 44 == 0
        assert 10 <= receiver.packets_dropped // 44 <= 30
        before = receiver.packets_dropped
        sender.namespace.run(sys.executable, "-c", SPEAK, sender.address, "100", "2000")
        assert 50 <= receiver.packets_dropped - before <= 160


def test_a_deaf_host_hears_nothing_until_it_is_given_its_hearing_again() -> None:
    with lan_of_hosts(2) as lan:
        sender, receiver = lan.hosts
        receiver.deafen()
        heard = receiver.ip_counters["InReceives"]
        sender.namespace.run(sys.executable, "-c", SPEAK, sender.address, "100", "5")
        assert receiver.ip_counters["InReceives"] == heard
        assert receiver.packets_dropped >= 5
        receiver.give_hearing()
        sender.namespace.run(sys.executable, "-c", SPEAK, sender.address, "100", "5")
        assert receiver.ip_counters["InReceives"] >= heard + 5


def test_the_program_that_drops_jumps_within_itself() -> None:
    count, *words = drop_some(0.5).rstrip(",").split(",")
    assert int(count) == len(words)
    for place, word in enumerate(words):
        _code, yes, no, _operand = map(int, word.split())
        assert place + 1 + max(yes, no) < len(words) + 1


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_who_made_it_is_interrupted_or_killed(sent: signal.Signals) -> None:
    with lan_of_hosts(0):
        before = machine_s_network()
    maker = subprocess.Popen(
        tied([sys.executable, "-c", MAKE_AND_WAIT]),
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert maker.stdout is not None
        anchors = [int(word) for word in maker.stdout.readline().split()]
        assert len(anchors) == 3
        assert all(is_alive(anchor) for anchor in anchors)
    finally:
        maker.send_signal(sent)
        maker.communicate(timeout=20)
    for anchor in anchors:
        eventually(lambda anchor=anchor: not is_alive(anchor), "the namespace is gone")  # type: ignore[misc]
    assert machine_s_network() == before
