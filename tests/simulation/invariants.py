"""What has to hold at the end of a run; what is watched all along is where it is seen (computer, world, workload).

1. A restore gives the exact bytes or an error, never wrong bytes.
2. A chunk whose STORED was sent is on that peer's disk until the peer itself drops it, through any crash.
3. After the loss of up to d - 1 of a file's holders, a file reported as backed up at degree d restores. A damaged
   or discarded copy is a lost holder, until it has a good one again; a stranger is none. A peer that scrubs has
   no damaged copy for long.
4. Once faults stop, every file whose backup was reported done is at its degree again, if there is room, there
   are peers enough, and the bytes are left anywhere: in a good copy, or in the home's own file.
5. Once faults stop, no chunk of a deleted file stays on any peer.
6. A peer never uses more than its capacity, never stores a chunk of its own file, never holds two copies; all
   holders never drop the last copy together.
7. No exception escapes, nothing is logged as an error that isn't an injected fault, no timer is left behind after
   a stop, memory and tables stay bounded.
8. The same seed gives the same transcript.

Version 1.0 can't keep 4 and 5 in every case: UNTIL_2_0 are the excuses, which are counted and told.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from protocol.values import ChunkId, FileId
from tests.simulation.computer import STORE, Computer
from tests.simulation.facts import Heard, Loss, Version
from tests.simulation.world import World
from tests.support.slots import slots_on

REPAIR_TIME = 40.0
"""Seconds that a repair may take: the response delay, a turn in the window, and five attempts."""

FINDING = 20.0
"""Seconds that the scrub may give way to others, and a damaged copy take to be dropped."""

WITHDRAWAL = 3.0
"""Seconds that a REMOVED may come before the loss that it announces."""


class Excuse(Enum):
    """Why an invariant need not hold until version 2.0 is there."""

    LOSS_UNHEARD = "4: a loss that no survivor was told of"
    REPAIR_DISTURBED = "4: a repair that a fault met, and that nobody takes up again"
    NO_ROOM_THEN = "4: a repair that found no room, and that nobody takes up again when there is some"
    DELETE_UNHEARD = "5: a peer that has heard no DELETE since it stored, or could not carry it out"


@frozen
class Excused:
    """An invariant that doesn't hold, and why it need not yet."""

    excuse: Excuse
    said: str


class Inspection:
    """Looks at a group that has come to rest after its faults."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._facts = world.facts
        self.excused: list[Excused] = []

    def inspect(self) -> None:
        """Check all that can be seen at rest."""
        for computer in self._world.running():
            self._inspect_store(computer)
            self._inspect_tables(computer)
            self._inspect_scrub(computer)
        for version in self.promised():
            for chunk_no in range(version.chunks):
                self._inspect_degree(version, ChunkId(version.file_id, chunk_no))
        for file_id, version in self._facts.versions.items():
            if version.buried_at is not None:
                self._inspect_deletion(file_id)
        for computer in self._world.running():
            self._inspect_announcements(computer)

    def promised(self) -> list[Version]:
        """The living versions that were reported at their degree, and whose home is there."""
        homes = {computer.peer_id for computer in self._world.running()}
        return [
            version
            for version in self._facts.versions.values()
            if version.reported_at is not None and version.buried_at is None and version.home in homes
        ]

    def lost_holders(self, version: Version) -> set[int]:
        """The peers that have lost a copy of the version's chunks, since it was reported or before, for good."""
        return {
            loss.who
            for loss in self._facts.losses
            if loss.who in self._world.computers
            and loss.chunk_id.file_id == version.file_id
            and loss.who not in self._facts.holders(loss.chunk_id)
        }

    def _inspect_scrub(self, computer: Computer) -> None:
        """Invariant 3: damage is found in a period, and another one if the clock was set meanwhile."""
        if computer.scrub_period is None:
            return
        since = max(computer.started_at, self._world.calm_since)
        for chunk_id, flipped_at in computer.copies.flipped.items():
            known_for = self._world.clock.seconds() - max(since, flipped_at)
            if known_for > 2 * computer.scrub_period + FINDING:
                self._world.break_promise(
                    3, f"{computer.name} hasn't found in {known_for:.0f} s that {chunk_id} is damaged"
                )

    def _inspect_store(self, computer: Computer) -> None:
        assert computer.process is not None
        store = computer.process.storage.store
        held = {chunk.chunk_id for chunk in store.page(None, 1_000_000)}
        copies = computer.copies
        gone = sorted(copies.acknowledged - held)
        if gone:
            self._world.break_promise(2, f"{computer.name} has said STORED for {gone[0]}, and it is gone")
        if held != copies.held:
            self._world.break_promise(2, f"{computer.name} holds other chunks than it was seen to store")
        for outcome, chunk_id in zip(store.get(sorted(held)), sorted(held), strict=True):
            if chunk_id not in copies.damaged and outcome.body is None:
                self._world.break_promise(2, f"{computer.name} can't read its copy of {chunk_id}")
        slots = slots_on(computer.disk, STORE)
        if len(slots) != len(held) and not self._world.disk_faults:
            self._world.break_promise(6, f"{computer.name} has {len(slots)} slots for {len(held)} chunks")

    def _inspect_tables(self, computer: Computer) -> None:
        """Nothing is under way any more, so nothing may be remembered as under way."""
        assert computer.process is not None
        peer = computer.process.peer
        left = {
            "chunk backups": len(peer._backups._runs),
            "bytes in flight": peer._backup_traffic.in_flight.in_flight,
            "datagrams to be sent": len(peer._backup_traffic.outbox._queue),
            "answers to PUTCHUNK": len(peer._answers._due),
            "chunks being stored": len(peer._putchunk_responder._being_stored),
            "bytes being stored": peer._putchunk_responder._bytes_being_stored,
            "answers to GETCHUNK": len(peer._getchunk_responder._due),
            "repairs": len(peer._repairs._due),
            "withdrawals": len(peer._withdrawals._under_way),
            "backups of files": len(peer.operations._backups_under_way),
            "operations": len(peer.operations._interruptible_runs),
            "calls in the lanes": sum(lane.queued_items for lane in peer._lanes),
        }
        if computer.scrub_period is not None:
            # The scrub never rests; it makes one call at a time.
            left["calls in the lanes"] = max(0, left["calls in the lanes"] - 1)
        for what, count in left.items():
            if count:
                self._world.break_promise(7, f"{computer.name} is at rest, with {count} {what} left")

    def _inspect_degree(self, version: Version, chunk_id: ChunkId) -> None:
        """Invariant 4."""
        holders = set(self._facts.holders(chunk_id)) & {c.peer_id for c in self._world.running()}
        if len(holders | self._world.stranger_holders(chunk_id)) >= version.desired:
            return
        said = f"{chunk_id} of peer {version.home} is held by {sorted(holders)}, degree {version.desired}"
        if self._world.places_for(chunk_id) < version.desired:
            return
        assert version.reported_at is not None
        losses = [loss for loss in self._facts.losses if loss.chunk_id == chunk_id]
        heard = [self._heard(loss, version, holders) for loss in losses]
        told = [one for one in heard if one is not None]
        if len(told) < len(heard):
            self.excused.append(Excused(Excuse.LOSS_UNHEARD, said))
        elif not all(self._world.is_calm(one.time, one.time + REPAIR_TIME) for one in told):
            self.excused.append(Excused(Excuse.REPAIR_DISTURBED, said))
        elif any(one.places < version.desired for one in told):
            self.excused.append(Excused(Excuse.NO_ROOM_THEN, said))
        elif holders or not self._is_beyond_repair(version, chunk_id, told):
            self._world.break_promise(4, said)

    def _is_beyond_repair(self, version: Version, chunk_id: ChunkId, told: list[Heard]) -> bool:
        """Whether the bytes were nowhere any more when a loss was heard, and what was lost before was made good."""
        stored = [time for (_, chunk), time in self._facts.stored_at.items() if chunk == chunk_id]
        changed_at = version.changed_at
        can_home = [changed_at is None or changed_at > one.time + REPAIR_TIME for one in told]
        repairable = [one for one, home in zip(told, can_home, strict=True) if one.copies or home]
        return len(repairable) < len(told) and all(
            any(time > one.time for time in stored) for one in repairable
        )

    def _heard(self, loss: Loss, version: Version, survivors: set[int]) -> Heard | None:
        """How a surviving holder or the home heard of a loss by REMOVED first; None: it never did."""
        heard = [
            heard
            for heard in self._facts.removed_heard.get(loss.chunk_id, ())
            if heard.sender == loss.who
            and heard.by in survivors | {version.home}
            and heard.time >= loss.time - WITHDRAWAL
        ]
        return min(heard, key=lambda one: one.time, default=None)

    def _inspect_deletion(self, file_id: FileId) -> None:
        """Invariant 5."""
        for computer in self._world.running():
            for chunk_id in sorted(chunk for chunk in computer.copies.held if chunk.file_id == file_id):
                said = f"{computer.name} still has {chunk_id}, of a deleted file"
                stored_at = self._facts.stored_at.get((computer.peer_id, chunk_id), 0.0)
                heard = self._facts.delete_heard.get(file_id, ())
                has_heard = any(one.by == computer.peer_id and one.time >= stored_at for one in heard)
                if has_heard and file_id not in computer.copies.files_in_doubt:
                    self._world.break_promise(5, said)
                else:
                    self.excused.append(Excused(Excuse.DELETE_UNHEARD, said))

    def _inspect_announcements(self, computer: Computer) -> None:
        """Invariant 5: a home that runs has told of all its deletions, or tells of them at its next start."""
        assert computer.process is not None
        for dead in computer.process.storage.catalog.dead():
            if not dead.is_announced and not self._world.disk_faults:
                self._world.break_promise(
                    5, f"{computer.name} has not announced that {dead.file_id} is deleted"
                )
