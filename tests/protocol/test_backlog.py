"""What comes shows whether holders are still busy with older requests (SPEC.md 4.17)."""

from __future__ import annotations

import pytest

from protocol.backlog import Backlog
from protocol.limits import MAX_LATE_CHUNKS
from protocol.timing import LATE_KEPT


def test_nothing_that_came_shows_nothing() -> None:
    assert not Backlog().may_hold(10.0, since=0.0)


def test_an_older_request_that_is_answered_shows_that_a_newer_one_may_still_wait() -> None:
    backlog = Backlog()
    backlog.note_late(20.0, asked_at=5.0)
    assert backlog.may_hold(5.0, since=20.0)
    assert backlog.may_hold(6.0, since=11.0)


def test_a_newer_request_that_is_answered_shows_that_an_older_one_does_not() -> None:
    backlog = Backlog()
    backlog.note_late(20.0, asked_at=5.0)
    assert not backlog.may_hold(4.9, since=11.0)


def test_what_came_before_says_nothing_of_now() -> None:
    backlog = Backlog()
    backlog.note_late(20.0, asked_at=5.0)
    assert not backlog.may_hold(6.0, since=20.1)


@pytest.mark.parametrize("order", [(5.0, 8.0), (8.0, 5.0)])
def test_of_several_the_oldest_request_counts_in_whatever_order_they_come(order: tuple[float, float]) -> None:
    backlog = Backlog()
    for number, asked_at in enumerate(order):
        backlog.note_late(20.0 + number, asked_at)
    assert backlog.may_hold(6.0, since=19.0)
    assert not backlog.may_hold(4.9, since=19.0)


def test_what_is_not_the_oldest_counts_once_that_one_is_too_long_ago() -> None:
    backlog = Backlog()
    backlog.note_late(20.0, asked_at=5.0)
    backlog.note_late(30.0, asked_at=8.0)
    assert not backlog.may_hold(6.0, since=25.0)
    assert backlog.may_hold(8.0, since=25.0)


def test_what_came_is_remembered_for_who_is_kept_from_looking_by_a_disk_that_is_behind() -> None:
    """SPEC.md 4.3: his last wait lasts until all that came before its end is compared."""
    backlog = Backlog()
    backlog.note_late(20.0, asked_at=0.0)
    for seconds in range(21, 250):
        backlog.note_late(float(seconds), asked_at=seconds - 15.0)
    assert backlog.may_hold(4.0, since=15.0)


def test_what_is_remembered_is_bounded_by_number() -> None:
    """However fast it comes: the oldest is forgotten first."""
    backlog = Backlog()
    for number in range(MAX_LATE_CHUNKS + 1):
        backlog.note_late(20.0 + number / MAX_LATE_CHUNKS, asked_at=number / MAX_LATE_CHUNKS)
    assert not backlog.may_hold(0.0, since=0.0)
    assert backlog.may_hold(1.5 / MAX_LATE_CHUNKS, since=0.0)


def test_what_is_remembered_is_bounded_by_time() -> None:
    backlog = Backlog()
    for number in range(1_000):
        backlog.note_late(float(number), asked_at=number - 100.0)
    assert not backlog.may_hold(2_000.0, since=1_000.0)
    assert backlog.may_hold(1_000.0 - LATE_KEPT - 100.0, since=0.0)
    assert not backlog.may_hold(1_000.0 - LATE_KEPT - 103.0, since=0.0)
