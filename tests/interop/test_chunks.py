"""What to accept: late STOREDs, empty chunks, the same CHUNK many times (SPEC.md 12.4, 12.8, 12.11, 12.12)."""

from __future__ import annotations

import pytest
from attrs import evolve

from peer.errors import ErrorCode
from protocol.messages import Chunk, GetChunk, PutChunk
from protocol.timing import ANSWER_SPACING, MAX_RESPONSE_DELAY
from protocol.values import CHUNK_SIZE
from tests.interop.street import (
    ANSWERED,
    BODY,
    CHUNK,
    FIVE_TRIES,
    ID,
    PATH,
    back_up,
    chunk_of,
    content_of,
    perceived,
    received,
    street,
)
from tests.peer.backups import refusal
from tests.support.family import Family
from tests.support.lan import Link
from tests.support.stranger import Stranger
from tests.support.strangers import FAMILIES


class TestLateAndLost:
    def test_a_stored_of_d_counts_though_it_comes_after_4_s(self) -> None:
        """SPEC.md 3.5, 12.4."""
        with street(1, "D") as (group, [holder]):
            group[1].write(PATH, BODY)
            report = group[1].backup(PATH, 1)
            assert report.below_degree == 0
            assert report.seconds >= 4.0
            assert perceived(group[1], PATH) == [{holder.peer_id}]

    def test_one_that_comes_after_the_run_has_given_up_counts_too(self) -> None:
        """SPEC.md 3.5, 12.4."""
        very_late = evolve(FAMILIES["D"], stored_after=FIVE_TRIES)
        with street(2, very_late) as (group, [holder]):
            group[1].write(PATH, BODY)
            assert group[1].backup(PATH, 2).below_degree == 1
            assert perceived(group[1], PATH) == [{2}]
            group.pass_time(5.0)
            assert perceived(group[1], PATH) == [{2, holder.peer_id}]

    @pytest.mark.parametrize("letter", "CFGH")
    def test_a_chunk_tells_of_the_holder_whose_stored_was_lost_and_never_comes_again(
        self, letter: str
    ) -> None:
        """SPEC.md 3.10, 12.4."""
        with street(1, letter) as (group, [holder]):
            group.lan.set_link(holder.host, "10.0.0.1", Link(loss=1.0))
            group[1].write(PATH, BODY)
            backup = group[1].begin_backup(PATH, 1)
            group.pass_time(ANSWERED)
            assert len(holder.held) == 1
            group.lan.set_link(holder.host, "10.0.0.1", Link())
            # It is asked for four times more, and stays silent.
            assert refusal(group, backup) is ErrorCode.NO_COPIES
            assert len(group.messages(PutChunk)) == 5
            assert perceived(group[1], PATH) == [set()]

            Stranger(group).getchunk(chunk_of(next(iter(holder.held))))
            group.pass_time(2.0)
            assert perceived(group[1], PATH) == [{holder.peer_id}]


class TestEmptyChunks:
    @pytest.mark.parametrize("letter", "BG")
    def test_ours_makes_its_own_when_b_returns_four_bytes_and_g_nothing(self, letter: str) -> None:
        """SPEC.md 4.5, 12.8."""
        with street(1, letter) as (group, [holder]):
            content = content_of(128_000)
            file_id = back_up(group, content)
            assert holder.held[file_id.hex(), 2].body == b""
            assert group[1].restore(PATH) == content
            assert {asked.chunk_no for _, asked in group.said(GetChunk)} == {0, 1}

    @pytest.mark.parametrize("letter", "ABCEHI")
    def test_an_empty_body_from_a_b_c_e_h_and_i_is_an_empty_chunk(self, letter: str) -> None:
        """SPEC.md 12.6."""
        with street(1, letter) as (group, [home]):
            file_id = home.backup("photo", content_of(128_000))
            group.pass_time(ANSWERED)
            assert [held.length for held in group[1].held()] == [CHUNK_SIZE, CHUNK_SIZE, 0]
            home.ask((file_id, 2))
            group.pass_time(ANSWERED)
            [(_, answer)] = group.said(Chunk)
            assert (answer.chunk_no, answer.body) == (2, b"")

    @pytest.mark.parametrize(
        ("letter", "size", "numbers"),
        [
            ("D", 300_001, [0, 1, 2, 3, 4]),
            ("D", 128_000, [0, 1]),
            ("F", 300_001, [1, 2, 3, 4, 5]),
            ("F", 128_000, [1, 2]),
            ("J", 128_000, [1, 2]),
        ],
    )
    def test_d_f_and_j_get_what_they_gave_without_an_empty_chunk_and_from_1(
        self, letter: str, size: int, numbers: list[int]
    ) -> None:
        """SPEC.md 3.22, 12.8."""
        with street(1, letter) as (group, [home]):
            content = content_of(size)
            home.backup("photo", content)
            group.pass_time(ANSWERED)
            assert [held.chunk_id.chunk_no for held in group[1].held()] == numbers
            home.restore("photo")
            group.pass_time(ANSWERED)
            assert home.restored("photo") == content


class TestManyChunks:
    @pytest.mark.parametrize("letter", "ABCGH")
    def test_the_same_chunk_from_several_holders_is_normal(self, letter: str) -> None:
        """SPEC.md 4.7, 12.11."""
        with street(1, letter, letter, letter) as (group, _holders):
            content = content_of(640_000)
            back_up(group, content, 3)
            assert group[1].restore(PATH) == content
            group.pass_time(ANSWERED)
            assert len(group.messages(Chunk)) > 10
            assert group[1].count("wrong_chunks") == 0

    def test_740_getchunks_a_second_for_a_chunk_that_nobody_has_cost_nothing(self) -> None:
        """SPEC.md 4.11, 12.12."""
        with street(2, Family()) as (group, [asker]):
            asker.ask_without_end((ID.decode(), 0), a_second=740)
            group.pass_time(20.0)
            assert group.messages(Chunk) == []
            assert received(group[1], "GETCHUNK") == pytest.approx(740 * 20, rel=0.01)
            file_id = back_up(group, BODY)
            assert file_id in {held.chunk_id.file_id for held in group[2].held()}
            assert group[1].restore(PATH) == BODY

    def test_nor_do_they_draw_more_answers_than_one_in_0_8_s_for_a_chunk_that_is_held(self) -> None:
        """SPEC.md 4.8, 12.12."""
        with street(1, Family()) as (group, [asker]):
            Stranger(group).putchunk(CHUNK, BODY)
            group.pass_time(ANSWERED)
            asker.ask_without_end((ID.decode(), 0), a_second=740)
            group.pass_time(20.0)
            assert 20.0 <= len(group.said(Chunk, by=1)) <= 20.0 / ANSWER_SPACING + 1

    def test_holders_that_answer_each_of_them_don_t_spoil_a_restore(self) -> None:
        """SPEC.md 12.12."""
        at_once = evolve(FAMILIES["B"], letter="-", waits_for_silence=False)
        with street(1, at_once, Family()) as (group, [_holder, asker]):
            file_id = back_up(group, content_of(300_001))
            asker.ask_without_end((file_id.hex(), 0), a_second=740)
            group.pass_time(2.0)
            assert group[1].restore(PATH) == content_of(300_001)
            group.pass_time(2.0)
            assert len(group.messages(Chunk)) > 1_000


class TestSilence:
    def test_b_answers_only_once_no_chunk_has_come_for_as_long_as_its_delay(self) -> None:
        """What is asked for at the same time comes one after another, the longest delays last; a file comes back."""
        content = content_of(20 * CHUNK_SIZE)
        with street(1, "B", "B") as (group, _holders):
            group[1].write(PATH, content)
            assert group[1].backup(PATH, 2).below_degree == 0
            began = group.clock.seconds()
            assert group[1].restore(PATH) == content
            # Of 40 delays of up to 0.4 s, each but the shortest begins anew.
            assert group.clock.seconds() - began > 2 * MAX_RESPONSE_DELAY
