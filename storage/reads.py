"""Which reads are under way, so that no slot gets another chunk while somebody reads it.

Readers run in other threads than the one that writes. Nothing is locked: a reader says that it begins before
it looks into the index, and a slot is freed only after the index has forgotten what was in it. So a reader
that isn't seen here yet can't be told of the slot any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from attrs import define, field


@define(eq=False)
class Reads:
    """Numbers reads and moments in the order in which they come."""

    _numbers: Iterator[int] = field(factory=count, init=False)
    _under_way: dict[int, None] = field(factory=dict, init=False)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A read is under way in the block."""
        number = next(self._numbers)
        self._under_way[number] = None
        try:
            yield
        finally:
            del self._under_way[number]

    def moment(self) -> int:
        """The number of this moment."""
        return next(self._numbers)

    def are_over(self, moment: int) -> bool:
        """Whether every read has ended that began before the moment."""
        return min(tuple(self._under_way), default=moment) >= moment
