"""What is missing of what was sent, by when it was sent (SPEC.md 3.14)."""

from __future__ import annotations

import pytest

from protocol.losses import CHUNKS_TO_JUDGE, MISSING_TO_JUDGE, ROUND, SECONDS_TO_JUDGE, SETTLED_AFTER, Losses
from protocol.values import CHUNK_SIZE

EVER = float("-inf")


def sent(losses: Losses, at: float, chunks: int, missing: int = 0) -> None:
    """Chunks that were sent, some of which go missing later."""
    for _ in range(chunks):
        losses.note_sent(at, CHUNK_SIZE)
    for _ in range(missing):
        losses.note_missing(at)


def test_a_round_is_judged_when_its_waits_are_over() -> None:
    losses = Losses()
    sent(losses, 10.05, 100, missing=25)
    assert losses.settled(10.1 + SETTLED_AFTER - 0.01, since=EVER) is None
    settled = losses.settled(10.1 + SETTLED_AFTER + 0.01, since=EVER)
    assert settled is not None
    assert settled.loss == 0.25
    assert settled.taken_bytes == 75 * CHUNK_SIZE
    assert settled.seconds == pytest.approx(ROUND)
    assert losses.settled(100.0, since=EVER) is None


def test_what_is_missing_counts_for_the_time_when_it_was_sent() -> None:
    """A rate that has changed meanwhile changes nothing of it."""
    losses = Losses()
    sent(losses, 10.05, 100, missing=50)
    sent(losses, 10.15, 1_000, missing=20)
    first = losses.settled(11.25, since=EVER)
    second = losses.settled(11.35, since=EVER)
    assert first is not None
    assert second is not None
    assert (first.loss, second.loss) == (0.5, 0.02)


def test_few_missing_ones_are_judged_with_what_is_sent_after_them() -> None:
    losses = Losses()
    sent(losses, 10.05, 100, missing=MISSING_TO_JUDGE - 1)
    assert losses.settled(11.25, since=EVER) is None
    sent(losses, 10.35, 100, missing=1)
    settled = losses.settled(12.0, since=EVER)
    assert settled is not None
    assert settled.loss == MISSING_TO_JUDGE / 200
    assert settled.seconds == pytest.approx(0.4)


def test_of_many_chunks_so_few_are_none() -> None:
    losses = Losses()
    sent(losses, 10.05, CHUNKS_TO_JUDGE, missing=MISSING_TO_JUDGE - 1)
    settled = losses.settled(11.25, since=EVER)
    assert settled is not None
    assert settled.loss == 0.0


def test_what_is_sent_slowly_is_judged_in_the_end() -> None:
    losses = Losses()
    for second in range(10):
        sent(losses, second + 0.05, 1)
    assert losses.settled(SECONDS_TO_JUDGE + SETTLED_AFTER, since=EVER) is None
    assert losses.settled(SECONDS_TO_JUDGE + SETTLED_AFTER + 0.2, since=EVER) is not None


def test_what_was_sent_before_the_time_asked_for_does_not_count() -> None:
    losses = Losses()
    sent(losses, 10.05, 100, missing=100)
    sent(losses, 10.25, 100, missing=20)
    settled = losses.settled(12.0, since=10.15)
    assert settled is not None
    assert settled.loss == 0.2


def test_what_goes_missing_too_late_is_not_counted() -> None:
    losses = Losses()
    sent(losses, 10.05, CHUNKS_TO_JUDGE)
    assert losses.settled(12.0, since=EVER) is not None
    losses.note_missing(10.05)
    assert losses.settled(100.0, since=EVER) is None
