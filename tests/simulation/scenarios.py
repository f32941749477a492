"""Stories told as text: commands, and the transcript that they must give. ``tests/scenarios/*.txt``.

    # Why this story is told, and which rules of SPEC.md it shows.
    > group 3                                 three peers, started
    > peer 1 writes /home/photo 70000         a file of so many bytes
    > peer 1 BACKUP /home/photo 2             does it to its end; so RESTORE, DELETE, RECLAIM
         0.0123  peer 1   PUTCHUNK F1/0 …     what then happened, up to the next command
    > peer 1 begins RECLAIM 0                 begins it only
    > wait 5                                  lets so many seconds pass
    > peer 2 crashes                          or starts, stops, leaves
    > peer 1 misses peer 2                    nothing that peer 2 sends reaches peer 1, until: peer 1 hears peer 2
    > a bit flips at peer 2                   in one of its copies
    > a stranger D joins as 101               of a family of real peers
    > copies                                  who has which chunk

``python -m tests.simulation.scenarios --rewrite`` writes what happens now into the files; the difference is then
to be read, and to be wanted.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from attrs import frozen

from protocol.values import ChunkId
from tests.simulation.computer import Computer
from tests.simulation.faults import BitFlip
from tests.simulation.run import undisturbed
from tests.simulation.strangers import Joins
from tests.simulation.workload import Act, Backup, Delete, Reclaim, Restore, Users, Write
from tests.simulation.world import World
from tests.support.lan import Link

SCENARIOS: Final = Path(__file__).parent.parent / "scenarios"
CAPACITY: Final = 10_000_000
PATIENCE: Final = 2_000.0
WIRE: Final = Link(min_latency=0.001, max_latency=0.001)


class ScenarioError(ValueError):
    """A scenario has a command that nobody knows."""


@frozen
class Step:
    """A command, what stands above it, and what must come of it."""

    preamble: tuple[str, ...]
    command: str
    expected: tuple[str, ...]


def read_scenario(text: str) -> list[Step]:
    """The steps of a scenario."""
    steps: list[Step] = []
    preamble: list[str] = []
    for line in text.splitlines():
        if line.startswith("> "):
            steps.append(Step(tuple(preamble), line[2:], ()))
            preamble.clear()
        elif line.startswith(" "):
            last = steps[-1]
            steps[-1] = Step(last.preamble, last.command, (*last.expected, line))
        else:
            preamble.append(line)
    return steps


def play_scenario(steps: list[Step], seed: int) -> str:
    """The text of the scenario as it goes now."""
    stage = Stage(seed)
    lines: list[str] = []
    with undisturbed(), stage.world.observing_logs():
        for step in steps:
            lines += [*step.preamble, f"> {step.command}", *stage.perform(step.command)]
        stage.world.bury_the_dead()
        gc.collect()
    return "\n".join(lines) + "\n"


class Stage:
    """Where a scenario is played: a group that does what it is told."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        # Only the protocol's own delays are left to chance, so that a story changes only when the protocol does.
        self.world.lan.link = self.world.lan.loopback = WIRE
        self.users = Users(self.world)
        self._random = Random(f"{seed} scenario")
        self._commands: dict[str, Callable[..., None]] = {
            r"group (\d+)": self._group,
            r"peer (\d+) writes (\S+) (\d+)": self._write,
            r"peer (\d+) (begins )?(BACKUP|RESTORE|DELETE|RECLAIM) (\S+) ?(\d*)": self._operate,
            r"wait ([\d.]+)": lambda seconds: self.world.run(float(seconds)),
            r"peer (\d+) starts": lambda peer: self._computer(peer).start(),
            r"peer (\d+) crashes": lambda peer: self._computer(peer).crash(is_torn=False),
            r"peer (\d+) leaves": lambda peer: self._computer(peer).leave(),
            r"peer (\d+) stops": self._stop,
            r"peer (\d+) misses peer (\d+)": lambda hearer, sender: self._link(
                hearer, sender, Link(loss=1.0)
            ),
            r"peer (\d+) hears peer (\d+)": lambda hearer, sender: self._link(hearer, sender, WIRE),
            r"a bit flips at peer (\d+)": self._flip,
            r"a stranger (\w) joins as (\d+)": lambda letter, peer: Joins(int(peer), letter).act(self.users),
            r"copies": self._tell_copies,
        }

    def perform(self, command: str) -> Iterator[str]:
        """Do what a command says: the lines of transcript that it gives."""
        before = len(self.world.transcript)
        for pattern, perform in self._commands.items():
            found = re.fullmatch(pattern, command)
            if found is not None:
                perform(*found.groups())
                break
        else:
            raise ScenarioError(f"nobody knows what {command!r} means")
        yield from self.world.transcript.lines(before)

    def _computer(self, peer_id: str) -> Computer:
        return self.world.computers[int(peer_id)]

    def _group(self, peers: str) -> None:
        for number in range(int(peers)):
            computer = Computer(self.world, number + 1, CAPACITY, slowness=0.0)
            self.world.add(computer)
            computer.start()
        self.world.run(1.0)

    def _write(self, peer_id: str, path: str, size: str) -> None:
        Write(int(peer_id), path, self._random.randbytes(int(size))).act(self.users)

    def _operate(self, peer_id: str, begins: str | None, name: str, operand: str, degree: str) -> None:
        acts: dict[str, Callable[[], Act]] = {
            "BACKUP": lambda: Backup(int(peer_id), operand, int(degree)),
            "RESTORE": lambda: Restore(int(peer_id), operand),
            "DELETE": lambda: Delete(int(peer_id), operand),
            "RECLAIM": lambda: Reclaim(int(peer_id), int(operand)),
        }
        acts[name]().act(self.users)
        if begins is None:
            self.world.run(PATIENCE, lambda: not self.users.pending())

    def _stop(self, peer_id: str) -> None:
        stopped: list[Any] = []
        stopping = self._computer(peer_id).stop()
        assert stopping is not None
        stopping.addBoth(stopped.append)
        self.world.run(PATIENCE, lambda: bool(stopped))

    def _link(self, hearer: str, sender: str, link: Link) -> None:
        self.world.lan.set_link(self._computer(sender).host, self._computer(hearer).host, link)

    def _flip(self, peer_id: str) -> None:
        BitFlip(int(peer_id), self._random.random()).begin(self.world)

    def _tell_copies(self) -> None:
        facts = self.world.facts
        chunk_ids: set[ChunkId] = set().union(*(copies.held for copies in facts.copies.values()))
        names = {chunk_id: self.world.transcript.name(chunk_id.file_id) for chunk_id in chunk_ids}
        for chunk_id in sorted(chunk_ids, key=lambda one: (int(names[one][1:]), one.chunk_no)):
            peers = ", ".join(str(peer_id) for peer_id in facts.holders(chunk_id)) or "nobody"
            self.world.say("", f"{names[chunk_id]}/{chunk_id.chunk_no} is held by {peers}")
        if not chunk_ids:
            self.world.say("", "nobody holds anything")


def seed_of(path: Path) -> int:
    """The seed of a scenario's chance: its own, and the same on every machine."""
    return sum(path.stem.encode())


def main(arguments: list[str]) -> int:
    """Play all scenarios; say which differ, or write them anew."""
    differing = 0
    for path in sorted(SCENARIOS.glob("*.txt")):
        text = path.read_text("utf-8")
        now = play_scenario(read_scenario(text), seed_of(path))
        if now != text:
            differing += 1
            print(f"{path.name} differs")
            if "--rewrite" in arguments:
                path.write_text(now, "utf-8")
    return 1 if differing and "--rewrite" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
