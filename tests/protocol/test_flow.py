"""Window, pace and scarcity: when the next chunk may be sent (SPEC.md 3.11 to 3.14)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.limits import SCARCE_RUN
from protocol.pacing import Pacer, burst_at, sending_cost
from protocol.scarcity import Scarcity
from protocol.values import PeerId
from protocol.window import Window

A, B, C = PeerId(1), PeerId(2), PeerId(3)


class TestWindow:
    def test_it_has_room_until_the_limit(self) -> None:
        """SPEC.md 3.11."""
        window = Window(2)
        seen = []
        for step in (window.add, window.add, window.free, window.free):
            step()
            seen.append((window.in_flight, window.has_room))
        assert seen == [(1, True), (2, False), (1, True), (0, True)]

    def test_what_has_a_size_takes_as_much_of_it(self) -> None:
        """SPEC.md 3.11: the bytes in flight; what has room for its first byte goes in whole."""
        window = Window(100.0)
        window.add(99)
        assert window.has_room
        window.add(64)
        assert (window.in_flight, window.has_room) == (163, False)
        window.free(64)
        assert window.has_room

    def test_a_limit_that_falls_lets_nothing_more_in_until_enough_has_left(self) -> None:
        """SPEC.md 3.14."""
        window = Window(3)
        for _ in range(3):
            window.add()
        window.limit = 1
        rooms = []
        for _ in range(3):
            window.free()
            rooms.append(window.has_room)
        assert rooms == [False, False, True]

    def test_a_breach_of_its_contract_is_told_at_once(self) -> None:
        window = Window(1)
        with pytest.raises(RuntimeError, match="more places"):
            window.free()
        window.add()
        with pytest.raises(RuntimeError, match="full"):
            window.add()
        assert window.in_flight == 1

    def test_a_window_lets_something_through(self) -> None:
        with pytest.raises(ValueError, match="lets nothing through"):
            Window(0)


class TestPacer:
    def test_a_burst_leaves_at_once_and_the_rest_at_the_steady_rate(self) -> None:
        """SPEC.md 3.14."""
        pacer = Pacer(1_000.0, 200.0)
        assert [pacer.delay(5.0, 100) for _ in range(5)] == pytest.approx([0.0, 0.0, 0.1, 0.2, 0.3])

    def test_a_pause_brings_back_one_burst_and_no_more(self) -> None:
        """SPEC.md 3.14."""
        pacer = Pacer(1_000.0, 200.0)
        for _ in range(5):
            pacer.delay(5.0, 100)
        assert [pacer.delay(1_000.0, 100) for _ in range(3)] == pytest.approx([0.0, 0.0, 0.1])

    def test_what_was_sent_in_its_turn_is_paid_for(self) -> None:
        pacer = Pacer(1_000.0, 0.0)
        assert pacer.delay(0.0, 100) == pytest.approx(0.1)
        assert pacer.delay(0.1, 100) == pytest.approx(0.1)
        assert pacer.delay(0.4, 0) == 0.0

    def test_a_pace_that_changes_holds_from_then_on(self) -> None:
        """SPEC.md 3.14."""
        pacer = Pacer(1_000.0, 0.0)
        assert pacer.delay(0.0, 100) == pytest.approx(0.1)
        pacer.set_pace(100.0, 0.0)
        assert pacer.delay(0.0, 100) == pytest.approx(1.1)

    def test_small_datagrams_and_slow_paces_have_their_least(self) -> None:
        """SPEC.md 3.14, 11.2."""
        assert [sending_cost(size) for size in (0, 16_000, 16_001)] == [16_000, 16_000, 16_001]
        assert [burst_at(rate) for rate in (1e6, 100e6)] == [128_000.0, 500_000.0]

    @given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 64_000)), min_size=1))
    def test_never_more_than_the_burst_and_the_rate_leave(self, sendings: list[tuple[float, int]]) -> None:
        """SPEC.md 3.14: of any stretch of time, however the calls fall."""
        rate, burst = 100_000.0, 128_000.0
        pacer, now, left = Pacer(rate, burst), 0.0, list[tuple[float, int]]()
        for pause, size in sendings:
            now += pause
            left.append((now + pacer.delay(now, size), size))
        for first in range(len(left)):
            for last in range(first, len(left)):
                sent = sum(size for _, size in left[first : last + 1])
                assert sent <= burst + rate * (left[last][0] - left[first][0]) + left[first][1] + 1e-3

    @pytest.mark.parametrize(("rate", "burst"), [(0.0, 1.0), (-1.0, 1.0), (1.0, -1.0)])
    def test_a_pace_moves(self, rate: float, burst: float) -> None:
        with pytest.raises(ValueError, match="no pace"):
            Pacer(rate, burst)


class TestScarcity:
    def expire(self, scarcity: Scarcity, *holders: PeerId, times: int = SCARCE_RUN) -> None:
        for _ in range(times):
            scarcity.note_expired(frozenset(holders))

    def test_the_same_few_peers_eight_times_are_all_there_are(self) -> None:
        """SPEC.md 3.12."""
        scarcity = Scarcity()
        self.expire(scarcity, A, B, times=7)
        assert not scarcity.answered_as_expected(frozenset({A, B}))
        self.expire(scarcity, A, B, times=1)
        assert scarcity.answered_as_expected(frozenset({A, B}))

    def test_a_chunk_that_one_of_them_has_not_answered_keeps_its_place(self) -> None:
        """SPEC.md 3.12: its missing answer may still have been lost."""
        scarcity = Scarcity()
        self.expire(scarcity, A, B)
        assert not scarcity.answered_as_expected(frozenset({A}))
        assert not scarcity.answered_as_expected(frozenset({A, C}))
        assert scarcity.answered_as_expected(frozenset({A, B, C}))

    def test_other_peers_begin_another_run(self) -> None:
        """SPEC.md 3.12: the *same* peers."""
        scarcity = Scarcity()
        self.expire(scarcity, A, times=7)
        self.expire(scarcity, B, times=1)
        assert not scarcity.answered_as_expected(frozenset({A}))
        assert not scarcity.answered_as_expected(frozenset({B}))
        self.expire(scarcity, B, times=7)
        assert scarcity.answered_as_expected(frozenset({B}))

    def test_losses_before_it_is_found_do_not_put_it_off(self) -> None:
        """SPEC.md 3.12: each answer may be lost, and what is sent until then looks lost."""
        scarcity = Scarcity()
        for _ in range(SCARCE_RUN):
            assert not scarcity.answered_as_expected(frozenset({A, B}))
            scarcity.note_expired(frozenset({A, B}))
            scarcity.note_expired(frozenset({A}))
        assert scarcity.answered_as_expected(frozenset({A, B}))

    def test_losses_among_scarce_copies_do_not_hide_that_they_are_scarce(self) -> None:
        """SPEC.md 3.12: single waits show fewer peers; the chunk that one of them answered keeps its place."""
        scarcity = Scarcity()
        self.expire(scarcity, A, B)
        self.expire(scarcity, A, times=7)
        assert scarcity.answered_as_expected(frozenset({A, B}))
        assert not scarcity.answered_as_expected(frozenset({A}))

    def test_peers_that_have_gone_are_waited_for_no_more(self) -> None:
        """SPEC.md 3.12: until 8 others in a row show other peers."""
        scarcity = Scarcity()
        self.expire(scarcity, A, B)
        self.expire(scarcity, A)
        assert scarcity.answered_as_expected(frozenset({A}))

    def test_random_losses_are_not_scarcity(self) -> None:
        """SPEC.md 3.12: lost answers leave another set each time."""
        scarcity = Scarcity()
        for _ in range(100):
            self.expire(scarcity, A, times=1)
            self.expire(scarcity, B, times=1)
        assert not scarcity.answered_as_expected(frozenset({A, B}))

    def test_a_chunk_that_met_its_degree_ends_it(self) -> None:
        """SPEC.md 3.13."""
        scarcity = Scarcity()
        self.expire(scarcity, A)
        scarcity.note_met()
        assert not scarcity.answered_as_expected(frozenset({A}))
        self.expire(scarcity, A, times=7)
        assert not scarcity.answered_as_expected(frozenset({A}))

    def test_nobody_answering_is_taken_for_loss(self) -> None:
        """SPEC.md 3.12: k is at least 1."""
        scarcity = Scarcity()
        self.expire(scarcity, times=100)
        assert not scarcity.answered_as_expected(frozenset())
        assert not scarcity.answered_as_expected(frozenset({A}))
