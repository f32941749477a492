"""Sets of slots as the bits of an integer: slot 0 is the lowest bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def bits_of(slots: Iterable[int]) -> int:
    """The set of these slots."""
    bits = 0
    for slot in slots:
        bits |= 1 << slot
    return bits


def slots_of(bits: int) -> Iterator[int]:
    """The slots of a set, rising."""
    for first, count in runs(bits):
        yield from range(first, first + count)


def runs(bits: int) -> Iterator[tuple[int, int]]:
    """Adjacent slots together, as the first and how many, rising."""
    first = 0
    while bits:
        skipped = (bits & -bits).bit_length() - 1
        bits >>= skipped
        first += skipped
        count = (~bits & (bits + 1)).bit_length() - 1
        yield first, count
        bits >>= count
        first += count


def lowest(bits: int, count: int) -> int:
    """The set of the lowest ``count`` slots of a set, or all of it if it has fewer."""
    taken = 0
    for first, length in runs(bits):
        length = min(length, count)
        taken |= ((1 << length) - 1) << first
        count -= length
        if not count:
            break
    return taken
