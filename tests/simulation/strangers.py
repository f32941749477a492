"""Peers of somebody else's in a simulated group: the families of the interoperability work, with all their quirks.

They are no part of what is promised: a copy that a stranger holds is a help while it lasts. But they count for the
peers, which can't tell them from their own kind.
"""

from __future__ import annotations

from random import Random
from typing import Final

from attrs import frozen

from tests.simulation.workload import Users
from tests.support.foreign_peer import ForeignPeer
from tests.support.strangers import FAMILIES, LETTERS

FIRST_STRANGER: Final = 101
"""The peer id of the first stranger; those of ours are smaller."""


class Mortal(ForeignPeer):
    """A stranger that goes deaf for ever at a datagram that it can't read, as so many do."""

    def _take(self, datagram: bytes, source: tuple[str, int]) -> None:
        try:
            super()._take(datagram, source)
        except (IndexError, ValueError):
            self.killed_by = datagram


@frozen
class Joins:
    """A stranger of a family joins the group."""

    peer_id: int
    letter: str

    def __str__(self) -> str:
        return f"a stranger of family {self.letter} joins as peer {self.peer_id}"

    def act(self, users: Users) -> None:
        world = users.world
        host = f"10.0.1.{self.peer_id}"
        world.say(f"peer {self.peer_id}", f"joins, of family {self.letter}")
        # Known before it speaks, for it may greet.
        world.expect_stranger(host, f"peer {self.peer_id}")
        joined = world.strangers[self.peer_id] = Mortal(
            FAMILIES[self.letter],
            self.peer_id,
            network=world.lan.network(host),
            lan=world.lan,
            clock=world.clock,
            random=Random(f"{world.seed} stranger {self.peer_id}"),
        )
        joined.start()


@frozen
class BacksUp:
    """A stranger backs up a file of its own, which ours then hold."""

    peer_id: int
    content: bytes
    degree: int

    def __str__(self) -> str:
        return f"stranger {self.peer_id} backs up {len(self.content)} bytes at degree {self.degree}"

    def act(self, users: Users) -> None:
        joined = users.world.strangers.get(self.peer_id)
        if joined is not None:
            joined.backup("file", self.content, self.degree)


@frozen
class AsksBack:
    """A stranger restores its file."""

    peer_id: int

    def __str__(self) -> str:
        return f"stranger {self.peer_id} restores its file"

    def act(self, users: Users) -> None:
        joined = users.world.strangers.get(self.peer_id)
        if joined is not None and "file" in joined.files:
            joined.restore("file")


@frozen
class Deletes:
    """A stranger deletes its file."""

    peer_id: int

    def __str__(self) -> str:
        return f"stranger {self.peer_id} deletes its file"

    def act(self, users: Users) -> None:
        joined = users.world.strangers.get(self.peer_id)
        if joined is not None and "file" in joined.files:
            joined.delete("file")


@frozen
class GivesUp:
    """A stranger drops a copy that it holds, and says so in its way."""

    peer_id: int
    place: float
    """Which one, from 0 to 1."""

    def __str__(self) -> str:
        return f"stranger {self.peer_id} drops a copy"

    def act(self, users: Users) -> None:
        joined = users.world.strangers.get(self.peer_id)
        if joined is not None and joined.held:
            joined.give_up(sorted(joined.held)[int(self.place * len(joined.held))])


StrangerAct = Joins | BacksUp | AsksBack | Deletes | GivesUp


def draw_strangers(random: Random, storm: float) -> list[tuple[float, StrangerAct]]:
    """What strangers do in a run, if there are any in it."""
    acts: list[tuple[float, StrangerAct]] = []
    for number in range(random.choice((0, 0, 0, 0, 1, 2))):
        peer_id = FIRST_STRANGER + number
        time = random.uniform(0.0, 10.0)
        acts.append((time, Joins(peer_id, random.choice(LETTERS))))
        if random.random() < 0.5:
            time += random.uniform(0.0, 20.0)
            size = random.choice((1, 4_000, 64_000, 70_000))
            acts.append((time, BacksUp(peer_id, random.randbytes(size), random.choice((1, 2, 3)))))
            if random.random() < 0.5:
                acts.append((time + random.uniform(1.0, 40.0), AsksBack(peer_id)))
            if random.random() < 0.5:
                acts.append((time + random.uniform(0.0, 40.0), Deletes(peer_id)))
        for _ in range(random.choice((0, 0, 1, 3))):
            acts.append((random.uniform(20.0, storm), GivesUp(peer_id, random.random())))
    return acts
