"""What a run stands on: the hosts of its peers, and the network between them. Nothing of it leaves the machine."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import SystemRandom

from attrs import frozen

from peer.config import DEFAULT_GROUPS
from tests.bench.failure import BenchFailure
from tests.bench.options import BRIDGE, LOOPBACK
from tests.functional.hosts.lan import MTU, HostLan, Impossible
from tools.reservation import LOOPBACK as LOOPBACK_ADDRESS
from tools.reservation import reserved

_WITHOUT_PRIVILEGE = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--")
"""The one that lets a socket's buffers be larger than the system's limit."""


@frozen(kw_only=True)
class Place:
    """Where one peer runs, and what others run in its stead for comparison."""

    address: str
    _entering: tuple[str, ...] = ()
    _dropping: tuple[str, ...] = ()

    def inside(self, command: Sequence[str] = ()) -> list[str]:
        """The command that runs `command` there, with the privilege of the run."""
        return [*self._entering, *self._dropping, *command]

    def beside(self, command: Sequence[str] = ()) -> list[str]:
        """The command that runs `command` there, with whatever privilege this process has."""
        return [*self._entering, *command]


@frozen(kw_only=True)
class Ground:
    """A network with room for an initiator, at the first place, and holders at the others."""

    network: str
    """LOOPBACK or BRIDGE."""
    places: tuple[Place, ...]
    mc: str
    mdb: str
    mdr: str
    ttl: int
    link_rate: str | None = None

    @property
    def initiator(self) -> Place:
        """Where files are backed up from."""
        return self.places[0]

    @property
    def holders(self) -> tuple[Place, ...]:
        """Where they are backed up to."""
        return self.places[1:]

    @property
    def is_loopback(self) -> bool:
        """Whether all are one host."""
        return self.network == LOOPBACK

    @property
    def text(self) -> str:
        """What it is, in a few words."""
        if self.is_loopback:
            return "loopback"
        return f"bridge at MTU {MTU}" + (f", link of {self.link_rate}" if self.link_rate else "")


@contextmanager
def loopback(count: int, *, is_privileged: bool = True) -> Iterator[Ground]:
    """One host for all, in groups that no other group on the machine has, with TTL 0."""
    dropping = () if is_privileged else _without_privilege()
    with reserved(control_ports=0, random=SystemRandom()) as reservation:
        yield Ground(
            network=LOOPBACK,
            places=(Place(address=LOOPBACK_ADDRESS, dropping=dropping),) * count,
            mc=reservation.mc,
            mdb=reservation.mdb,
            mdr=reservation.mdr,
            ttl=0,
        )


@contextmanager
def bridge(count: int, *, link_rate: str | None = None) -> Iterator[Ground]:
    """A network namespace for each, and a bridge between them; the initiator's link may be shaped."""
    if os.geteuid() != 0:
        raise BenchFailure("network namespaces are made by root alone: run it by sudo, or on loopback")
    lan: HostLan | None = None
    try:
        lan = HostLan.make()
        hosts = [lan.add() for _ in range(count)]
        if link_rate is not None:
            hosts[0].shape(link_rate)
        yield Ground(
            network=BRIDGE,
            places=tuple(
                Place(address=host.address, entering=tuple(host.namespace.inside([]))) for host in hosts
            ),
            mc=str(DEFAULT_GROUPS.mc),
            mdb=str(DEFAULT_GROUPS.mdb),
            mdr=str(DEFAULT_GROUPS.mdr),
            ttl=1,
            link_rate=link_rate,
        )
    except (Impossible, FileNotFoundError) as error:
        raise BenchFailure(f"this machine allows no network namespaces: {error}") from None
    finally:
        if lan is not None:
            lan.end()


def _without_privilege() -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    if shutil.which(_WITHOUT_PRIVILEGE[0]) is None:
        raise BenchFailure(
            "there is no setpriv here (Debian's util-linux), by which a process gives up privileges"
        )
    return _WITHOUT_PRIVILEGE
