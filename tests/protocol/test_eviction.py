"""Which copies make room for a new chunk (SPEC.md 6.14)."""

from __future__ import annotations

from random import Random

from attrs import frozen

from protocol.eviction import choose
from protocol.values import ChunkId, FileId


@frozen
class Held:
    """A copy, as far as eviction cares."""

    chunk_id: ChunkId
    desired: int
    perceived: int
    charged_bytes: int = 64_000


def held(number: int, *, desired: int, perceived: int, charged_bytes: int = 64_000) -> Held:
    return Held(ChunkId(FileId(bytes(32)), number), desired, perceived, charged_bytes)


def test_only_copies_beyond_the_desired_degree_go() -> None:
    """SPEC.md 6.14."""
    candidates = [
        held(0, desired=2, perceived=1),
        held(1, desired=2, perceived=2),
        held(2, desired=2, perceived=3),
    ]
    assert choose(candidates, 10**9) == [candidates[2]]


def test_the_most_superfluous_go_first_and_the_larger_of_these() -> None:
    """SPEC.md 6.14: those that exceed it most first."""
    by_one, by_three = held(2, desired=2, perceived=3), held(1, desired=2, perceived=5)
    small = held(0, desired=1, perceived=2, charged_bytes=4_000)
    assert choose([small, by_one, by_three], 10**9) == [by_three, by_one, small]


def test_no_more_go_than_are_needed() -> None:
    candidates = [held(number, desired=1, perceived=2) for number in range(5)]
    assert choose(candidates, 0) == []
    assert choose(candidates, 1) == candidates[:1]
    assert choose(candidates, 64_000) == candidates[:1]
    assert choose(candidates, 64_001) == candidates[:2]


def test_the_choice_does_not_depend_on_the_order_of_the_candidates() -> None:
    candidates = [held(number, desired=1, perceived=2 + number % 3) for number in range(20)]
    chosen = choose(candidates, 10 * 64_000)
    Random(1).shuffle(candidates)
    assert choose(iter(candidates), 10 * 64_000) == chosen
    assert len(chosen) == 10
