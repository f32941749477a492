"""A LAN of hosts on this machine, each a network namespace, and nothing of it in the machine's own network.

A namespace here has no name: it lives as long as a process that was started in it, and that process no longer than
who made the LAN, however that ends. The bridge is in a namespace of its own and has no address; no host has a route
to anywhere but the LAN.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from attrs import define, field

from tests.functional.hosts.drops import DROP_EVERYTHING, drop_some
from tools.tied import tied

MTU: Final = 1500
_NEEDED = ("ip", "tc", "unshare", "nsenter")
_INTERFACE = "lan"


class Impossible(Exception):
    """This machine doesn't allow it; says which command refused, and with what words."""


@define
class Namespace:
    """A network namespace, and the process that keeps it."""

    _anchor: "subprocess.Popen[str]"

    @classmethod
    def make(cls) -> "Namespace":
        """Make an empty one. Raises Impossible."""
        anchor = subprocess.Popen(
            tied(["unshare", "--net", "--", "sh", "-c", "echo made; exec sleep infinity"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C is for who made the LAN, who ends what runs in it first.
            start_new_session=True,
        )
        assert anchor.stdout is not None
        if anchor.stdout.readline() != "made\n":
            raise Impossible(f"unshare: {anchor.communicate()[1].strip()}")
        return cls(anchor)

    @property
    def process_id(self) -> int:
        """That of the process that keeps it."""
        return self._anchor.pid

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command that runs `command` in it, under the same process id."""
        return ["nsenter", f"--net=/proc/{self.process_id}/ns/net", "--", *command]

    def run(self, *command: str, lines: Sequence[str] = ()) -> str:
        """Run `command` in it, with `lines` as its input; gives what it prints. Raises Impossible."""
        done = subprocess.run(
            self.inside(command),
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        if done.returncode:
            raise Impossible(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def end(self) -> None:
        """Let it go: the kernel removes it with its interfaces."""
        self._anchor.kill()
        self._anchor.communicate()


@define
class Host:
    """One computer of the LAN."""

    address: str
    namespace: Namespace

    def lose(self, share: float) -> None:
        """From now on, lose this share of the datagrams that come from others. Skips the test where tc can't."""
        self._filter(drop_some(share))

    def deafen(self) -> None:
        """Let nothing come in from others, while what it sends goes out. Skips the test where tc can't."""
        self._filter(DROP_EVERYTHING)

    def give_hearing(self) -> None:
        """Let everything come in again."""
        self.namespace.run("tc", "filter", "del", "dev", _INTERFACE, "ingress")

    def shape(self, rate: str) -> None:
        """From now on, send at this rate as `tc` writes it (1gbit), however much waits. Raises Impossible."""
        # What waits is bounded by the sockets, as it is above a real card: the queue is larger than they are.
        self.namespace.run(
            *("tc", "qdisc", "add", "dev", _INTERFACE, "root", "tbf"),
            *("rate", rate, "burst", "256kb", "limit", "64mb"),
        )

    @property
    def packets_dropped(self) -> int:
        """How many packets `lose` and `deafen` have dropped; a fragment is one."""
        told = self.namespace.run("tc", "-s", "qdisc", "show", "dev", _INTERFACE, "clsact")
        return int(told.partition("(dropped ")[2].partition(",")[0])

    @property
    def ip_counters(self) -> dict[str, int]:
        """The kernel's counters of IP, such as FragCreates and ReasmOKs."""
        names, values = self.namespace.run("grep", "^Ip:", "/proc/net/snmp").splitlines()
        return {name: int(value) for name, value in zip(names.split()[1:], values.split()[1:], strict=True)}

    def _filter(self, program: str) -> None:
        try:
            self.namespace.run("tc", "qdisc", "replace", "dev", _INTERFACE, "clsact")
            self.namespace.run("tc", "filter", "del", "dev", _INTERFACE, "ingress")
            self.namespace.run(
                "tc", "filter", "add", "dev", _INTERFACE, "ingress", "bpf", "da", "bytecode", program
            )
        except Impossible as error:
            pytest.skip(f"this machine can't lose packets on purpose: {error}")


@define
class HostLan:
    """The hosts, and the bridge between them."""

    bridge: Namespace
    hosts: list[Host] = field(factory=list)

    @classmethod
    def make(cls) -> "HostLan":
        """A bridge alone. Raises Impossible."""
        lan = cls(Namespace.make())
        # Without snooping it brings every group to every host, as a plain switch does.
        lan.bridge.run(
            "ip", "link", "add", "bridge", "mtu", str(MTU), "type", "bridge", "mcast_snooping", "0"
        )
        lan.bridge.run("ip", "link", "set", "bridge", "up")
        return lan

    def add(self) -> Host:
        """Plug one more computer in. Raises Impossible."""
        number = len(self.hosts) + 1
        host = Host(f"10.77.0.{number}", Namespace.make())
        self.hosts.append(host)
        port = f"port{number}"
        self.bridge.run(
            "ip",
            "-batch",
            "-",
            lines=[
                f"link add {port} mtu {MTU} type veth peer name {_INTERFACE} mtu {MTU} "
                f"netns {host.namespace.process_id}",
                f"link set {port} master bridge up",
            ],
        )
        host.namespace.run(
            "ip",
            "-batch",
            "-",
            lines=[
                "link set lo up",
                f"address add {host.address}/24 dev {_INTERFACE}",
                f"link set {_INTERFACE} up",
            ],
        )
        return host

    def end(self) -> None:
        """Remove everything."""
        for host in self.hosts:
            host.namespace.end()
        self.bridge.end()


@contextmanager
def lan_of_hosts(count: int) -> Iterator[HostLan]:
    """A LAN of so many hosts, removed at the end of the block. Skips the test where the machine doesn't allow it."""
    missing = [command for command in _NEEDED if shutil.which(command) is None]
    if missing or not Path("/proc/net/snmp").exists():
        pytest.skip(f"network namespaces need Linux and the commands {', '.join(missing or _NEEDED)}")
    if os.geteuid() != 0:
        pytest.skip("network namespaces are made by root alone")
    lan: HostLan | None = None
    try:
        lan = HostLan.make()
        for _ in range(count):
            lan.add()
    except Impossible as error:
        if lan is not None:
            lan.end()
        pytest.skip(f"this machine allows no network namespaces: {error}")
    try:
        yield lan
    finally:
        lan.end()
