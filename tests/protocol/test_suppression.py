"""What was overheard lately (SPEC.md 3.24, 4.8, 4.9, 6.2, 11.1)."""

from __future__ import annotations

import pytest

from protocol import suppression
from protocol.limits import MAX_ANSWERED_CHUNKS, MAX_RECENT_CHUNKS
from protocol.suppression import Answer, AnswerLedger, RecentChunks, RecentStored
from protocol.timing import RECENT_CHUNKS_KEPT
from protocol.values import ChunkId, FileId, PeerId

A, B = PeerId(1), PeerId(2)


def chunk(number: int) -> ChunkId:
    """A chunk of its own for each number."""
    return ChunkId(FileId(bytes(32)), number)


class TestRecentStored:
    def test_a_stored_that_overtook_its_putchunk_counts(self) -> None:
        """SPEC.md 3.24."""
        recent = RecentStored()
        recent.add(chunk(0), A, 10.0)
        recent.add(chunk(0), B, 10.1)
        recent.add(chunk(1), B, 10.2)
        assert recent.holders(chunk(0), 10.3) == {A, B}
        assert recent.holders(chunk(2), 10.3) == frozenset()

    def test_it_is_kept_for_five_seconds(self) -> None:
        """SPEC.md 3.24. Each sender by itself: one that repeats doesn't keep another's alive."""
        recent = RecentStored()
        recent.add(chunk(0), A, 10.0)
        recent.add(chunk(0), B, 12.0)
        assert recent.holders(chunk(0), 15.0) == {A, B}
        assert recent.holders(chunk(0), 15.1) == {B}
        recent.add(chunk(0), B, 16.0)
        assert recent.holders(chunk(0), 21.0) == {B}
        assert recent.holders(chunk(0), 21.1) == frozenset()

    def test_a_removed_takes_it_back(self) -> None:
        """SPEC.md 3.4: the sender of a REMOVED ceases to be a holder."""
        recent = RecentStored()
        recent.add(chunk(0), A, 10.0)
        recent.discard(chunk(0), B)
        assert recent.holders(chunk(0), 10.0) == {A}
        recent.discard(chunk(0), A)
        recent.discard(chunk(1), A)
        assert recent.holders(chunk(0), 10.0) == frozenset()
        assert len(recent) == 0

    def test_a_flood_of_chunks_costs_the_oldest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """SPEC.md 11.1."""
        monkeypatch.setattr(suppression, "MAX_EARLY_CHUNKS", 3)
        recent = RecentStored()
        for number in range(3):
            recent.add(chunk(number), A, 10.0)
        recent.add(chunk(0), B, 10.1)
        recent.add(chunk(3), A, 10.2)
        assert [len(recent.holders(chunk(number), 10.2)) for number in range(4)] == [2, 0, 1, 1]
        assert len(recent) == 3

    def test_a_flood_of_senders_costs_the_oldest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """SPEC.md 11.1."""
        monkeypatch.setattr(suppression, "MAX_EARLY_HOLDERS", 3)
        recent = RecentStored()
        for number in range(3):
            recent.add(chunk(0), PeerId(number), 10.0)
        recent.add(chunk(0), PeerId(0), 10.1)
        recent.add(chunk(0), PeerId(3), 10.2)
        assert recent.holders(chunk(0), 10.2) == {0, 2, 3}

    def test_memory_comes_back_after_a_flood(self) -> None:
        """SPEC.md 11.1: with each new chunk two that are stale go, so no call pays for all of them."""
        recent = RecentStored()
        for number in range(1_000):
            recent.add(chunk(number), A, 10.0)
        recent.add(chunk(1_000), A, 20.0)
        assert len(recent) == 999
        for number in range(1_001, 2_100):
            recent.add(chunk(number), A, 20.0)
        assert len(recent) == 1_100


class TestRecentChunks:
    def test_what_had_to_make_room_may_have_been_heard(self) -> None:
        """SPEC.md 6.13: who asks for safety's sake takes a forgotten one for heard."""
        recent = RecentChunks()
        for number in range(MAX_RECENT_CHUNKS + 1):
            recent.heard(chunk(number), 10.0)
        assert not recent.heard_since(chunk(0), 10.0)
        assert recent.may_have_heard_since(chunk(0), 10.0)
        assert not recent.may_have_heard_since(chunk(0), 10.1)

    def test_what_was_too_old_was_not_heard_since(self) -> None:
        recent = RecentChunks()
        recent.heard(chunk(0), 10.0)
        recent.heard(chunk(1), 10.1 + RECENT_CHUNKS_KEPT)
        assert not recent.may_have_heard_since(chunk(0), 10.0)

    def test_a_putchunk_heard_since_the_removed_makes_ours_needless(self) -> None:
        """SPEC.md 6.2."""
        recent = RecentChunks()
        recent.heard(chunk(0), 10.0)
        assert recent.heard_since(chunk(0), 9.9)
        assert recent.heard_since(chunk(0), 10.0)
        assert not recent.heard_since(chunk(0), 10.1)
        assert not recent.heard_since(chunk(1), 0.0)

    def test_the_last_one_counts(self) -> None:
        recent = RecentChunks()
        recent.heard(chunk(0), 10.0)
        recent.heard(chunk(0), 12.0)
        assert recent.heard_since(chunk(0), 11.0)
        assert len(recent) == 1

    def test_a_flood_costs_the_oldest(self) -> None:
        """SPEC.md 11.1."""
        recent = RecentChunks()
        for number in range(MAX_RECENT_CHUNKS):
            recent.heard(chunk(number), 10.0)
        recent.heard(chunk(0), 10.1)
        recent.heard(chunk(999_999), 10.2)
        assert len(recent) == MAX_RECENT_CHUNKS
        assert recent.heard_since(chunk(0), 10.0)
        assert not recent.heard_since(chunk(1), 10.0)
        assert recent.heard_since(chunk(2), 10.0)

    def test_what_is_long_past_is_forgotten(self) -> None:
        """SPEC.md 11.1."""
        recent = RecentChunks()
        for number in range(100):
            recent.heard(chunk(number), 10.0)
        for number in range(100, 200):
            recent.heard(chunk(number), 10.0 + RECENT_CHUNKS_KEPT + 1)
        assert len(recent) == 100


class TestAnswerLedger:
    def test_the_first_request_is_answered_and_is_no_repeat(self) -> None:
        """SPEC.md 4.8 and 4.9."""
        assert AnswerLedger().accept(chunk(0), 0.0) == Answer(is_repeat=False)

    def test_requests_within_the_spacing_are_covered_by_that_answer(self) -> None:
        """SPEC.md 4.8: from each request accepted, not from each heard, else a flood would silence us."""
        ledger = AnswerLedger()
        sixteenths = [tick for tick in range(64) if ledger.accept(chunk(0), tick / 16)]
        assert sixteenths == [0, 13, 26, 39, 52]

    def test_a_request_repeated_after_a_second_is_always_answered(self) -> None:
        """SPEC.md 4.8, with the waits of 4.3."""
        ledger = AnswerLedger()
        answers = [ledger.accept(chunk(0), now) for now in (0.0, 1.0, 3.0, 7.0, 15.0)]
        assert answers == [Answer(is_repeat=False)] + [Answer(is_repeat=True)] * 4

    def test_after_a_minute_it_is_a_new_request(self) -> None:
        """SPEC.md 4.9."""
        ledger = AnswerLedger()
        ledger.accept(chunk(0), 0.0)
        assert ledger.accept(chunk(0), 60.0) == Answer(is_repeat=True)
        assert ledger.accept(chunk(0), 120.5) == Answer(is_repeat=False)

    def test_each_chunk_counts_for_itself(self) -> None:
        """SPEC.md 4.8."""
        ledger = AnswerLedger()
        assert all(ledger.accept(chunk(number), 0.0) == Answer(is_repeat=False) for number in range(100))

    def test_requests_for_many_chunks_take_bounded_memory(self) -> None:
        """SPEC.md 11.1."""
        ledger = AnswerLedger()
        for number in range(MAX_ANSWERED_CHUNKS + 1_000):
            ledger.accept(chunk(number), number / 1_000_000)
        assert len(ledger) == MAX_ANSWERED_CHUNKS
