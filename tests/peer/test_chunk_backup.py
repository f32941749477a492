"""What the initiator of a chunk backup does (SPEC.md section 3, "One chunk" and "Many chunks").

The peer under test is 1, on its own or with real holders; what else is said on the LAN, strangers say.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from peer.config import DEFAULT_GROUPS
from peer.control.interfaces import BackupReport
from peer.errors import ErrorCode, OperationError
from peer.outbox import SOON
from protocol.flow import FIRST_WAIT, FIRST_WINDOW, HEADROOM
from protocol.losses import ROUND
from protocol.messages import PutChunk, Stored
from protocol.pacing import burst_at
from protocol.values import CHUNK_SIZE, VERSION_1_0, ChunkId, FileId, PeerId
from tests.peer.backups import refusal
from tests.support.group import Group
from tests.support.stranger import Stranger, chunk_id

PATH = "/home/photo"
BODY = b"the only chunk of a small file"
ATTEMPTS = [0.0, 1.0, 3.0, 7.0, 15.0]
"""When the five PUTCHUNKs leave, from the first one on (SPEC.md 3.3)."""
TOLERANCE = 0.05
"""What reading the file, and the disk of the catalog, may take."""


def begin(group: Group, degree: int, content: bytes = BODY) -> Deferred[BackupReport]:
    """Have peer 1 back up a file; its first PUTCHUNK is out when this returns."""
    group[1].write(PATH, content)
    running = group[1].begin_backup(PATH, degree)
    while not group.said(PutChunk):
        group.pass_time(0.001)
    return running


def is_done(running: Deferred[BackupReport]) -> bool:
    """Whether BACKUP has ended: a type checker believes that an attribute stays what it was."""
    return bool(running.called)


def only_chunk(group: Group) -> ChunkId:
    [chunk] = {message.chunk_id for _, message in group.said(PutChunk, by=1)}
    return chunk


def perceived(group: Group) -> list[int]:
    """The perceived degree of each chunk, in the state that peer 1 tells."""
    peer = group[1].peer
    assert peer is not None
    page = group.run(peer.operations.state_page(""))
    return [degree for file in page.files for _no, degree in file.chunks]


class TestAttempts:
    def test_a_chunk_is_put_on_mdb_with_its_body_and_degree(self) -> None:
        """SPEC.md 3.1."""
        with Group(1) as group:
            stranger = Stranger(group)
            running = begin(group, 3)
            group.pass_time(0.1)
            [heard] = stranger.everything
            chunk = only_chunk(group)
            assert heard.message == PutChunk(VERSION_1_0, PeerId(1), *chunk, 3, BODY)
            assert heard.group == DEFAULT_GROUPS.mdb
            assert refusal(group, running) is ErrorCode.NO_COPIES

    def test_it_is_put_five_times_in_doubling_waits_and_given_up_after_31_s(self) -> None:
        """SPEC.md 3.3, 3.6."""
        with Group(1) as group:
            running = begin(group, 1)
            began = group.clock.seconds()
            assert refusal(group, running) is ErrorCode.NO_COPIES
            assert group.clock.seconds() - began == pytest.approx(31.0, abs=TOLERANCE)
            group.pass_time(120.0)
            times = [time - began for time, _ in group.said(PutChunk)]
            assert times == pytest.approx(ATTEMPTS, abs=TOLERANCE)
            assert perceived(group) == [0]

    @pytest.mark.parametrize("attempt", range(5))
    def test_no_more_is_put_once_the_degree_is_met(self, attempt: int) -> None:
        """SPEC.md 3.3, 3.5: whichever attempt is answered at last."""
        with Group(1) as group:
            stranger = Stranger(group)
            running = begin(group, 1)
            began = group.clock.seconds()
            group.pass_time(ATTEMPTS[attempt] + 0.5)
            assert not is_done(running)
            stranger.stored(only_chunk(group))
            group.pass_time(TOLERANCE)
            assert is_done(running)
            report = group.run(running)
            assert (report.perceived_min, report.below_degree) == (1, 0)
            assert report.seconds == pytest.approx(ATTEMPTS[attempt] + 0.5, abs=2 * TOLERANCE)
            group.pass_time(120.0)
            assert len(group.said(PutChunk)) == attempt + 1
            assert group.clock.seconds() > began + 120.0

    def test_it_is_the_senders_that_count_and_not_the_messages(self) -> None:
        """SPEC.md 3.3, 3.39."""
        with Group(1) as group:
            stranger = Stranger(group)
            running = begin(group, 2)
            for _repeat in range(5):
                stranger.stored(only_chunk(group))
                group.pass_time(0.1)
            assert not is_done(running)
            Stranger(group, 98).stored(only_chunk(group))
            group.pass_time(TOLERANCE)
            assert group.run(running).perceived_min == 2

    def test_the_copies_that_there_are_stay_when_the_degree_is_not_met(self) -> None:
        """SPEC.md 3.6: nothing is undone."""
        with Group(1, 2) as group:
            report = group.run(begin(group, 2))
            assert (report.perceived_min, report.below_degree, report.desired) == (1, 1, 2)
            group.pass_time(60.0)
            assert group.copies(report.file_id) == {0: [2]}
            assert group[1].restore(PATH) == BODY

    def test_stored_counts_however_late_it_comes(self) -> None:
        """SPEC.md 3.5, 12.4: after the degree was met, and after the run was given up."""
        with Group(1) as group:
            first, second, third = Stranger(group, 97), Stranger(group, 98), Stranger(group, 99)
            running = begin(group, 1)
            first.stored(only_chunk(group))
            group.pass_time(TOLERANCE)
            assert is_done(running)
            group.run(running)
            second.stored(only_chunk(group))
            group.pass_time(1.0)
            assert perceived(group) == [2]
            group.pass_time(600.0)
            third.stored(only_chunk(group))
            group.pass_time(1.0)
            assert perceived(group) == [3]


class TestWhoCounts:
    def test_the_sender_of_a_chunk_does(self) -> None:
        """SPEC.md 3.10: some peers never repeat a STORED that was lost."""
        with Group(1) as group:
            stranger = Stranger(group)
            running = begin(group, 1)
            stranger.chunk(only_chunk(group), BODY)
            group.pass_time(TOLERANCE)
            assert is_done(running)
            assert group.run(running).perceived_min == 1

    def test_the_sender_of_a_putchunk_does_not(self) -> None:
        """SPEC.md 3.9."""
        with Group(1) as group:
            stranger = Stranger(group)
            running = begin(group, 1)
            stranger.putchunk(only_chunk(group), BODY)
            assert refusal(group, running) is ErrorCode.NO_COPIES

    def test_the_home_itself_does_not_though_its_id_is_used(self) -> None:
        """SPEC.md 3.8, 2.12."""
        with Group(1) as group:
            namesake = Stranger(group, 1, host="10.0.0.99")
            running = begin(group, 1)
            chunk = only_chunk(group)
            namesake.stored(chunk)
            namesake.chunk(chunk, BODY)
            assert refusal(group, running) is ErrorCode.NO_COPIES
            namesake.stored(chunk)
            group.pass_time(1.0)
            assert perceived(group) == [0]
            assert all("our id 1" in error for error in group.errors)
            group.errors.clear()

    def test_whoever_says_removed_does_not_any_more(self) -> None:
        """SPEC.md 3.4: the wait goes on until others have answered."""
        with Group(1) as group:
            one, other = Stranger(group, 98), Stranger(group, 99)
            running = begin(group, 2)
            chunk = only_chunk(group)
            one.stored(chunk)
            group.pass_time(0.1)
            one.removed(chunk)
            group.pass_time(0.1)
            other.stored(chunk)
            group.pass_time(0.1)
            assert not is_done(running)
            assert group.run(running).perceived_min == 1

    def test_a_holder_that_starts_the_backup_counts_itself_and_says_so(self) -> None:
        """SPEC.md 3.7: it answers in its own name, so that the others count it too."""
        chunk = chunk_id("photo")
        with Group(2) as group:
            stranger = Stranger(group)
            stranger.putchunk(chunk, BODY, degree=2)
            group.pass_time(1.0)
            stranger.stored(chunk)
            group.pass_time(1.0)
            began = group.clock.seconds()
            stranger.removed(chunk)
            group.pass_time(0.5)
            assert stranger.heard(PutChunk) == [PutChunk(VERSION_1_0, PeerId(2), *chunk, 2, BODY)]
            assert Stored(VERSION_1_0, PeerId(2), *chunk) in stranger.heard(Stored, since=began)
            Stranger(group, 98).stored(chunk)
            group.pass_time(60.0)
            assert len(stranger.heard(PutChunk)) == 1
            [held] = group[2].held()
            assert held.holders == {2, 98}


FIRST_CHUNKS = int(FIRST_WINDOW / CHUNK_SIZE)
FIRST_PACE = HEADROOM * FIRST_WINDOW / FIRST_WAIT


class TestWindow:
    FULL_WINDOWS = 2
    CHUNKS = FULL_WINDOWS * FIRST_CHUNKS
    SENDING_SECONDS = CHUNKS * CHUNK_SIZE / FIRST_PACE

    def content(self) -> bytes:
        return bytes(self.CHUNKS * CHUNK_SIZE - 1)

    def test_a_chunk_that_nobody_answers_leaves_its_place_when_its_first_wait_ends(self) -> None:
        """SPEC.md 3.11, 3.12: that nobody answers at all does not open the window."""
        with Group(1) as group:
            running = begin(group, 1, self.content())
            began = group.clock.seconds()
            with pytest.raises(
                OperationError, match=f"No peer took {self.CHUNKS} of the {self.CHUNKS} chunks"
            ):
                group.run(running)
            seconds = group.clock.seconds() - began
            firsts: dict[int, float] = {}
            for time, message in group.said(PutChunk):
                firsts.setdefault(message.chunk_no, time - began)
            assert len(firsts) == self.CHUNKS
            for window in range(self.FULL_WINDOWS):
                # A place is free again one second after it was taken, and never sooner.
                end = window + 1.0 - TOLERANCE
                assert sum(time < end for time in firsts.values()) <= (window + 1) * FIRST_CHUNKS
            assert max(firsts.values()) < self.FULL_WINDOWS
            last = max(firsts.values())
            assert seconds == pytest.approx(last + 31.0, abs=0.5)

    def test_a_chunk_whose_degree_is_met_gives_its_place_to_the_next(self) -> None:
        """SPEC.md 3.11."""
        with Group(1, 2) as group:
            report = group.run(begin(group, 1, self.content()))
            assert report.below_degree == 0
            # The mean response delay is 0.2 s: three windows of them, and not three waits of a second.
            assert report.seconds < 1.5

    def test_copies_that_are_scarce_hold_up_nobody(self) -> None:
        """SPEC.md 3.12: one answers and two were asked for, so nobody waits for the second."""
        with Group(2) as group:
            group.add(1, disk_seconds=0.001)
            report = group.run(begin(group, 2, self.content()))
            assert report.below_degree == self.CHUNKS
            # One wait of a second shows it.
            assert report.seconds < self.SENDING_SECONDS + 1.0 + 31.0 + 0.25
            # The waits and the retransmissions go on as for any chunk.
            assert len(group.said(PutChunk)) == 5 * self.CHUNKS

    def test_they_do_not_either_when_their_holders_are_known_from_before(self) -> None:
        """SPEC.md 3.12: a later BACKUP, which the same one peer answers, waits no more than that."""
        with Group(2) as group:
            group.add(1, disk_seconds=0.001)
            group.run(begin(group, 2, self.content()))
            report = group[1].backup(PATH, 2)
            assert report.below_degree == self.CHUNKS
            assert report.seconds < self.SENDING_SECONDS + 31.0 + 0.5

    def test_scarcity_that_is_over_is_found_anew(self) -> None:
        """SPEC.md 3.13: once a degree was met the window counts again for chunks that await a second answer."""
        with Group(1, 2) as group:
            group.run(begin(group, 2))
            many = bytes(20 * CHUNK_SIZE)
            group[1].write("/home/many", many)
            group[1].backup("/home/many", 2)
            stranger = Stranger(group)
            group[1].write("/home/lucky", b"met")
            lucky = group[1].begin_backup("/home/lucky", 2)
            since = group.clock.seconds()
            while not group.said(PutChunk, since=since):
                group.pass_time(0.001)
            stranger.stored(group.said(PutChunk, since=since)[0][1].chunk_id)
            group.run(lucky)
            group[1].write("/home/film", self.content())
            since = group.clock.seconds()
            film = group[1].begin_backup("/home/film", 2)
            group.pass_time(0.9)
            assert len(group.said(PutChunk, since=since)) <= FIRST_CHUNKS
            assert group.run(film).below_degree == self.CHUNKS


class TestPace:
    def test_bodies_leave_at_the_pace_that_the_group_can_take(self) -> None:
        """SPEC.md 3.14: a burst at first, and then evenly, before anything is known of the group."""
        with Group(1, 2) as group:
            group.run(begin(group, 1, bytes(600 * CHUNK_SIZE)))
            times = [time for time, _ in group.said(PutChunk)]
            burst = burst_at(FIRST_PACE) + FIRST_PACE * SOON + CHUNK_SIZE
            sent_in_time = [time - times[0] for time in times if time - times[0] < ROUND]
            assert len(sent_in_time) > 0.9 * FIRST_PACE * ROUND / CHUNK_SIZE
            for first, begun in enumerate(sent_in_time):
                for number, time in enumerate(sent_in_time[first:], start=1):
                    assert number * CHUNK_SIZE <= burst + (time - begun) * FIRST_PACE

    def test_two_files_share_the_window_and_the_pace(self) -> None:
        """SPEC.md 3.11, 3.14: a small file does not wait for the end of a large one."""
        with Group(1, 2) as group:
            large = begin(group, 1, bytes(1_000 * CHUNK_SIZE))
            group[1].write("/home/small", BODY)
            small = group[1].backup("/home/small", 1)
            assert not is_done(large)
            assert small.below_degree == 0
            assert small.seconds < 1.5
            report = group.run(large)
            assert group.copies(report.file_id).keys() == set(range(1_001))
            assert FileId.from_hex(report.file_id) != FileId.from_hex(small.file_id)
