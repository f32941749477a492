"""Delays and waits are judged so that a right peer never fails, and a wrong one does."""

from random import Random

import pytest

from protocol.timing import ATTEMPT_WAITS
from tools.conform.statistics import FALSE_ALARM, LATENCY, fault_of_delays, fault_of_waits, tolerance

COUNT = 120


@pytest.mark.parametrize("seed", range(50))
def test_delays_as_they_should_be_have_no_fault(seed: int) -> None:
    """SPEC.md 1.11: U(0, 400 ms); network and disk may add something."""
    random = Random(seed)
    slow = random.uniform(0.0, LATENCY)
    delays = [random.uniform(0.0, 0.4) + random.uniform(0.0, slow) for _ in range(COUNT)]
    assert fault_of_delays(delays) == ""


def test_the_promise_of_few_false_alarms_is_kept() -> None:
    """At a bound that allows 5 false alarms in 100, there are not more; the bound in use is far wider."""
    random = Random(1)
    looser = (2.995732 / (2 * COUNT)) ** 0.5
    alarms = 0
    for _ in range(400):
        ordered = sorted(random.uniform(0.0, 0.4) for _ in range(COUNT))
        departure = max(number / COUNT - delay / 0.4 for number, delay in enumerate(ordered, start=1))
        alarms += departure > looser
    assert alarms <= 30
    assert tolerance(COUNT) > 2 * looser
    assert FALSE_ALARM == 1e-9


@pytest.mark.parametrize(
    ("draw", "fault"),
    [
        (lambda random: 0.001, "too early"),
        (lambda random: random.uniform(0.0, 0.1), "too early"),
        (lambda random: random.uniform(0.0, 0.2), "too early"),
        (lambda random: 0.2, "too early"),
        (lambda random: 0.4 if random.random() < 0.5 else 0.0, "too early"),
        (lambda random: random.uniform(0.4, 0.8), "too late"),
        (lambda random: random.uniform(0.0, 4.0), "too late"),
        (lambda random: random.uniform(0.0, 0.4) + (4.0 if random.random() < 0.2 else 0.0), "too late"),
    ],
    ids=["none", "0-100", "0-200", "always-200", "0-or-400", "400-800", "0-4000", "now-and-then-4-s"],
)
@pytest.mark.parametrize("seed", range(5))
def test_other_delays_have_one(draw: "object", fault: str, seed: int) -> None:
    random = Random(seed)
    assert callable(draw)
    assert fault_of_delays([draw(random) for _ in range(COUNT)]).startswith(fault)


def test_waits_may_be_a_little_late_and_hardly_early() -> None:
    """SPEC.md 3.3: 1, 2, 4, 8 and 16 s."""
    assert fault_of_waits([0.0, 1.0, 3.0, 7.0, 15.0], ATTEMPT_WAITS) == ""
    assert fault_of_waits([0.0, 1.3, 3.5, 7.4, 16.0], ATTEMPT_WAITS) == ""
    assert fault_of_waits([0.0, 1.0, 2.0], ATTEMPT_WAITS) == "number 3 came 1.00 s after number 2, not 2 s"
    assert fault_of_waits([0.0, 0.7], ATTEMPT_WAITS) == "number 2 came 0.70 s after number 1, not 1 s"
    assert fault_of_waits([0.0, 1.6], ATTEMPT_WAITS) == "number 2 came 1.60 s after number 1, not 1 s"
