"""Playing a plan: the storm, the calm after it, what users do then, the look at what is left, and the end."""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from attrs import frozen
from twisted.logger import globalLogPublisher

from storage.interfaces import VersionState
from tests.simulation.computer import Computer, Power
from tests.simulation.facts import Version, Violation
from tests.simulation.faults import Fault
from tests.simulation.invariants import Excused, Inspection
from tests.simulation.plan import AFTERMATH, HICCUP, STORM, Plan, Planned, draw_plan
from tests.simulation.transcript import Transcript
from tests.simulation.workload import Restore, Users
from tests.simulation.world import World
from tests.support.lan import Link

SETTLING = 60.0
"""Seconds after which nothing is under way any more that the last event has set off."""

PATIENCE = 3_000.0
"""Seconds that operations may go on after the last one began."""


@frozen
class Outcome:
    """What came of a run."""

    seed: int
    violation: Violation | None
    excused: tuple[Excused, ...]
    transcript: Transcript
    virtual_seconds: float
    operations: int


class Run:
    """One plan, played once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.world = world = World(plan.seed)
        self.users = Users(world)
        self._going_on: dict[str, Fault] = {}
        self._is_calm = False
        world.usual_link = plan.link
        world.set_links()
        for number, capacity in enumerate(plan.capacities):
            world.add(
                Computer(
                    world,
                    number + 1,
                    capacity,
                    read_seconds=plan.read_seconds[number],
                    receive_buffer_bytes=200_000 if plan.read_seconds[number] else 2**26,
                    scrub_period=plan.scrubs[number],
                )
            )

    def play(self) -> Outcome:
        """Play the plan to its end, or to the first promise that is broken."""
        world = self.world
        with undisturbed(), world.observing_logs():
            inspection = self._play()
            # What nobody has looked at, such as the failure of a Deferred, is told of now.
            gc.collect()
            violations = tuple(world.violations)
            outcome = Outcome(
                seed=self._plan.seed,
                violation=violations[0] if violations else None,
                excused=tuple(inspection.excused),
                transcript=world.transcript,
                virtual_seconds=world.clock.seconds(),
                operations=len(self.users.operations),
            )
            world.bury_the_dead()
            self.users.operations.clear()
            gc.collect()
        return outcome

    def _play(self) -> Inspection:
        world = self.world
        inspection = Inspection(world)
        for computer, at in zip(world.computers.values(), self._plan.starts, strict=True):
            world.clock.callLater(at, computer.start)
        for planned in self._plan.planned:
            world.clock.callLater(planned.at, self._act, planned)
        world.run(STORM)
        self._calm()
        world.run(AFTERMATH + 10.0 - world.clock.seconds())
        self._settle()
        if not world.violations:
            inspection.inspect()
        if not world.violations:
            self._restore_all(inspection)
        self._stop_all()
        return inspection

    def _act(self, planned: Planned) -> None:
        what = planned.what
        if isinstance(what, Fault):
            self._begin(planned.key, what)
        else:
            what.act(self.users)

    def _begin(self, key: str, fault: Fault) -> None:
        world = self.world
        world.say("fault", f"{key}: {fault}")
        self._going_on[key] = fault
        fault.begin(world)
        if fault.is_trouble:
            world.troubles.append((world.clock.seconds(), world.clock.seconds() + fault.seconds + SETTLING))
        world.clock.callLater(fault.seconds, self._end, key)

    def _end(self, key: str) -> None:
        fault = self._going_on.pop(key, None)
        if fault is not None:
            self.world.say("fault", f"{key} is over")
            fault.end(self.world)

    def _calm(self) -> None:
        world = self.world
        world.say("fault", "all faults are over")
        world.calm_since = world.clock.seconds()
        for key in list(self._going_on):
            self._end(key)
        world.usual_link = world.good_link()
        world.set_links()
        for computer in world.computers.values():
            computer.disk.mend()
            computer.start()

    def _settle(self) -> None:
        world = self.world
        world.run(PATIENCE, lambda: not self.users.pending())
        world.run(SETTLING)
        for operation in self.users.pending():
            world.break_promise(7, f"{operation.computer.name}: {operation.said} never ends")

    def _restore_all(self, inspection: Inspection) -> None:
        """Invariant 3: every file that was promised comes back, with d - 1 of its holders lost."""
        random = Random(f"{self._plan.seed} losses")
        for version in inspection.promised():
            if self.world.violations:
                return
            away = self._losses(version, inspection, random)
            if away is None:
                continue
            hosts = [self.world.computers[peer_id].host for peer_id in away]
            self.world.say("fault", f"{', '.join(f'peer {peer_id}' for peer_id in away) or 'nobody'} is away")
            self.world.lan.partition(hosts)
            before = len(self.users.operations)
            if random.random() < 0.5:
                self._lose_all(HICCUP)
            Restore(version.home, version.path).act(self.users)
            self.world.run(PATIENCE, lambda: not self.users.pending())
            self.world.lan.heal()
            [restore] = self.users.operations[before:]
            if not hasattr(restore.result, "path"):
                self.world.break_promise(3, f"{version.path} of peer {version.home} doesn't restore")

    def _losses(self, version: Version, inspection: Inspection, random: Random) -> list[int] | None:
        """Whom to take away before the restore; None if too many holders are lost already."""
        facts = self.world.facts
        if version.version_id != self._newest_complete(version):
            return None
        held = min(version.desired, version.really_held) if self.world.strangers else version.desired
        allowed = held - 1 - len(inspection.lost_holders(version))
        if allowed < 0:
            return None
        holders = sorted(
            peer_id
            for peer_id, copies in facts.copies.items()
            if any(chunk_id.file_id == version.file_id for chunk_id in copies.held)
        )
        return sorted(random.sample(holders, min(allowed, len(holders))))

    def _lose_all(self, seconds: float) -> None:
        """Lose whatever is sent for a moment: what was asked first is asked again."""
        world, nothing = self.world, Link(loss=1.0)
        world.bad_links.append(nothing)
        world.set_links()
        world.clock.callLater(seconds, world.bad_links.remove, nothing)
        world.clock.callLater(seconds, world.set_links)

    def _newest_complete(self, version: Version) -> int:
        """The number of the version that a restore of the path serves (SPEC.md 4.12)."""
        process = self.world.computers[version.home].process
        assert process is not None
        return next(
            other.version_id
            for other in process.storage.catalog.versions(version.path)
            if other.state is VersionState.COMPLETE
        )

    def _stop_all(self) -> None:
        world = self.world
        for stranger in world.strangers.values():
            stranger.stop()
        stopping = [computer for computer in world.computers.values() if computer.stop() is not None]
        world.run(1_000.0, lambda: all(computer.power is not Power.STOPPING for computer in stopping))


def play(seed: int, keys: Collection[str] | None = None) -> Outcome:
    """Play a seed's plan, or of that what has the keys only."""
    plan = draw_plan(seed)
    with undisturbed():
        outcome = Run(plan if keys is None else plan.only(keys)).play()
        # The last of the dead go with the run, and what they have to say belongs to no other run.
        with silence():
            gc.collect()
    return outcome


@contextmanager
def silence() -> Iterator[None]:
    """Have nobody listen to what is logged."""
    publisher: Any = globalLogPublisher
    observers = list(publisher._observers)
    publisher._observers[:] = []
    try:
        yield
    finally:
        publisher._observers[:] = observers


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep Python's collector away, which finds things at another moment each time, and let the dead go in peace.

    What a killed process left behind is found in the end, and its coroutines, resumed to be closed, may protest.
    """
    was_enabled, hook = gc.isenabled(), sys.unraisablehook
    gc.disable()
    sys.unraisablehook = lambda _unraisable: None
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if was_enabled:
            gc.enable()
