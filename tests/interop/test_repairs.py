"""What to accept after a REMOVED: claimed ids, other degrees and other bodies (SPEC.md 12.9, 12.10)."""

from __future__ import annotations

import pytest

from protocol.messages import PutChunk, Removed, Stored
from protocol.values import VERSION_1_0, ChunkId, PeerId
from tests.interop.street import (
    A_MOMENT,
    ANSWERED,
    BODY,
    CHUNK,
    FIVE_TRIES,
    PATH,
    back_up,
    content_of,
    perceived,
    street,
    without_errors,
)
from tests.support.stranger import Stranger, chunk_id
from tests.support.strangers import FAMILIES

CHUNKS = 30
"""So many that of two peers that wait a random time each is the first for some."""


class TestClaimedIds:
    """The id of another peer, ours too, in REMOVED and in the PUTCHUNK that follows one, from G."""

    def test_g_s_removed_in_our_name_makes_us_look_again(self) -> None:
        """SPEC.md 2.12, 6.4, 12.9."""
        with street(1, "G") as (group, [holder]):
            content = content_of(300_001)
            back_up(group, content)
            began = group.clock.seconds()
            for place in list(holder.held):
                holder.give_up(place)
            group.pass_time(FIVE_TRIES)
            assert {said.sender_id for _, said in group.said(Removed, since=began)} == {1}
            assert len(holder.held) == 5, "G was asked again, as nobody knows who has dropped what"
            assert group[1].restore(PATH) == content
            without_errors(group, ["with our id 1"])

    def test_g_s_putchunk_in_our_name_is_a_putchunk(self) -> None:
        """SPEC.md 2.12, 3.9, 12.9."""
        with street(3, "G") as (group, [holder]):
            content = content_of(CHUNKS * 64_000 - 1)
            back_up(group, content, 3)
            began = group.clock.seconds()
            group[2].reclaim(0)
            group.pass_time(FIVE_TRIES)
            putchunks = group.said(PutChunk, by=holder.peer_id, since=began)
            assert {said.sender_id for _, said in putchunks} == {2}
            assert group[1].restore(PATH) == content
            assert all({3, 11} <= known for known in perceived(group[1], PATH))
            without_errors(group, ["with our id 2"])

    def test_an_echo_is_told_by_its_address_and_by_nothing_else(self) -> None:
        """SPEC.md 2.11."""
        with street(1) as (group, []):
            on_our_computer = Stranger(group, 1, host="10.0.0.1")
            on_our_computer.putchunk(CHUNK, BODY)
            group.pass_time(ANSWERED)
            assert [held.chunk_id for held in group[1].held()] == [CHUNK]
            assert group[1].count("own_id_used_by_others") == 1
            assert group[1].count("own_echo") == 1
            without_errors(group, ["with our id 1"])


class TestReBackups:
    """With desired degree 1 and a body of zeros, from B; with a body filled up with zeros, from J."""

    @pytest.mark.parametrize("letter", "BJ")
    def test_a_copy_that_is_held_stays_as_it_is_and_so_does_its_degree(self, letter: str) -> None:
        """SPEC.md 3.17, 3.21, 12.10."""
        with street(1, letter) as (group, [holder]):
            home = Stranger(group)
            for number in range(20):
                home.putchunk(chunk_id("film", number), BODY, 3)
                home.say(Stored(VERSION_1_0, PeerId(50), *chunk_id("film", number)))
            group.pass_time(2.0)
            before = [(held.chunk_id, held.digest, held.desired) for held in group[1].held()]
            assert {desired for _, _, desired in before} == {3}
            for number in range(20):
                home.say(Removed(VERSION_1_0, PeerId(50), *chunk_id("film", number)))
            group.pass_time(FIVE_TRIES)
            said = [putchunk for _, putchunk in group.said(PutChunk, by=holder.peer_id)]
            family = FAMILIES[letter]
            assert {(each.replication_degree, each.body) for each in said} == {
                (family.repair_degree or 3, family.repair_body(BODY))
            }
            assert [(held.chunk_id, held.digest, held.desired) for held in group[1].held()] == before
            assert group[1].count("put_conflict") >= len({each.chunk_no for each in said})

    def test_a_peer_of_ours_that_took_b_s_zeros_for_a_chunk_spoils_no_restore(self) -> None:
        """SPEC.md 4.4, 4.9: who hasn't the chunk can't know, but the home has its digest."""
        with street(2, "B") as (group, [holder]):
            content = content_of(CHUNKS * 64_000 - 1)
            file_id = back_up(group, content, 2)
            newcomer = group.add(3)
            leaver = Stranger(group, 2, host="10.0.0.99")
            group[2].stop()
            # B's repairs come before those of the home's for some of the chunks at least.
            for number in range(CHUNKS):
                leaver.removed(ChunkId(file_id, number))
            group.pass_time(FIVE_TRIES)
            zeros = [putchunk for _, putchunk in group.said(PutChunk, by=holder.peer_id)]
            assert zeros
            assert all(not any(each.body) and each.replication_degree == 1 for each in zeros)
            assert {held.chunk_id.chunk_no for held in newcomer.held()} >= {each.chunk_no for each in zeros}
            assert group[1].restore(PATH) == content
            assert group[1].count("wrong_chunks") >= 1

    def test_b_gets_its_file_back_though_it_stores_zeros_of_it_itself(self) -> None:
        with street(1, "B", "B") as (group, [home, other]):
            content = content_of(CHUNKS * 64_000 - 1)
            file_id = home.backup("photo", content, 3)
            group.pass_time(ANSWERED)
            began = group.clock.seconds()
            stranger = Stranger(group)
            for number in range(CHUNKS):
                said = b"%b 1.0 50 %b %d \r\n\r\n"
                stranger.send(said % (b"STORED", file_id.encode(), number))
                group.pass_time(A_MOMENT)
                stranger.send(said % (b"REMOVED", file_id.encode(), number))
            group.pass_time(FIVE_TRIES)
            assert group.said(PutChunk, by=other.peer_id, since=began)
            assert any(not any(copy.body) for copy in home.held.values()), "zeros, of its own file"
            home.restore("photo")
            group.pass_time(FIVE_TRIES)
            assert home.restored("photo") == content
