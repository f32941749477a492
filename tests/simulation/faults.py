"""What goes wrong in a run. Each fault is a value that says what it is, begins, and ends when its time is over.

When the calm comes all that goes on ends at once.
"""

from __future__ import annotations

import errno
from random import Random
from typing import Protocol, runtime_checkable

from attrs import frozen

from tests.simulation.computer import DISK_BYTES, STORE, USUAL_SLOWNESS, Power
from tests.simulation.transcript import message_of
from tests.simulation.world import World
from tests.support.lan import Link
from tests.support.slots import chunk_slots_on

STRANGER_HOST = "10.0.9.9"


@runtime_checkable
class Fault(Protocol):
    """What goes wrong, from ``begin`` to ``end``."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""

    @property
    def is_trouble(self) -> bool:
        """Whether messages or peers are lost by it, so that 1.0 may miss what happens meanwhile."""

    def begin(self, world: World) -> None: ...

    def end(self, world: World) -> None: ...


@frozen
class BadLan:
    """The LAN loses, doubles or delays; all of it, which is a burst if it is short."""

    seconds: float
    loss: float = 0.0
    duplication: float = 0.0
    max_latency: float = 0.0
    is_trouble: bool = True

    def __str__(self) -> str:
        said = f"for {self.seconds:.2f} s the LAN loses {self.loss:.0%}, doubles {self.duplication:.0%}"
        return f"{said} and takes up to {self.max_latency:.3f} s"

    @property
    def _link(self) -> Link:
        return Link(self.loss, self.duplication, 0.0, self.max_latency)

    def begin(self, world: World) -> None:
        world.bad_links.append(self._link)
        world.set_links()

    def end(self, world: World) -> None:
        world.bad_links.remove(self._link)
        world.set_links()


@frozen
class Deafness:
    """A peer hears nothing, and is still heard."""

    peer_id: int
    seconds: float
    is_trouble: bool = True

    def __str__(self) -> str:
        return f"peer {self.peer_id} is deaf for {self.seconds:.2f} s"

    def begin(self, world: World) -> None:
        world.lan.deafen(world.computers[self.peer_id].host)

    def end(self, world: World) -> None:
        world.lan.give_hearing(world.computers[self.peer_id].host)


@frozen
class Partition:
    """Some peers are cut off from the others."""

    peer_ids: tuple[int, ...]
    seconds: float
    is_trouble: bool = True

    def __str__(self) -> str:
        return f"peers {', '.join(map(str, self.peer_ids))} are cut off for {self.seconds:.2f} s"

    def begin(self, world: World) -> None:
        world.lan.partition(world.computers[peer_id].host for peer_id in self.peer_ids)

    def end(self, world: World) -> None:
        world.lan.heal()


@frozen
class Crash:
    """A peer loses power now, and is started again later."""

    peer_id: int
    seconds: float
    is_torn: bool
    is_trouble: bool = True

    def __str__(self) -> str:
        torn = ", its writes torn" if self.is_torn else ""
        return f"peer {self.peer_id} loses power for {self.seconds:.2f} s{torn}"

    def begin(self, world: World) -> None:
        world.computers[self.peer_id].crash(is_torn=self.is_torn)

    def end(self, world: World) -> None:
        world.computers[self.peer_id].start()


@frozen
class CrashAtWrite:
    """A peer loses power instead of changing its disk for the so-manieth time from now on."""

    peer_id: int
    seconds: float
    changes: int
    is_trouble: bool = True

    def __str__(self) -> str:
        return f"peer {self.peer_id} loses power at its change {self.changes} of the disk"

    def begin(self, world: World) -> None:
        computer = world.computers[self.peer_id]
        if computer.is_running:
            computer.disk.lose_power_at(self.changes)

    def end(self, world: World) -> None:
        computer = world.computers[self.peer_id]
        computer.disk.mend()
        computer.start()


@frozen
class Restart:
    """A peer is stopped in good order, and started again later."""

    peer_id: int
    seconds: float
    is_trouble: bool = True

    def __str__(self) -> str:
        return f"peer {self.peer_id} is stopped for {self.seconds:.2f} s"

    def begin(self, world: World) -> None:
        world.computers[self.peer_id].stop()

    def end(self, world: World) -> None:
        computer = world.computers[self.peer_id]
        if computer.power is Power.STOPPING:
            # It takes its time; whoever wants it back waits for it.
            world.clock.callLater(1.0, self.end, world)
        else:
            computer.start()


@frozen
class Departure:
    """A peer leaves for ever."""

    peer_id: int
    seconds: float = 0.0
    is_trouble: bool = True

    def __str__(self) -> str:
        return f"peer {self.peer_id} leaves for ever"

    def begin(self, world: World) -> None:
        world.computers[self.peer_id].leave()

    def end(self, world: World) -> None:
        """It doesn't come back."""


@frozen
class WallStep:
    """The wall clock of a peer is set to another time."""

    peer_id: int
    step: float
    seconds: float = 0.0
    is_trouble: bool = False

    def __str__(self) -> str:
        return f"the wall clock of peer {self.peer_id} steps by {self.step:.0f} s"

    def begin(self, world: World) -> None:
        world.computers[self.peer_id].wall_step += self.step

    def end(self, world: World) -> None:
        """It stays so."""


@frozen
class BitFlip:
    """A bit of a stored chunk is not any more what it was."""

    peer_id: int
    place: float
    """Which copy and which byte of it, from 0 to 1."""
    seconds: float = 0.0
    is_trouble: bool = False

    def __str__(self) -> str:
        return f"a bit of peer {self.peer_id}'s copies flips"

    def begin(self, world: World) -> None:
        computer = world.computers[self.peer_id]
        if computer.power is Power.GONE:
            return
        found = chunk_slots_on(computer.disk, STORE)
        if not found:
            return
        slot = found[int(self.place * len(found))]
        world.say(computer.name, f"a bit flips in {slot.chunk_id}")
        computer.disk.flip_bit(slot.path, slot.offset + int(self.place * 7919 % 1 * slot.length))
        computer.slot_was_damaged(slot.chunk_id)

    def end(self, world: World) -> None:
        """It stays flipped."""


@frozen
class SlowDisk:
    """The disk of a peer takes its time."""

    peer_id: int
    seconds: float
    slowness: float
    is_trouble: bool = True

    def __str__(self) -> str:
        return f"the disk of peer {self.peer_id} takes up to {self.slowness:.2f} s a call for {self.seconds:.2f} s"

    def begin(self, world: World) -> None:
        world.computers[self.peer_id].set_slowness(self.slowness)

    def end(self, world: World) -> None:
        world.computers[self.peer_id].set_slowness(USUAL_SLOWNESS)


@frozen
class FullDisk:
    """Somebody else fills the disk of a peer."""

    peer_id: int
    seconds: float
    free_bytes: int
    is_trouble: bool = True

    def __str__(self) -> str:
        return f"the disk of peer {self.peer_id} has {self.free_bytes} bytes free for {self.seconds:.2f} s"

    def begin(self, world: World) -> None:
        world.disk_faults += 1
        disk = world.computers[self.peer_id].disk
        disk.resize(DISK_BYTES - disk.free_bytes("/") + self.free_bytes)

    def end(self, world: World) -> None:
        world.computers[self.peer_id].disk.resize(DISK_BYTES)


@frozen
class FailingDisk:
    """Operations of one kind fail on a peer's disk."""

    peer_id: int
    seconds: float
    kind: str
    times: int
    is_trouble: bool = True

    def __str__(self) -> str:
        return f"on the disk of peer {self.peer_id} {self.times} times {self.kind} fails"

    def begin(self, world: World) -> None:
        world.disk_faults += 1
        # SQLite's own files are spared by all but a failing commit.
        world.computers[self.peer_id].disk.fail(self.kind, errno.EIO, where=STORE, times=self.times)

    def end(self, world: World) -> None:
        world.computers[self.peer_id].disk.mend()


@frozen
class Noise:
    """Somebody sends bytes that are no messages: chance's own, and pieces of what was sent before."""

    seed: int
    datagrams: int
    seconds: float = 0.0
    is_trouble: bool = False

    def __str__(self) -> str:
        return f"{self.datagrams} datagrams of noise"

    def begin(self, world: World) -> None:
        random = Random(self.seed)
        network = world.lan.network(STRANGER_HOST)
        groups = [world.groups.mc, world.groups.mdb, world.groups.mdr]
        for _ in range(self.datagrams):
            network.send(random.choice(groups), self._bytes(world, random))
        network.close()

    def end(self, world: World) -> None:
        """What was sent was sent."""

    @staticmethod
    def _bytes(world: World, random: Random) -> bytes:
        sent = bytearray(random.choice(world.overheard) if world.overheard else b"")
        for _ in range(random.randrange(1, 4)):
            if sent and random.random() < 0.7:
                sent[random.randrange(min(len(sent), 120))] = random.randrange(256)
            elif sent and random.random() < 0.5:
                del sent[random.randrange(len(sent)) :]
            else:
                sent += random.randbytes(random.choice((0, 1, 3, 80)))
        # What chance has made a message of is left out: the base protocol trusts whoever speaks it.
        return bytes(sent) if isinstance(message_of(bytes(sent)), bytes) else b"\x00"
