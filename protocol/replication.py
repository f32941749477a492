"""Who is known to hold a chunk, against how many should."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.limits import MAX_HOLDERS_PER_CHUNK
from protocol.values import MAX_DEGREE, MIN_DEGREE, PeerId


class Replication:
    """The desired degree of a chunk and its known holders; counts distinct peers, never messages."""

    __slots__ = ("_desired", "_holders")

    def __init__(self, desired: int, holders: Iterable[PeerId] = frozenset()) -> None:
        """``desired`` is 1 to 9 (ValueError otherwise); ``holders`` are those known already."""
        _check_degree(desired)
        self._desired = desired
        self._holders = set(holders)

    @property
    def desired(self) -> int:
        """How many peers should hold the chunk."""
        return self._desired

    @property
    def holders(self) -> frozenset[PeerId]:
        """The peers known to hold the chunk. Sort them wherever their order could show."""
        return frozenset(self._holders)

    @property
    def perceived(self) -> int:
        """How many distinct peers are known to hold the chunk."""
        return len(self._holders)

    @property
    def missing(self) -> int:
        """How many holders are lacking; 0 if none."""
        return max(0, self._desired - len(self._holders))

    @property
    def is_met(self) -> bool:
        """Whether at least as many hold it as should."""
        return len(self._holders) >= self._desired

    @property
    def is_exceeded(self) -> bool:
        """Whether more hold it than should, so that one of them may drop its copy."""
        return len(self._holders) > self._desired

    def add(self, peer: PeerId) -> bool:
        """Count ``peer`` as a holder; True if that was news.

        Past MAX_HOLDERS_PER_CHUNK nobody is added: no degree needs more, and senders can be invented.
        """
        if peer in self._holders or len(self._holders) >= MAX_HOLDERS_PER_CHUNK:
            return False
        self._holders.add(peer)
        return True

    def discard(self, peer: PeerId) -> bool:
        """Count ``peer`` no more; True if that was news."""
        if peer not in self._holders:
            return False
        self._holders.remove(peer)
        return True

    def raise_desired(self, degree: int) -> bool:
        """Take a higher desired degree, never a lower one (SPEC.md 3.21); True if it rose."""
        _check_degree(degree)
        if degree <= self._desired:
            return False
        self._desired = degree
        return True

    def __repr__(self) -> str:
        return f"Replication(desired={self._desired}, holders={sorted(self._holders)})"


def _check_degree(degree: int) -> None:
    if not MIN_DEGREE <= degree <= MAX_DEGREE:
        raise ValueError(f"a replication degree is from {MIN_DEGREE} to {MAX_DEGREE}, not {degree}")
