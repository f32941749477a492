"""The LAN in memory keeps the contract of the real one, and does to datagrams what it was told to, repeatably."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from attrs import define, evolve, field
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from peer.config import GroupAddress
from peer.network import IGroupNetwork
from tests.peer.network_contract import NETWORK_CONTRACT, Ear, Story
from tests.support.clock import SimClock, run_until
from tests.support.lan import Datagram, Link, MemoryLan, MemoryNetwork

GROUP = GroupAddress("239.255.1.1", 4001)


@define
class InMemory:
    """A LAN of hosts in virtual time."""

    virtual: SimClock = field(factory=SimClock)
    lan: MemoryLan = field(init=False)
    groups: list[GroupAddress] = field(init=False)
    hosts: int = 0

    def __attrs_post_init__(self) -> None:
        self.lan = MemoryLan(clock=self.virtual, random=Random(5))
        self.groups = [GROUP, GroupAddress("239.255.1.2", 4001), GroupAddress("239.255.1.3", 4003)]

    @property
    def clock(self) -> IReactorTime:
        return self.virtual

    def open(self) -> IGroupNetwork:
        self.hosts += 1
        return self.lan.network(f"10.0.0.{self.hosts}")

    async def settle(self) -> None:
        await deferLater(self.virtual, 0.01)


@pytest.mark.parametrize("story", NETWORK_CONTRACT, ids=lambda story: story.__name__)
def test_the_network_in_memory_keeps_the_contract(story: Story) -> None:
    world = InMemory()
    run_until(world.virtual, story(world), limit=10.0)


class Wire:
    """Hosts a, b and c that have joined one group, and what each has heard."""

    def __init__(self, seed: int = 1, **options: float) -> None:
        self.clock = SimClock()
        self.lan = MemoryLan(clock=self.clock, random=Random(seed))
        self.networks: dict[str, MemoryNetwork] = {}
        self.ears: dict[str, Ear] = {}
        for host in "abc":
            self.networks[host] = self.lan.network(host, **options)  # type: ignore[arg-type]  # int or float
            self.ears[host] = Ear(self.clock)
            self.networks[host].join(GROUP, self.ears[host])

    def send(self, host: str, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.networks[host].send(GROUP, datagram)
        self.clock.advance(1.0)

    def heard(self) -> dict[str, list[bytes]]:
        return {host: [datagram for datagram, _source in ear.heard] for host, ear in self.ears.items()}

    def counts(self) -> dict[str, int]:
        return {host: len(ear.heard) for host, ear in self.ears.items()}


def _numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def test_datagrams_take_their_time_and_overtake_each_other() -> None:
    wire = Wire()
    times: list[float] = []
    listener = wire.lan.network("d")
    listener.join(GROUP, lambda _datagram, _source: times.append(wire.clock.seconds()))
    wire.send("a", *_numbered(200))
    assert 0.000_05 <= times[0] < times[-1] <= 0.000_5
    heard = wire.heard()
    assert sorted(heard["b"]) == sorted(_numbered(200))
    assert heard["b"] != _numbered(200)
    assert heard["b"] != heard["c"]


def test_the_same_seed_gives_the_same_run() -> None:
    runs = []
    for seed in (3, 3, 4):
        wire = Wire(seed)
        wire.lan.link = Link(loss=0.3, duplication=0.2)
        wire.send("a", *_numbered(100))
        runs.append(wire.heard())
    assert runs[0] == runs[1] != runs[2]


def test_a_link_loses_and_duplicates_as_often_as_it_was_told() -> None:
    wire = Wire()
    wire.lan.set_link("a", "b", Link(loss=0.25))
    wire.lan.set_link("a", "c", Link(duplication=0.1))
    wire.send("a", *_numbered(4_000))
    counts = wire.counts()
    assert counts["a"] == 4_000
    assert 2_850 < counts["b"] < 3_150
    assert 4_300 < counts["c"] < 4_500
    assert max(Counter(wire.heard()["c"]).values()) == 2

    wire.send("b", b"the other direction")
    assert wire.counts()["a"] == 4_001


def test_the_link_of_the_lan_holds_between_hosts_and_not_within_one() -> None:
    wire = Wire()
    wire.lan.link = evolve(wire.lan.link, loss=1.0)
    wire.send("a", b"1")
    assert wire.counts() == {"a": 1, "b": 0, "c": 0}
    wire.lan.loopback = Link(loss=1.0)
    wire.send("a", b"2")
    assert wire.counts() == {"a": 1, "b": 0, "c": 0}


def test_a_partition_cuts_both_ways_until_it_is_healed() -> None:
    wire = Wire()
    wire.lan.partition({"a", "b"})
    wire.send("a", b"1")
    wire.send("c", b"2")
    assert wire.heard() == {"a": [b"1"], "b": [b"1"], "c": [b"2"]}
    wire.lan.partition({"b"})
    wire.send("a", b"3")
    assert wire.counts() == {"a": 2, "b": 1, "c": 1}
    wire.lan.heal()
    wire.send("a", b"4")
    assert wire.counts() == {"a": 3, "b": 2, "c": 2}


def test_a_deaf_host_is_heard() -> None:
    wire = Wire()
    wire.lan.deafen("a")
    wire.send("a", b"1")
    wire.send("b", b"2")
    assert sorted(wire.heard()["b"]) == [b"1", b"2"]
    assert wire.heard()["a"] == []
    wire.lan.give_hearing("a")
    wire.send("b", b"3")
    assert wire.heard()["a"] == [b"3"]


def test_a_receiver_too_slow_for_its_buffer_loses_the_end_of_a_burst() -> None:
    """As limits go on Linux: 212,992 bytes hold three chunks."""
    wire = Wire(receive_buffer_bytes=212_992, read_seconds=0.001)
    wire.send("a", *[bytes(64_000) for _chunk in range(10)])
    assert wire.counts() == {"a": 3, "b": 3, "c": 3}
    assert wire.networks["b"].overruns == 7

    wire.send("a", b"there is room again")
    assert wire.heard()["b"][-1] == b"there is room again"


def test_a_tap_sees_every_datagram_once_whatever_becomes_of_it() -> None:
    wire = Wire()
    seen: list[Datagram] = []
    wire.lan.tap(seen.append)
    wire.lan.link = Link(loss=1.0)
    wire.clock.advance(2.5)
    wire.send("b", b"lost")
    assert seen == [Datagram(2.5, wire.networks["b"].own_address, GROUP, b"lost")]


def test_what_was_under_way_to_a_closed_network_is_lost() -> None:
    wire = Wire(read_seconds=0.01)
    wire.networks["a"].send(GROUP, b"1")
    wire.clock.advance(0.005)
    wire.networks["b"].close()
    wire.networks["a"].send(GROUP, b"2")
    wire.networks["c"].close()
    wire.clock.advance(1.0)
    assert wire.counts() == {"a": 2, "b": 0, "c": 0}


def test_peers_of_one_host_have_addresses_of_their_own() -> None:
    wire = Wire()
    assert wire.lan.network("a").own_address != wire.networks["a"].own_address
