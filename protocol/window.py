"""How many chunks may be in flight at once."""

from __future__ import annotations


class Window:
    """Counts what is in flight against a limit.

    Calling contract: ``add`` only while ``has_room``; ``free`` exactly once for each ``add``. A breach of it
    raises RuntimeError, since a window that miscounts stalls or bursts much later and far away.
    """

    __slots__ = ("_in_flight", "_limit")

    def __init__(self, limit: int) -> None:
        """``limit`` is how many may be in flight, at least 1; it stays as it is."""
        if limit < 1:
            raise ValueError(f"a window of {limit} lets nothing through")
        self._limit = limit
        self._in_flight = 0

    @property
    def limit(self) -> int:
        """How many may be in flight."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """How many are in flight; 0 to the limit."""
        return self._in_flight

    @property
    def has_room(self) -> bool:
        """Whether one more may start."""
        return self._in_flight < self._limit

    def add(self) -> None:
        """Take a place for one that starts."""
        if not self.has_room:
            raise RuntimeError(f"the window is full with {self._in_flight} in flight")
        self._in_flight += 1

    def free(self) -> None:
        """Give back the place of one that no longer occupies it."""
        if self._in_flight == 0:
            raise RuntimeError("more places were given back than taken")
        self._in_flight -= 1
