"""How much real time virtual time costs: ten idle peers for ten minutes, and a backup of 10 MB among them."""

from __future__ import annotations

import time
from random import Random
from typing import Final

from tests.simulation.computer import Computer
from tests.simulation.run import undisturbed
from tests.simulation.workload import Backup, Users, Write
from tests.simulation.world import World

PEERS: Final = 10
MEGABYTE: Final = 1_000_000


def group_of(peers: int, seed: int = 1) -> tuple[World, Users]:
    """A started group with room for all."""
    world = World(seed)
    for number in range(peers):
        computer = Computer(world, number + 1, 200 * MEGABYTE)
        world.add(computer)
        computer.start()
    world.run(1.0)
    return world, Users(world)


def idle_seconds() -> float:
    """Seconds of the processor that ten minutes of ten idle peers take."""
    with undisturbed():
        world, _ = group_of(PEERS)
        began = time.process_time()
        world.run(600.0)
        spent = time.process_time() - began
        world.bury_the_dead()
    return spent


def backup_seconds() -> float:
    """Seconds of the processor that a backup of 10 MB at degree 2 takes in a group of ten."""
    with undisturbed():
        world, users = group_of(PEERS)
        Write(1, "/home/film", Random(1).randbytes(10 * MEGABYTE)).act(users)
        began = time.process_time()
        Backup(1, "/home/film", 2).act(users)
        world.run(600.0, lambda: not users.pending())
        spent = time.process_time() - began
        [backup] = users.operations
        assert backup.result.below_degree == 0, world.violations
        world.bury_the_dead()
    return spent


if __name__ == "__main__":
    print(f"ten idle peers, ten virtual minutes: {idle_seconds():.3f} s")
    print(f"ten peers, a backup of 10 MB: {backup_seconds():.3f} s")
