"""The window and the pace against groups that can take so much and no more (SPEC.md 3.14)."""

from __future__ import annotations

import pytest

from protocol.flow import (
    FIRST_WINDOW,
    HOLD_SECONDS,
    LEAST_WINDOW,
    TRICKLE_BYTES_PER_SECOND,
    TRICKLE_SECONDS,
    FlowControl,
)
from protocol.losses import MISSING_TO_JUDGE
from protocol.timing import ATTEMPT_WAITS
from protocol.values import CHUNK_SIZE, PeerId
from tests.protocol.bottleneck import MOST_WINDOW, THREE_CHUNKS, Course, Holder, Initiator, holders


def course(initiator: Initiator, seconds: float) -> Initiator:
    """What the initiator comes to in so many seconds."""
    Course(initiator).run(seconds)
    return initiator


class TestFindingTheRate:
    @pytest.mark.parametrize("capacity", [20e6, 150e6, 400e6])
    def test_a_group_is_found_out_within_two_seconds_without_a_loss(self, capacity: float) -> None:
        sent = course(Initiator(holders(2, capacity), degree=2), 4.0)
        assert sent.goodput(2.0, 4.0) > 0.95 * capacity
        assert sent.missing == 0

    @pytest.mark.parametrize("capacity", [20e6, 150e6])
    def test_then_the_rate_is_steady(self, capacity: float) -> None:
        sent = course(Initiator(holders(2, capacity), degree=2), 8.0)
        late = sent.rates_since(4.0)
        assert max(late) < 1.25 * min(late)

    @pytest.mark.parametrize(("number", "degree"), [(1, 1), (2, 1), (3, 3), (9, 9), (30, 1), (30, 3)])
    def test_however_many_answers_are_needed_of_however_many_holders(self, number: int, degree: int) -> None:
        sent = course(Initiator(holders(number, 100e6), degree), 3.0)
        assert sent.goodput(1.5, 3.0) > 0.9 * 100e6
        assert sent.missing_share() < 0.001

    def test_holders_that_are_not_needed_hold_up_nobody(self) -> None:
        group = [*holders(1, 200e6), *holders(2, 20e6, THREE_CHUNKS)]
        sent = course(Initiator(group, degree=1), 5.0)
        assert sent.goodput(2.0, 5.0) > 0.9 * 200e6
        assert sent.missing_share() < 0.001

    def test_it_starts_gently(self) -> None:
        sent = course(Initiator(holders(2, 400e6), degree=2), 0.4)
        assert sent.sent * CHUNK_SIZE < 2 * FIRST_WINDOW

    def test_what_is_not_used_is_no_reason_to_grow(self) -> None:
        control = FlowControl(most_window=MOST_WINDOW)
        for hundredth in range(1_000):
            now = hundredth / 100
            control.note_sent(now, CHUNK_SIZE, is_first=True)
            control.note_taken(now + 0.005, CHUNK_SIZE, now)
        assert control.window == FIRST_WINDOW

    def test_the_window_never_exceeds_what_it_may(self) -> None:
        control = FlowControl(most_window=2 * FIRST_WINDOW)
        sent = course(Initiator(holders(2, 800e6), 2, control=control), 3.0)
        assert sent.control.window == 2 * FIRST_WINDOW


class TestSharing:
    def test_initiators_that_begin_together_get_the_same_and_lose_nothing(self) -> None:
        group = holders(2, 200e6)
        initiators = [Initiator(group, degree=2) for _ in range(4)]
        Course(*initiators).run(6.0)
        shares = [initiator.goodput(2.0, 6.0) for initiator in initiators]
        assert sum(shares) > 0.95 * 200e6
        assert min(shares) > 0.9 * max(shares)
        assert sum(initiator.missing for initiator in initiators) == 0

    def test_one_that_comes_later_is_not_starved(self) -> None:
        group = holders(2, 150e6)
        first, second = Initiator(group, degree=2), Initiator(group, degree=2, starts_at=3.0)
        Course(first, second).run(15.0)
        assert second.goodput(7.0, 15.0) > 0.5 * first.goodput(7.0, 15.0)
        assert first.missing == second.missing == 0

    def test_what_becomes_free_is_used(self) -> None:
        group = holders(2, 60e6)

        def speed_up(now: float) -> None:
            for holder in group:
                holder.bytes_per_second = 150e6 if now > 4.0 else 60e6

        sent = Initiator(group, degree=2)
        Course(sent, each_tenth=speed_up).run(10.0)
        assert sent.goodput(2.0, 4.0) == pytest.approx(60e6, rel=0.05)
        assert sent.goodput(7.0, 10.0) > 0.9 * 150e6


class TestLoss:
    @pytest.mark.parametrize("capacity", [20e6, 100e6])
    def test_buffers_of_three_chunks_are_not_drowned(self, capacity: float) -> None:
        sent = course(Initiator(holders(2, capacity, THREE_CHUNKS), degree=2), 30.0)
        assert sent.goodput(10.0, 30.0) > 0.6 * capacity
        assert sent.missing_share() < 0.15

    def test_one_such_holder_among_those_needed_is_waited_for(self) -> None:
        group = [*holders(1, 300e6), *holders(1, 40e6, THREE_CHUNKS)]
        sent = course(Initiator(group, degree=2), 20.0)
        assert sent.goodput(5.0, 20.0) > 0.6 * 40e6

    @pytest.mark.parametrize("loss", [0.001, 0.005, 0.02, 0.05])
    def test_a_network_that_loses_some_of_everything_is_no_reason_to_crawl(self, loss: float) -> None:
        sent = course(Initiator(holders(2, 200e6, loss=loss), degree=2), 12.0)
        assert sent.goodput(1.0, 6.0) > 0.5 * 200e6
        assert sent.goodput(6.0, 12.0) > 0.8 * 200e6

    @pytest.mark.parametrize("loss", [0.01, 0.05])
    def test_nor_does_it_hide_that_buffers_overrun(self, loss: float) -> None:
        sent = course(Initiator(holders(2, 100e6, THREE_CHUNKS, loss), degree=2), 30.0)
        ambient = 1.0 - (1.0 - loss) ** 4
        assert sent.goodput(10.0, 30.0) > 0.2 * 100e6
        assert sent.missing_share() < ambient + 0.15

    def test_a_loss_that_ends_is_forgotten(self) -> None:
        group = holders(2, 200e6, loss=0.05)

        def heal(now: float) -> None:
            for holder in group:
                holder.loss = 0.05 if now < 6.0 else 0.0

        sent = Initiator(group, degree=2)
        Course(sent, each_tenth=heal).run(12.0)
        assert sent.goodput(9.0, 12.0) > 0.95 * 200e6


class TestHolding:
    """SPEC.md 3.41: what was lost isn't sent again as it was lost."""

    def control(self, *, answers: int = 1) -> FlowControl:
        """One that has sent a burst of which that much was answered; the first waits are over at 1 s."""
        control = FlowControl(most_window=MOST_WINDOW)
        for _ in range(100):
            control.note_sent(0.0, CHUNK_SIZE, is_first=True)
        for _ in range(answers):
            control.note_answer(0.3, PeerId(1), None)
            control.note_taken(0.3, CHUNK_SIZE, 0.0)
        return control

    def test_many_missing_in_a_row_hold_the_pace_back_until_they_are_judged(self) -> None:
        control = self.control(answers=60)
        for _ in range(MISSING_TO_JUDGE - 1):
            control.note_missing(1.0, 0.0)
        pace, window = control.rate, control.window
        control.note_missing(1.0, 0.0)
        held = control.rate
        assert held == pytest.approx(pace * LEAST_WINDOW / window)
        for _ in range(40 - MISSING_TO_JUDGE):
            control.note_missing(1.05, 0.0)
        assert control.rate == held
        control.note_sent(1.25, CHUNK_SIZE, is_first=False)
        assert held < control.rate < pace

    def test_what_is_never_judged_holds_it_for_a_moment_only(self) -> None:
        control = self.control()
        first_pace = control.rate
        for _ in range(MISSING_TO_JUDGE):
            control.note_missing(1.0, -1.0)
        assert control.rate < first_pace
        control.note_sent(1.0 + HOLD_SECONDS, CHUNK_SIZE, is_first=False)
        assert control.rate == pytest.approx(first_pace)

    def test_missing_ones_among_others_that_are_taken_do_not(self) -> None:
        control = self.control()
        first_pace = control.rate
        for _ in range(3):
            for _ in range(MISSING_TO_JUDGE - 1):
                control.note_missing(1.0, 0.0)
            control.note_taken(1.0, CHUNK_SIZE, None)
        assert control.rate == pytest.approx(first_pace)

    def test_nor_does_a_group_in_which_nobody_has_ever_answered(self) -> None:
        control = self.control(answers=0)
        first_pace = control.rate
        for _ in range(90):
            control.note_missing(1.0, 0.0)
        assert control.rate == first_pace


class TestTotalLoss:
    def deaf_between(self, group: list[Holder], start: float, end: float, initiator: Initiator) -> Course:
        def deafen(now: float) -> None:
            for holder in group:
                holder.is_deaf = start <= now < end

        return Course(initiator, each_tenth=deafen)

    def test_hardly_anything_is_sent_until_an_answer_comes(self) -> None:
        group = holders(2, 200e6)
        initiator = Initiator(group, degree=2)
        running = self.deaf_between(group, 3.0, 20.0, initiator)
        running.run(6.0)
        assert initiator.control.rate == TRICKLE_BYTES_PER_SECOND
        sent = initiator.sent
        running.run(19.0)
        assert (initiator.sent - sent) * CHUNK_SIZE <= 13.0 * TRICKLE_BYTES_PER_SECOND
        running.run(40.0)
        assert initiator.goodput(35.0, 40.0) > 0.8 * 200e6

    def test_it_does_not_last_for_ever_where_nobody_is_left(self) -> None:
        """So that a backup ends in time."""
        group = holders(2, 200e6)
        initiator = Initiator(group, degree=2)
        running = self.deaf_between(group, 3.0, 1_000.0, initiator)
        running.run(6.0 + TRICKLE_SECONDS)
        sent = initiator.sent
        running.run(16.0 + TRICKLE_SECONDS)
        assert (initiator.sent - sent) * CHUNK_SIZE > 10.0 * LEAST_WINDOW

    def test_where_nobody_ever_answered_the_sending_goes_on_as_it_began(self) -> None:
        initiator = course(Initiator([], degree=1), 40.0)
        assert initiator.control.window == FIRST_WINDOW
        # A window for each first wait; the rest of the pace is for what is sent again.
        assert initiator.sent * CHUNK_SIZE > 0.8 * FIRST_WINDOW * 40.0 / ATTEMPT_WAITS[0]
