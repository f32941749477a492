"""Holders' queues, seen through their random delays (SPEC.md 3.14)."""

from __future__ import annotations

from random import Random

import pytest

from protocol.limits import MAX_HOLDERS_PER_CHUNK
from protocol.queues import ANSWERS_TO_JUDGE, FORGOTTEN_AFTER, Queues
from protocol.timing import response_delay
from protocol.values import PeerId

A, B = PeerId(1), PeerId(2)


def answer(
    queues: Queues, peer: PeerId, queue: float, now: float = 0.05, times: int = ANSWERS_TO_JUDGE
) -> None:
    """Answers of a peer that each waited at least for its queue."""
    random = Random(7)
    for _ in range(times):
        queues.note_answer(now, peer, max(queue, response_delay(random)))


def test_the_quickest_of_many_answers_tells_the_queue() -> None:
    queues = Queues()
    answer(queues, A, 0.15, now=0.0, times=100)
    queues.end_round(0.1)
    assert queues.seconds == pytest.approx(0.15, abs=0.01)
    answer(queues, A, 0.0, now=0.15, times=100)
    queues.end_round(0.2)
    assert queues.seconds < 0.02


def test_a_few_answers_tell_nothing_yet() -> None:
    queues = Queues()
    answer(queues, A, 0.2, now=0.0, times=ANSWERS_TO_JUDGE - 1)
    queues.end_round(0.1)
    assert queues.seconds == 0.0
    answer(queues, A, 0.2, now=0.15, times=1)
    queues.end_round(0.2)
    assert queues.seconds >= 0.2


def test_a_holder_counts_by_how_often_it_was_needed() -> None:
    queues = Queues()
    answer(queues, A, 0.1, now=0.0, times=1_000)
    answer(queues, B, 0.3, now=0.0, times=100)
    queues.end_round(0.1)
    assert queues.seconds == pytest.approx((10 * 0.1 + 0.3) / 11, abs=0.01)


def test_a_holder_that_has_gone_is_forgotten() -> None:
    queues = Queues()
    answer(queues, A, 0.3, now=0.0)
    answer(queues, B, 0.1, now=0.0)
    queues.end_round(0.1)
    answer(queues, B, 0.1, now=FORGOTTEN_AFTER)
    queues.end_round(FORGOTTEN_AFTER + 0.1)
    assert queues.seconds == pytest.approx(0.1, abs=0.03)


def test_invented_holders_fill_no_memory() -> None:
    """SPEC.md 11.1."""
    queues = Queues()
    for peer in range(10 * MAX_HOLDERS_PER_CHUNK):
        answer(queues, PeerId(peer), 0.2, now=0.0)
    assert len(queues._holders) == MAX_HOLDERS_PER_CHUNK
