"""What outsiders cause goes to the log rarely, and costs bounded memory."""

from __future__ import annotations

from peer.rare_log import RareLog
from protocol.limits import DROP_LOG_SPACING, MAX_DROP_LOG_ENTRIES
from tests.support.clock import SimClock


def test_each_subject_is_due_once_a_minute() -> None:
    """SPEC.md 2.18."""
    clock = SimClock()
    log = RareLog(clock=clock)
    assert log.is_due("10.0.0.1", "empty")
    clock.advance(DROP_LOG_SPACING - 0.001)
    assert not log.is_due("10.0.0.1", "empty")
    assert log.is_due("10.0.0.1", "bad-version")
    assert log.is_due("10.0.0.2", "empty")
    clock.advance(0.001)
    assert log.is_due("10.0.0.1", "empty")
    assert not log.is_due("10.0.0.1", "bad-version")


def test_invented_subjects_grow_neither_the_log_nor_the_memory() -> None:
    clock = SimClock()
    log = RareLog(clock=clock)
    due = 0
    for number in range(3 * MAX_DROP_LOG_ENTRIES):
        due += log.is_due(f"forged {number}")
        clock.advance(DROP_LOG_SPACING / (4 * MAX_DROP_LOG_ENTRIES))
    assert due == MAX_DROP_LOG_ENTRIES
    assert len(log._logged_at) == MAX_DROP_LOG_ENTRIES

    clock.advance(DROP_LOG_SPACING)
    assert log.is_due("an honest one")
    assert len(log._logged_at) == 1
