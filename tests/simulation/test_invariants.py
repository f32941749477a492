"""What the look at a group that has come to rest demands, and what it doesn't."""

from __future__ import annotations

import pytest

from peer.backup_responder import PutChunkResponder
from peer.repair import RemovedResponder
from protocol.messages import PutChunk
from protocol.values import ChunkId, FileId
from tests.simulation.facts import Facts, Heard, Violation
from tests.simulation.faults import BitFlip, Deafness, Fault
from tests.simulation.plan import Plan, Planned
from tests.simulation.run import Run
from tests.simulation.strangers import GivesUp, Joins, StrangerAct
from tests.simulation.workload import Act, Backup, Write
from tests.support.lan import Link

PATH = "/home/photo"
CHUNK = ChunkId(FileId(bytes(32)), 0)
SCRUB = 10.0


def violation_of(*planned: tuple[float, Act | Fault | StrangerAct]) -> Violation | None:
    """What is broken in a group of six peers that scrub, on a good LAN. Three come late, and have room."""
    run = Run(
        Plan(
            seed=1,
            capacities=(10_000_000,) * 6,
            read_seconds=(0.0,) * 6,
            starts=(0.0, 0.0, 0.0, 10.0, 85.0, 85.0),
            scrubs=(SCRUB,) * 6,
            link=Link(),
            planned=tuple(Planned(f"x{number}", at, what) for number, (at, what) in enumerate(planned)),
        )
    )
    return run.play().violation


def backed_up(degree: int) -> list[tuple[float, Act | Fault]]:
    """The user of peer 1 has a file backed up."""
    return [(0.0, Write(1, PATH, b"some bytes")), (5.0, Backup(1, PATH, degree))]


def changed(at: float) -> tuple[float, Act | Fault]:
    """The user changes it."""
    return at, Write(1, PATH, b"other bytes")


def flipped(at: float, *peer_ids: int) -> list[tuple[float, Act | Fault]]:
    """A bit of what these peers hold of it, if they do, is not any more what it was."""
    return [(at, BitFlip(peer_id, 0.5)) for peer_id in peer_ids]


@pytest.fixture
def no_repairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody copies again what is lost."""
    monkeypatch.setattr(RemovedResponder, "repair", lambda *_arguments, **_named: None)


class TestDegree:
    """Invariant 4."""

    def test_bytes_that_are_nowhere_any_more_are_not_missed(self) -> None:
        assert violation_of(*backed_up(1), changed(20.0), *flipped(120.0, 2, 3)) is None

    @pytest.mark.usefixtures("no_repairs")
    def test_but_they_are_while_the_home_has_them(self) -> None:
        violation = violation_of(*backed_up(1), *flipped(120.0, 2, 3))
        assert violation is not None
        assert violation.invariant == 4

    @pytest.mark.usefixtures("no_repairs")
    def test_and_if_the_home_had_them_in_time(self) -> None:
        violation = violation_of(*backed_up(1), *flipped(30.0, 2, 3), changed(85.0))
        assert violation is not None
        assert violation.invariant == 4

    @pytest.mark.usefixtures("no_repairs")
    def test_and_if_a_copy_before_the_last_one_was_not_replaced(self) -> None:
        violation = violation_of(*backed_up(2), changed(20.0), *flipped(60.0, 2), *flipped(130.0, 3))
        assert violation is not None
        assert violation.invariant == 4

    def test_one_that_was_replaced_is_no_reason(self) -> None:
        assert violation_of(*backed_up(2), changed(20.0), *flipped(60.0, 2), *flipped(130.0, 2, 3, 4)) is None

    @pytest.mark.usefixtures("no_repairs")
    @pytest.mark.parametrize("are_deaf", [True, False])
    def test_a_stranger_that_nobody_heard_to_drop_its_copy_is_not_missed(self, are_deaf: bool) -> None:
        """A REMOVED may be lost."""
        deafness = [(20.0, Deafness(peer_id, 1.0)) for peer_id in range(1, 4)] if are_deaf else []
        dropped = ((3.0, Joins(101, "E")), *backed_up(3), (20.5, GivesUp(101, 0.0)))
        violation = violation_of(*dropped, *deafness)
        assert (violation is None) == are_deaf

    @pytest.mark.parametrize("takers", [0, 2])
    def test_a_backup_that_fails_for_want_of_copies_though_there_is_room_is_seen(
        self, monkeypatch: pytest.MonkeyPatch, takers: int
    ) -> None:
        """Reported as failed, or as done with fewer copies."""
        respond = PutChunkResponder.respond

        def respond_if_taker(responder: PutChunkResponder, message: PutChunk) -> None:
            if responder._peer_id in range(2, 2 + takers):
                respond(responder, message)

        monkeypatch.setattr(PutChunkResponder, "respond", respond_if_taker)
        violation = violation_of((0.0, Write(1, PATH, b"some bytes")), (20.0, Backup(1, PATH, 3)))
        assert violation is not None
        assert violation.invariant == 4


class TestReport:
    """Invariant 3: what a BACKUP reports."""

    GIVEN_UP = ((3.0, Joins(101, "E")), *backed_up(3), (20.5, GivesUp(101, 0.0)))

    def test_a_stranger_that_was_not_heard_to_drop_its_copy_is_counted(self) -> None:
        # Before the repair that others begin has counted somebody else in its place.
        again = (20.51, Backup(1, PATH, 3))
        assert violation_of(*self.GIVEN_UP, (20.0, Deafness(1, 1.0)), again) is None

    def test_a_peer_that_answers_again_after_a_removed_in_its_name_is_counted(self) -> None:
        """Family G says REMOVED in the names of others."""
        facts = Facts()
        for sender in (1, 2):
            facts.answer(CHUNK, sender)
        facts.given_up[CHUNK] = {2: 5.0}
        facts.removed_heard[CHUNK] = [Heard(5.1, 4, 2)]
        assert facts.said_to(4, CHUNK) == {1}
        facts.answer(CHUNK, 2)
        assert facts.said_to(4, CHUNK) == {1, 2}

    def test_one_whose_answer_came_behind_its_removed_is_counted(self) -> None:
        """Both were under way at once: nobody can tell in which order they were sent."""
        facts = Facts()
        facts.answer(CHUNK, 2)
        facts.given_up[CHUNK] = {2: 5.0}
        facts.removed_heard[CHUNK] = [Heard(5.1, 4, 2), Heard(5.1, 6, 2)]
        facts.answer_heard(5.2, 4, CHUNK, 2)
        facts.answer_heard(5.05, 6, CHUNK, 2)
        assert (facts.said_to(4, CHUNK), facts.said_to(6, CHUNK)) == ({2}, set())

    def test_one_that_was_heard_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        again = (22.0, Backup(1, PATH, 3))
        assert violation_of(*self.GIVEN_UP, again) is None
        monkeypatch.setattr(RemovedResponder, "respond", lambda *_arguments: None)
        violation = violation_of(*self.GIVEN_UP, again)
        assert violation is not None
        assert violation.invariant == 3
