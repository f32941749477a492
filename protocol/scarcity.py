"""Telling copies that are scarce from answers that were lost (SPEC.md 3.12, 3.13)."""

from __future__ import annotations

from protocol.limits import SCARCE_RUN
from protocol.values import PeerId


class Scarcity:
    """Learns from the waits that end which peers are all that answer.

    When the same k peers, fewer than the degree, were the only ones in each of SCARCE_RUN waits in a row that
    ended unmet, waiting for another is in vain: there is none. A chunk that all k have answered then needs its
    place in the window no more. Nobody at all (k = 0) proves nothing: total loss looks the same, and calls for
    holding back. A wait that ended with only some of the k counts for nothing, unless as many in a row show the same:
    answers are lost among scarce copies too, and until scarcity is found all that is sent looks lost.
    """

    __slots__ = ("_answering", "_candidates", "_fewer", "_fewer_run", "_run")

    def __init__(self) -> None:
        self._answering: frozenset[PeerId] = frozenset()
        self._candidates: frozenset[PeerId] = frozenset()
        self._run = 0
        self._fewer: frozenset[PeerId] = frozenset()
        self._fewer_run = 0

    def note_expired(self, holders: frozenset[PeerId]) -> None:
        """A wait ended with the degree unmet; ``holders`` are all that have answered for that chunk."""
        if holders < self._candidates:
            self._fewer_run = self._fewer_run + 1 if holders == self._fewer else 1
            self._fewer = holders
            if self._fewer_run < SCARCE_RUN:
                return
            self._candidates, self._run = holders, self._fewer_run - 1
        elif holders != self._candidates:
            self._candidates, self._run = holders, 0
        self._fewer_run = 0
        self._run += 1
        if self._run >= SCARCE_RUN:
            self._answering = holders

    def note_met(self) -> None:
        """A chunk met its degree: there are enough peers, and scarcity is to be found anew."""
        self._run = self._fewer_run = 0
        self._answering = frozenset()

    def answered_as_expected(self, holders: frozenset[PeerId]) -> bool:
        """Whether copies are scarce and ``holders`` has all peers in it that still answer."""
        return bool(self._answering) and self._answering <= holders
