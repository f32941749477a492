"""What a seed stands for: the group, what its users do, and what goes wrong, each at its time.

A plan is drawn once and then played. So a fault can be left out, to see whether the run still fails without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random
from typing import Final

from attrs import evolve, frozen

from protocol.values import CHUNK_SIZE
from tests.simulation import faults
from tests.simulation.faults import Fault
from tests.simulation.strangers import StrangerAct, draw_strangers
from tests.simulation.workload import Act, Backup, Delete, Reclaim, Restore, Write
from tests.support.lan import Link

STORM: Final = 90.0
"""Seconds in which users and faults begin what they do."""

AFTERMATH: Final = 150.0
"""When users do what they do after the faults; what came before has settled by then."""

HICCUP: Final = 0.9
"""Seconds in which a LAN at rest loses everything: the first attempt, but no second one."""

_SIZES: Final = (0, 1, 700, 4_001, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE, 150_000)
_CAPACITIES: Final = (10_000_000, 10_000_000, 640_000, 260_000)
_LATENCIES: Final = (0.000_5, 0.000_5, 0.005, 0.05, 0.3)


@frozen
class Planned:
    """One thing that happens in a run. Its key names it in commands: f3 a fault, u3 a user's act, s3 a stranger's."""

    key: str
    at: float
    what: Fault | Act | StrangerAct

    def __str__(self) -> str:
        return f"{self.key:>4} {self.at:8.3f}  {self.what}"


@frozen
class Plan:
    """See the module."""

    seed: int
    capacities: tuple[int, ...]
    """Of the peers 1, 2 and so on, in bytes."""
    read_seconds: tuple[float, ...]
    """What reading one datagram takes each of them, and 0 for no time at all."""
    starts: tuple[float, ...]
    """When each of them is switched on first."""
    scrubs: tuple[float | None, ...]
    """In how many seconds each of them scrubs its store; None: it never does."""
    link: Link
    planned: tuple[Planned, ...]

    @property
    def faults(self) -> list[str]:
        """The keys of what goes wrong."""
        return [planned.key for planned in self.planned if planned.key.startswith("f")]

    def only(self, keys: Collection[str]) -> Plan:
        """The same plan without what isn't among *keys*."""
        return evolve(self, planned=tuple(planned for planned in self.planned if planned.key in keys))


def draw_plan(seed: int) -> Plan:
    """The plan that a seed stands for, always the same."""
    random = Random(f"{seed} plan")
    peers = random.choice((3, 3, 4, 4, 5, 6))
    acts = sorted(_users(random, peers), key=lambda timed: timed[0])
    went_wrong = sorted(
        (_fault(random, peers, acts) for _ in range(_how_many_faults(random))),
        key=lambda timed: timed[0],
    )
    acts += _later_acts(Random(f"{seed} aftermath"), acts)
    acts += _together(Random(f"{seed} together"), peers)
    last_acts, hiccups = _last_backup(Random(f"{seed} last"), peers)
    acts += last_acts
    went_wrong += hiccups
    went_wrong += _later_faults(Random(f"{seed} late faults"), peers)
    went_wrong += _absences(Random(f"{seed} absences"), peers)
    planned = [Planned(f"u{number}", at, act) for number, (at, act) in enumerate(acts, 1)]
    strangers = sorted(draw_strangers(Random(f"{seed} strangers"), STORM), key=lambda timed: timed[0])
    planned += [Planned(f"s{number}", at, act) for number, (at, act) in enumerate(strangers, 1)]
    planned += [Planned(f"f{number}", at, fault) for number, (at, fault) in enumerate(went_wrong, 1)]
    return Plan(
        seed=seed,
        capacities=tuple(random.choice(_CAPACITIES) for _ in range(peers)),
        read_seconds=tuple(0.002 if random.random() < 0.1 else 0.0 for _ in range(peers)),
        starts=_starts(Random(f"{seed} starts"), peers),
        scrubs=_scrubs(Random(f"{seed} scrubs"), peers),
        link=Link(max_latency=random.choice(_LATENCIES)),
        planned=tuple(sorted(planned, key=lambda one: one.at)),
    )


def _starts(random: Random, peers: int) -> tuple[float, ...]:
    # Who comes late has none of the copies that everybody made: a repair finds a place there.
    share = random.choice((0.0, 0.1, 0.5))
    return tuple(random.uniform(0.0, STORM) if random.random() < share else 0.0 for _ in range(peers))


def _scrubs(random: Random, peers: int) -> tuple[float | None, ...]:
    # Without it damage is found by whoever asks, which is to go on being tried.
    share = random.choice((0.0, 0.0, 0.5, 1.0))
    return tuple(random.choice((10.0, 20.0)) if random.random() < share else None for _ in range(peers))


def _later_acts(random: Random, acts: list[tuple[float, Act]]) -> list[tuple[float, Act]]:
    """Restores that find what is damaged, when nothing else goes on."""
    paths = sorted({(act.peer_id, act.path) for _, act in acts if isinstance(act, Backup)})
    return [
        (AFTERMATH + random.uniform(0.0, 8.0), Restore(peer_id, path))
        for peer_id, path in paths
        if random.random() < 0.3
    ]


def _together(random: Random, peers: int) -> list[tuple[float, Act]]:
    """Some peers that give all their disk back at about the same time: none may rely on another that does."""
    if random.random() < 0.85:
        return []
    time = random.choice((random.uniform(5.0, STORM), AFTERMATH + random.uniform(0.0, 5.0)))
    peer_ids = random.sample(range(1, peers + 1), random.randrange(2, peers + 1))
    return [(time + random.uniform(0.0, 3.0), Reclaim(peer_id, 0)) for peer_id in peer_ids]


def _later_faults(random: Random, peers: int) -> list[tuple[float, Fault]]:
    """Bits that flip though all else is calm."""
    return [
        (AFTERMATH - random.uniform(5.0, 30.0), faults.BitFlip(random.randrange(peers) + 1, random.random()))
        for _ in range(random.choice((0, 0, 1, 2, 4)))
    ]


def _last_backup(random: Random, peers: int) -> tuple[list[tuple[float, Act]], list[tuple[float, Fault]]]:
    """A backup in the calm, whose first attempt nobody hears: the second has to do."""
    if random.random() < 0.75:
        return [], []
    at, home = AFTERMATH + 9.0, random.randrange(peers) + 1
    acts: list[tuple[float, Act]] = [
        (at - 0.1, Write(home, "/home/last", _content(random))),
        (at, Backup(home, "/home/last", random.choice((1, 2)))),
    ]
    return acts, [(at - 0.01, faults.BadLan(HICCUP, loss=1.0, is_trouble=False))]


def _absences(random: Random, peers: int) -> list[tuple[float, Fault]]:
    """A peer that is away until all that it has missed is long over."""
    if random.random() < 0.9:
        return []
    return [(random.uniform(5.0, 40.0), faults.Restart(random.randrange(peers) + 1, STORM))]


def _how_many_faults(random: Random) -> int:
    if random.random() < 0.15:
        return 0
    return min(12, 1 + int(random.expovariate(1 / 3.0)))


def _users(random: Random, peers: int) -> list[tuple[float, Act]]:
    acts: list[tuple[float, Act]] = []
    for number in range(random.choice((1, 2, 2, 3, 4))):
        acts += _file(random, peers, f"/home/file{number}")
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        acts.append((random.uniform(5.0, STORM), _reclaim(random, peers)))
    if random.random() < 0.5:
        acts.append((AFTERMATH + random.uniform(0.0, 5.0), _reclaim(random, peers)))
    return acts


def _file(random: Random, peers: int, path: str) -> list[tuple[float, Act]]:
    home = random.randrange(peers) + 1
    degree = min(9, random.choice((1, 1, 2, 2, 2, 3, peers - 1, peers)))
    time = random.uniform(0.5, STORM / 2)
    acts: list[tuple[float, Act]] = [
        (0.0, Write(home, path, _content(random))),
        (time, Backup(home, path, degree)),
    ]
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        time += random.choice((0.3, 5.0, 20.0)) * random.random()
        draw = random.random()
        if draw < 0.35:
            acts.append((time, Restore(home, path)))
        elif draw < 0.6:
            acts.append((time, Write(home, path, _content(random))))
            if random.random() < 0.8:
                acts.append((time + random.random(), Backup(home, path, degree)))
        elif draw < 0.85:
            acts.append((time, Delete(home, path)))
        else:
            acts.append((time, Backup(home, path, min(9, degree + random.randrange(2)))))
    if random.random() < 0.25:
        acts.append((AFTERMATH + random.uniform(0.0, 10.0), Delete(home, path)))
    if random.random() < 0.2:
        acts.append((AFTERMATH + random.uniform(0.0, 10.0), Backup(home, path, degree)))
    return acts


def _content(random: Random) -> bytes:
    size = random.choice(_SIZES) if random.random() < 0.9 else random.randrange(4 * CHUNK_SIZE)
    return random.randbytes(size)


def _reclaim(random: Random, peers: int) -> Reclaim:
    return Reclaim(random.randrange(peers) + 1, random.choice((0, 0, 64, 128, 1_000, 10_000)))


def _fault(random: Random, peers: int, acts: list[tuple[float, Act]]) -> tuple[float, Fault]:
    """A fault and its time: at any moment and any peer, or just when and where a user has something done."""
    at, peer_id = random.uniform(0.0, STORM), random.randrange(peers) + 1
    if random.random() < 0.5:
        time, act = random.choice(acts)
        at = min(time + random.uniform(0.0, 3.0), STORM)
        peer_id = act.peer_id if random.random() < 0.5 else peer_id
    seconds = random.choice((1.0, 5.0, 40.0)) * random.random()
    draws: dict[str, Callable[[], Fault]] = {
        "lan": lambda: faults.BadLan(
            seconds,
            loss=random.choice((0.0, 0.05, 0.2, 0.5)),
            duplication=random.choice((0.0, 0.1, 0.5)),
            max_latency=random.choice((0.0, 0.1, 0.6, 3.0)),
        ),
        "burst": lambda: faults.BadLan(random.uniform(0.05, 3.0), loss=1.0),
        "deaf": lambda: faults.Deafness(peer_id, seconds),
        "partition": lambda: faults.Partition(
            tuple(sorted(random.sample(range(1, peers + 1), random.randrange(1, peers)))), seconds
        ),
        "crash": lambda: faults.Crash(peer_id, seconds, random.random() < 0.6),
        "write": lambda: faults.CrashAtWrite(peer_id, seconds, random.randrange(1, 60)),
        "restart": lambda: faults.Restart(peer_id, seconds),
        "leave": lambda: faults.Departure(peer_id),
        "wall": lambda: faults.WallStep(peer_id, random.choice((-86_400.0, -60.0, 3_600.0, 100 * 86_400.0))),
        "flip": lambda: faults.BitFlip(peer_id, random.random()),
        "slow": lambda: faults.SlowDisk(peer_id, seconds, random.choice((0.05, 0.5, 2.0))),
        "full": lambda: faults.FullDisk(peer_id, seconds, random.choice((0, 10_000, 100_000))),
        "failing": lambda: faults.FailingDisk(
            peer_id,
            seconds,
            random.choice(
                ("read", "create", "write", "sync", "rename", "remove", "sync_directory", "commit")
            ),
            random.randrange(1, 5),
        ),
        "noise": lambda: faults.Noise(random.randrange(2**32), random.randrange(1, 30)),
    }
    weights = {
        "crash": 4,
        "write": 5,
        "lan": 4,
        "burst": 3,
        "restart": 2,
        "leave": 1,
        "partition": 2,
        "deaf": 2,
    }
    kinds = list(draws)
    [kind] = random.choices(kinds, [weights.get(kind, 1) for kind in kinds])
    return at, draws[kind]()
