"""The search for the highest rate without loss, on networks that are made up."""

import pytest
from attrs import define, field

from tests.bench.ceilings import Trial, highest_without_loss


@define
class Network:
    """Brings everything up to a rate, and beyond it loses the rest."""

    keeps: float
    sender: float
    """As fast as the sender is without a limit."""
    limits: list[float] = field(factory=list)

    def attempt(self, limit: float) -> Trial:
        """How it goes at that limit."""
        self.limits.append(limit)
        sent = min(limit or self.sender, self.sender)
        return Trial(min(sent, self.keeps), is_whole=sent <= self.keeps)


def test_a_network_that_is_faster_than_the_sender_is_tried_once() -> None:
    network = Network(keeps=3_000.0, sender=2_000.0)
    assert highest_without_loss(network.attempt) == 2_000.0
    assert network.limits == [0.0]


@pytest.mark.parametrize("keeps", [700.0, 150.0, 71.0])
def test_the_rate_is_found_from_above_and_is_never_one_that_loses(keeps: float) -> None:
    network = Network(keeps=keeps, sender=2_900.0)
    found = highest_without_loss(network.attempt)
    assert 0.9 * keeps <= found <= keeps
    assert len(network.limits) < 12


def test_what_was_reached_counts_and_not_what_was_allowed() -> None:
    def attempt(limit: float) -> Trial:
        return Trial(limit / 2 if limit else 100.0, is_whole=0 < limit <= 80.0)

    assert highest_without_loss(attempt) <= 40.0


def test_a_network_that_always_loses_something_has_no_such_rate() -> None:
    attempts: list[float] = []

    def attempt(limit: float) -> Trial:
        attempts.append(limit)
        return Trial(50.0, is_whole=False)

    assert highest_without_loss(attempt) == 0.0
    assert len(attempts) < 20
