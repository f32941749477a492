"""Counting holders (SPEC.md 1.9, 1.10, 3.3, 3.21, 3.39)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.limits import MAX_HOLDERS_PER_CHUNK
from protocol.replication import Replication
from protocol.values import PeerId

A, B, C = PeerId(1), PeerId(2), PeerId(3)


def test_the_same_peer_heard_twice_is_one_holder() -> None:
    """SPEC.md 3.3 and 3.39: senders are counted, not messages."""
    replication = Replication(2)
    assert replication.add(A)
    assert not replication.add(A)
    assert (replication.perceived, replication.missing, replication.is_met) == (1, 1, False)
    assert replication.add(B)
    assert (replication.perceived, replication.missing, replication.is_met) == (2, 0, True)


def test_met_is_not_yet_exceeded() -> None:
    """SPEC.md 1.10."""
    replication, seen = Replication(2), []
    for peer in (A, B, C):
        replication.add(peer)
        seen.append((replication.is_met, replication.is_exceeded, replication.missing))
    assert seen == [(False, False, 1), (True, False, 0), (True, True, 0)]


def test_a_holder_that_drops_its_copy_counts_no_more() -> None:
    """SPEC.md 6.2 and 6.4: only a known holder's REMOVED lowers the count."""
    replication = Replication(2, [A, B])
    assert not replication.discard(C)
    assert replication.perceived == 2
    assert replication.discard(A)
    assert not replication.discard(A)
    assert replication.holders == {B}
    assert replication.missing == 1


def test_the_desired_degree_rises_and_never_falls() -> None:
    """SPEC.md 3.21."""
    replication = Replication(2, [A, B])
    assert not replication.raise_desired(1)
    assert not replication.raise_desired(2)
    assert replication.desired == 2
    assert replication.raise_desired(3)
    assert (replication.desired, replication.is_met) == (3, False)


@pytest.mark.parametrize("degree", [-1, 0, 10])
def test_a_degree_is_from_1_to_9(degree: int) -> None:
    """SPEC.md 1.8."""
    with pytest.raises(ValueError, match="from 1 to 9"):
        Replication(degree)
    with pytest.raises(ValueError, match="from 1 to 9"):
        Replication(1).raise_desired(degree)


def test_invented_holders_take_bounded_memory() -> None:
    """SPEC.md 3.39 and 11.1."""
    replication = Replication(9)
    for number in range(10 * MAX_HOLDERS_PER_CHUNK):
        replication.add(PeerId(number))
    assert replication.perceived == MAX_HOLDERS_PER_CHUNK
    assert replication.discard(PeerId(0))
    assert replication.add(PeerId(10**6))


def test_what_it_hands_out_is_not_what_it_counts_with() -> None:
    known = {A}
    replication = Replication(1, known)
    seen = replication.holders
    replication.add(B)
    assert seen == known == {A}


def test_its_text_is_the_same_whatever_came_first() -> None:
    assert (
        repr(Replication(2, [B, A]))
        == repr(Replication(2, [A, B]))
        == "Replication(desired=2, holders=[1, 2])"
    )


@given(st.integers(1, 9), st.lists(st.tuples(st.booleans(), st.integers(0, 12))))
def test_it_always_agrees_with_a_set(desired: int, changes: list[tuple[bool, int]]) -> None:
    replication, model = Replication(desired), set[int]()
    for holds, number in changes:
        peer = PeerId(number)
        was_news = (peer not in model) if holds else (peer in model)
        assert (replication.add(peer) if holds else replication.discard(peer)) is was_news
        (model.add if holds else model.discard)(peer)
        assert replication.perceived == len(model)
        assert replication.is_met == (replication.missing == 0) == (len(model) >= desired)
