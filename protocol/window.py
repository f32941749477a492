"""How much may be in flight at once."""

from __future__ import annotations


class Window:
    """Counts what is in flight against a limit: things, or their bytes.

    Calling contract: ``add`` only while ``has_room``; ``free`` exactly once for each ``add``, with the same size. A
    breach of it raises RuntimeError, since a window that miscounts stalls or bursts much later and far away.
    """

    __slots__ = ("_in_flight", "limit")

    def __init__(self, limit: float) -> None:
        """``limit`` is how much may be in flight, above 0. It may be changed at any time."""
        if limit <= 0:
            raise ValueError(f"a window of {limit} lets nothing through")
        self.limit = limit
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """How much is in flight; what had room for its first byte may be over the limit with its last."""
        return self._in_flight

    @property
    def has_room(self) -> bool:
        """Whether one more may start."""
        return self._in_flight < self.limit

    def add(self, size: int = 1) -> None:
        """Take a place for one that starts."""
        if not self.has_room:
            raise RuntimeError(f"the window is full with {self._in_flight} in flight")
        self._in_flight += size

    def free(self, size: int = 1) -> None:
        """Give back the place of one that no longer occupies it."""
        if self._in_flight < size:
            raise RuntimeError("more places were given back than taken")
        self._in_flight -= size
