"""The fileIds of deleted files, as their home keeps them (SPEC.md section 5)."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest

from protocol.codec import parse
from protocol.messages import Delete, PutChunk
from protocol.timing import DEAD_FILE_KEPT, DELETE_AGAIN_SPACING
from protocol.values import ChunkId, FileId
from tests.peer.copies import A_MOMENT, ANSWERED, say_chunk, say_removed, say_stored
from tests.support.disk import PowerLost
from tests.support.group import Group
from tests.support.lan import Datagram
from tests.support.stranger import Stranger

CONTENT = bytes(range(256)) * 501
A_DAY = 24 * 3600.0


def deletes(group: Group, since: float = 0.0) -> int:
    """How many DELETEs peer 1 has sent since a time."""
    return len(group.said(Delete, by=1, since=since))


def delete_a_file(group: Group) -> ChunkId:
    """Have peer 1 back a file up and delete it again; tells the first of its chunks."""
    group[1].write("/home/film", CONTENT)
    report = group[1].backup("/home/film", 1)
    group[1].delete("/home/film")
    group.pass_time(10.0)
    return ChunkId(FileId.from_hex(report.file_id), 0)


class TestBurial:
    def test_it_is_on_the_disk_before_the_first_delete_is_sent(self) -> None:
        """SPEC.md 5.5: what the group may have obeyed, no loss of power takes back."""
        for seed in range(10):
            with Group(1, 2, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                group[1].backup("/home/film", 1)
                was_killed: list[float] = []

                def kill(
                    datagram: Datagram, group: Group = group, was_killed: list[float] = was_killed
                ) -> None:
                    if not was_killed and isinstance(parse(datagram.payload), Delete):
                        was_killed.append(datagram.time)
                        group.clock.callLater(0.0, group[1].kill)

                group.lan.tap(kill)
                group[1].begin_delete("/home/film")
                group.pass_time(10.0)
                assert was_killed
                group[1].start()
                assert group.run(group[1].peer.operations.state_summary()).files == 0  # type: ignore[union-attr]
                group.pass_time(10.0)
                assert group[2].held() == []

    def test_the_power_may_go_at_any_moment_of_it(self) -> None:
        """SPEC.md 5.5: the version is in the catalog, or its id is dead; never both, never neither."""
        for change in range(1, 6):
            with Group(1, 2) as group:
                group[1].write("/home/film", CONTENT)
                report = group[1].backup("/home/film", 1)
                group[1].disk.lose_power_at(change)
                group[1].begin_delete("/home/film").addErrback(lambda _failure: None)
                with suppress(PowerLost):
                    group.pass_time(10.0)
                group[1].kill()
                group[1].start()
                group.pass_time(10.0)
                is_kept = group.run(group[1].peer.operations.state_summary()).files == 1  # type: ignore[union-attr]
                if is_kept:
                    assert group[1].restore("/home/film") == CONTENT
                else:
                    assert group.copies(report.file_id) == {}


class TestAnnouncement:
    @pytest.mark.parametrize("seconds", [0.0, 0.5, 1.5])
    def test_one_that_was_cut_off_is_made_when_the_peer_starts_again(self, seconds: float) -> None:
        """SPEC.md 5.10: by a stop or a loss of power."""
        for is_killed in (False, True):
            with Group(1, 2) as group:
                group[1].write("/home/film", CONTENT)
                group[1].backup("/home/film", 1)
                group[2].kill()
                group[1].delete("/home/film")
                group.pass_time(seconds)
                if is_killed:
                    group[1].kill()
                else:
                    group[1].stop()
                group[2].start()
                began = group.clock.seconds()
                group[1].start()
                group.pass_time(60.0)
                assert deletes(group, began) == 3
                assert group[2].held() == []

    def test_one_that_was_made_is_not_made_again(self) -> None:
        """SPEC.md 5.10."""
        with Group(1, 2) as group:
            delete_a_file(group)
            group[1].restart()
            group[1].kill()
            group[1].start()
            group.pass_time(60.0)
            assert deletes(group) == 3


class TestDeadIds:
    def test_an_id_is_not_used_again_though_the_file_is_the_same(self) -> None:
        """SPEC.md 5.6, 3.31."""
        with Group(1, 2) as group:
            dead = delete_a_file(group)
            report = group[1].backup("/home/film", 1)
            assert report.file_id != dead.file_id.hex()
            assert group.copies(report.file_id).keys() == {0, 1, 2}
            assert group.copies(dead.file_id.hex()) == {}

    def test_the_home_stores_nothing_for_one(self) -> None:
        """SPEC.md 5.8, 3.15: for as long as it is kept."""
        with Group(1, 2) as group:
            dead = delete_a_file(group)
            group.pass_time(30 * A_DAY)
            group[1].restart()
            Stranger(group).putchunk(dead, b"again")
            group.pass_time(ANSWERED)
            assert group[1].held() == []

    @pytest.mark.parametrize("message", ["STORED", "PUTCHUNK", "CHUNK"])
    def test_whoever_shows_one_hears_delete_again(self, message: str) -> None:
        """SPEC.md 5.9: also long after, and after a restart of the home."""
        with Group(1, 2) as group:
            dead = delete_a_file(group)
            group.pass_time(30 * A_DAY)
            group[1].restart()
            stranger = Stranger(group)
            if message == "STORED":
                say_stored(stranger, dead, 80)
            elif message == "CHUNK":
                say_chunk(stranger, dead, b"", 80)
            else:
                stranger.putchunk(dead, b"")
            group.pass_time(A_MOMENT)
            assert stranger.heard(Delete) == [group.said(Delete)[0][1]]

    def test_that_is_sent_at_most_once_for_a_file_in_2_s(self) -> None:
        """SPEC.md 5.9: however many chunks of it are shown."""
        with Group(1, 2) as group:
            dead = delete_a_file(group)
            stranger = Stranger(group)
            began = group.clock.seconds()
            for no in range(200):
                say_stored(stranger, ChunkId(dead.file_id, no), 80)
                group.pass_time(0.05)
            times = [time for time, _ in group.said(Delete, by=1, since=began)]
            assert len(times) == 5
            for first, second in pairwise(times):
                assert second - first >= DELETE_AGAIN_SPACING

    def test_a_holder_that_was_away_loses_its_copies_when_it_shows_one(self) -> None:
        """SPEC.md 5.9, 5.2."""
        for seed in range(10):
            with Group(1, 2, 3, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                report = group[1].backup("/home/film", 1)
                group.pass_time(1.0)
                group[3].kill()
                group[1].delete("/home/film")
                group.pass_time(30 * A_DAY)
                group[3].start()
                assert group.copies(report.file_id) == {0: [3], 1: [3], 2: [3]}
                Stranger(group).getchunk(ChunkId(FileId.from_hex(report.file_id), 1))
                group.pass_time(1.0)
                assert group.copies(report.file_id) == {}

    def test_a_holder_that_repairs_a_dead_file_is_told_and_nobody_is_left_with_it(self) -> None:
        """SPEC.md 5.9, 5.11: the PUTCHUNKs of who has not heard the DELETE."""
        putchunks = 0
        for seed in range(10):
            with Group(1, 2, 3, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                report = group[1].backup("/home/film", 2)
                group[3].kill()
                group[1].delete("/home/film")
                group.pass_time(10.0)
                group[3].start()
                liar = Stranger(group)
                for no in range(report.chunks):
                    say_removed(liar, ChunkId(FileId.from_hex(report.file_id), no), 80)
                group.pass_time(60.0)
                putchunks += len(group.said(PutChunk, by=3))
                assert group.copies(report.file_id) == {}
        assert putchunks

    def test_it_is_kept_for_90_days_and_forgotten_at_the_next_start(self) -> None:
        """SPEC.md 5.7."""
        with Group(1, 2) as group:
            dead = delete_a_file(group)
            stranger = Stranger(group)
            group.pass_time(DEAD_FILE_KEPT - A_DAY)
            group[1].restart()
            group.pass_time(2 * A_DAY)
            say_stored(stranger, dead, 80)
            group.pass_time(A_MOMENT)
            assert deletes(group) == 4
            group[1].restart()
            say_stored(stranger, dead, 80)
            group.pass_time(A_MOMENT)
            assert deletes(group) == 4

    def test_the_home_ends_its_own_repairs_of_a_file_that_it_deletes(self) -> None:
        """SPEC.md 5.6."""
        for seed in range(10):
            with Group(1, 2, seed=seed) as group:
                group[1].write("/home/film", CONTENT)
                report = group[1].backup("/home/film", 1)
                group[2].kill()
                liar = Stranger(group)
                for no in range(report.chunks):
                    say_removed(liar, ChunkId(FileId.from_hex(report.file_id), no), 2)
                group.pass_time(group.random.uniform(0.0, 10.0))
                group[1].delete("/home/film")
                began = group.clock.seconds()
                group.pass_time(60.0)
                assert not group.said(PutChunk, by=1, since=began + A_MOMENT)
                group[2].start()
