"""Peers that are killed or stopped at awkward moments of RECLAIM and DELETE, and started again (SPEC.md 5, 6)."""

from __future__ import annotations

from contextlib import suppress

import pytest

from protocol.codec import parse
from protocol.messages import Delete, PutChunk, Removed, Stored
from protocol.timing import WITHDRAWAL_QUIET, WITHDRAWAL_TIME
from protocol.values import ChunkId, FileId
from tests.peer.copies import A_MOMENT, ANSWERED, BODY, CHUNK, OTHER, give_copy, holds, let_go, say_stored
from tests.support.disk import PowerLost
from tests.support.group import Group
from tests.support.lan import Datagram
from tests.support.stranger import Stranger

CONTENT = bytes(range(256)) * 501


def kill_at(group: Group, peer_id: int, message_type: type[Removed] | type[PutChunk] | type[Delete]) -> None:
    """Cut the power of a peer when it has sent its first message of a type."""

    def see(datagram: Datagram) -> None:
        member = group[peer_id]
        if (
            isinstance(parse(datagram.payload), message_type)
            and datagram.source[0] == f"10.0.0.{peer_id}"
            and member.peer is not None
            and not killed
        ):
            killed.append(datagram.time)
            group.clock.callLater(0.0, member.kill)

    killed: list[float] = []
    group.lan.tap(see)


class TestReclaim:
    def test_a_capacity_that_was_set_is_kept_though_the_power_goes_at_once(self) -> None:
        """SPEC.md 7.18, 6.11: and the next start goes on with the reclaiming."""
        for seed in range(10):
            with Group(19, 20, seed=seed) as group:
                give_copy(group, Stranger(group))
                let_go(group[20].begin_reclaim(0))
                group.pass_time(A_MOMENT)
                group[20].kill()
                group[20].start()
                group.pass_time(10.0)
                assert group.holders(CHUNK) == [19]

    def test_a_copy_on_offer_is_still_there_when_the_peer_starts_again(self) -> None:
        """SPEC.md 6.6, 6.1: whoever heard the REMOVED counts one copy too few, never one too many."""
        for seed in range(10):
            with Group(20, seed=seed) as group:
                home = Stranger(group)
                give_copy(group, home, others=[80])
                kill_at(group, 20, Removed)
                let_go(group[20].begin_reclaim(0))
                group.pass_time(1.0)
                assert group[20].peer is None
                group[20].start()
                assert holds(group, 20)

    def test_a_copy_being_placed_is_still_there_when_the_peer_starts_again(self) -> None:
        """SPEC.md 6.12."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home)
            kill_at(group, 20, PutChunk)
            let_go(group[20].begin_reclaim(0))
            group.pass_time(1.0)
            assert group[20].peer is None
            group[20].start()
            assert holds(group, 20)
            group.pass_time(WITHDRAWAL_QUIET + A_MOMENT)
            say_stored(home, CHUNK, 81)
            group.pass_time(1.0)
            assert not holds(group, 20)

    @pytest.mark.parametrize("degree", [1, 2], ids=["offered", "placed"])
    def test_no_copy_is_gone_for_which_no_removed_was_sent(self, degree: int) -> None:
        """SPEC.md 6.1: the power may go at any moment of the drop."""
        for change in range(1, 12):
            with Group(20, 21) as group:
                home = Stranger(group)
                give_copy(group, home, degree=degree)
                give_copy(group, home, OTHER, degree=degree)
                group.add(22)
                let_go(group[20].begin_reclaim(0))
                group.pass_time(WITHDRAWAL_QUIET)
                group[20].disk.lose_power_at(change)
                with suppress(PowerLost):
                    group.pass_time(WITHDRAWAL_TIME + ANSWERED)
                group[20].kill()
                group[20].start()
                removed = {message.chunk_id for _, message in group.said(Removed, by=20)}
                assert {CHUNK, OTHER} - {held.chunk_id for held in group[20].held()} <= removed
                group.pass_time(10.0)
                assert group[20].held() == []
                assert group.holders(CHUNK)
                assert group.holders(OTHER)

    def test_two_that_reclaim_lose_power_at_any_moment_and_the_file_is_restored(self) -> None:
        """SPEC.md 6.17, 1.12: and in the end all is given back that can be."""
        for seed in range(25):
            with Group(1, 2, 3, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                group[1].backup("/home/film", 1)
                group.pass_time(1.0)
                let_go(group[2].begin_reclaim(0))
                let_go(group[3].begin_reclaim(0))
                for _ in range(5):
                    group.pass_time(group.random.uniform(0.0, 3.0))
                    victim = group[group.random.choice((2, 3))]
                    victim.kill()
                    group.pass_time(group.random.uniform(0.0, 3.0))
                    victim.start()
                group.pass_time(80.0)
                assert group[1].restore("/home/film") == CONTENT
                group.add(9)
                group.pass_time(700.0)
                assert group[2].held() == group[3].held() == []
                assert group[1].restore("/home/film") == CONTENT

    def test_a_peer_stopped_in_the_middle_keeps_what_it_has_not_dropped_and_goes_on(self) -> None:
        """SPEC.md 6.11: a stop leaves nothing to do, and nothing said that is not so."""
        for seed in range(20):
            with Group(1, 2, 3, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                group[1].backup("/home/film", 1)
                let_go(group[2].begin_reclaim(0))
                let_go(group[3].begin_reclaim(0))
                for _ in range(5):
                    group.pass_time(group.random.uniform(0.0, 3.0))
                    group[group.random.choice((2, 3))].restart()
                group.pass_time(80.0)
                assert group[1].restore("/home/film") == CONTENT


class TestDelete:
    def test_a_holder_that_loses_power_while_it_deletes_has_deleted_when_it_hears_delete_again(self) -> None:
        """SPEC.md 5.2, 5.1: at any moment of it; and none of the file's chunks comes back by itself."""
        for change in range(1, 10):
            with Group(1, 2) as group:
                group[1].write("/home/film", CONTENT)
                group[1].backup("/home/film", 1)
                group.pass_time(1.0)
                group[2].disk.lose_power_at(change)
                group[1].begin_delete("/home/film").addErrback(lambda _failure: None)
                with suppress(PowerLost):
                    group.pass_time(0.5)
                group[2].kill()
                group[2].start()
                group.pass_time(5.0)
                assert group[2].held() == []

    def test_a_home_that_is_killed_between_its_deletes_sends_them_all(self) -> None:
        """SPEC.md 5.10: and the holder that was down for the first ones is freed."""
        for seed in range(10):
            with Group(1, 2, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                group[1].backup("/home/film", 1)
                group[2].kill()
                kill_at(group, 1, Delete)
                group[1].begin_delete("/home/film")
                group.pass_time(10.0)
                assert group[1].peer is None
                group[2].start()
                group[1].start()
                group.pass_time(10.0)
                assert len(group.said(Delete, by=1)) == 4
                assert group[2].held() == []

    def test_a_deleted_backup_does_not_resume(self) -> None:
        """SPEC.md 5.4, 5.5, 3.36."""
        for seed in range(10):
            with Group(1, 2, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                let_go(group[1].begin_backup("/home/film", 3))
                group.pass_time(group.random.uniform(0.1, 5.0))
                group[1].delete("/home/film")
                group[1].kill()
                began = group.clock.seconds()
                group[1].start()
                group.pass_time(60.0)
                assert not group.said(PutChunk, since=began)
                assert group[2].held() == []


class TestRepair:
    def test_a_holder_that_is_killed_during_a_repair_keeps_its_copy(self) -> None:
        """SPEC.md 6.2: what it has not finished is left to the next REMOVED, in version 1.0."""
        with Group(20) as group:
            home = Stranger(group)
            give_copy(group, home, degree=2, others=[80])
            kill_at(group, 20, PutChunk)
            home.removed(CHUNK)
            group.pass_time(1.0)
            assert group[20].peer is None
            group[20].start()
            [held] = group[20].held()
            assert (held.chunk_id, held.length, held.desired) == (CHUNK, len(BODY), 2)

    def test_a_stop_at_any_moment_of_it_leaves_nothing_to_do(self) -> None:
        """SPEC.md 6.2, 6.4: by a holder and by the home."""
        for seed in range(30):
            with Group(1, 2, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                report = group[1].backup("/home/film", 1)
                liar = Stranger(group)
                for no in range(report.chunks):
                    liar.removed(ChunkId(FileId.from_hex(report.file_id), no))
                group.pass_time(group.random.uniform(0.0, 2.0))
                group[1].stop()
                group[2].stop()

    def test_a_stop_while_the_copy_to_confirm_is_read_says_nothing_of_it(self) -> None:
        """SPEC.md 6.18: from the REMOVED to the confirmation there is no moment at which a stop leaves it due."""
        for step in range(40):
            with Group(20) as group:
                home = Stranger(group)
                give_copy(group, home, others=[80, 81])
                home.removed(CHUNK)
                group.pass_time(step * 0.0005)
                began = group.clock.seconds()
                group[20].stop()
                assert not group.said(Stored, by=20, since=began)
