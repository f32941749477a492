"""The waits of the protocol (SPEC.md 1.11, 3.3, 4.8)."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from protocol.timing import ANSWER_SPACING, ATTEMPT_WAITS, MAX_RESPONSE_DELAY, response_delay


def test_each_wait_is_twice_the_one_before_and_the_fifth_is_the_last() -> None:
    """SPEC.md 3.3 and 4.3: 31 s in all."""
    assert ATTEMPT_WAITS[0] == 1.0
    assert all(later == 2 * earlier for earlier, later in pairwise(ATTEMPT_WAITS))
    assert len(ATTEMPT_WAITS) == 5
    assert sum(ATTEMPT_WAITS) == 31.0


def test_answers_are_spread_over_400_ms() -> None:
    """SPEC.md 1.11: every tenth of the time gets its share (a delay that was always 0 has been seen)."""
    random = Random(1)
    delays = [response_delay(random) for _ in range(10_000)]
    assert all(0.0 <= delay <= MAX_RESPONSE_DELAY == 0.4 for delay in delays)
    shares = [sum(tenth * 0.04 <= delay < (tenth + 1) * 0.04 for delay in delays) for tenth in range(10)]
    assert all(850 <= share <= 1_150 for share in shares)


def test_the_same_seed_gives_the_same_delays() -> None:
    assert response_delay(Random(7)) == response_delay(Random(7))


def test_the_answer_to_one_request_has_left_before_the_next_is_accepted() -> None:
    """SPEC.md 4.8: the spacing is past the longest delay, and below the second after which one asks again."""
    assert MAX_RESPONSE_DELAY < ANSWER_SPACING < ATTEMPT_WAITS[0]
