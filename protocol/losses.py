"""What part of what was sent is missing: by when it was sent, since a loss shows a whole wait later (SPEC.md 3.14)."""

from __future__ import annotations

from typing import Final

from attrs import define, frozen

from protocol.timing import ATTEMPT_WAITS

ROUND: Final = 0.1
"""Seconds that count as one: some hundred chunks at the least rate that is fast."""

SETTLED_AFTER: Final = ATTEMPT_WAITS[0] + ROUND
"""Seconds after a round in which all that it sent was answered or is missing; a late timer has a round's time."""

MISSING_TO_JUDGE: Final = 16
"""Missing chunks that tell their share well enough. Twice as many as it takes to see that copies are scarce and not
lost (SPEC.md 3.12)."""

CHUNKS_TO_JUDGE: Final = 1_600
"""Chunks after which fewer missing ones than that are under 1 %."""

SECONDS_TO_JUDGE: Final = 4.0
"""Sending after which as many are judged as there are."""


@frozen
class Settled:
    """What became of everything sent in a stretch of time."""

    loss: float
    """Share of its chunks that are missing; 0 if they are too few to tell."""
    taken_bytes: float
    seconds: float


@define
class _Sending:
    """Chunks sent in one round, or in several together."""

    began: float
    ended: float
    size: float = 0.0
    chunks: int = 0
    missing: int = 0

    def add(self, other: _Sending) -> None:
        """Count what another round sent too."""
        self.ended = other.ended
        self.size += other.size
        self.chunks += other.chunks
        self.missing += other.missing


class Losses:
    """Counts what was sent and what of it went missing, by rounds, until each has settled."""

    def __init__(self) -> None:
        self._rounds: dict[int, _Sending] = {}
        self._gathered: _Sending | None = None

    def note_sent(self, now: float, size: int) -> None:
        """A chunk of *size* bytes was sent."""
        number = int(now / ROUND)
        sending = self._rounds.get(number)
        if sending is None:
            sending = self._rounds[number] = _Sending(number * ROUND, (number + 1) * ROUND)
        sending.size += size
        sending.chunks += 1

    def note_missing(self, sent_at: float) -> None:
        """A chunk sent at *sent_at* is missing."""
        sending = self._rounds.get(int(sent_at / ROUND))
        if sending is not None:
            sending.missing += 1

    def settled(self, now: float, *, since: float) -> Settled | None:
        """What is to be judged of what was sent from *since* on; None while that is too little."""
        for number, sending in list(self._rounds.items()):
            if now < sending.ended + SETTLED_AFTER:
                break
            del self._rounds[number]
            if self._gathered is not None and self._gathered.began < since:
                self._gathered = None
            if sending.began < since:
                continue
            if self._gathered is None:
                self._gathered = sending
            else:
                self._gathered.add(sending)
        return self._judged()

    def _judged(self) -> Settled | None:
        gathered = self._gathered
        if gathered is None:
            return None
        seconds = gathered.ended - gathered.began
        is_telling = gathered.missing >= MISSING_TO_JUDGE
        if not (is_telling or gathered.chunks >= CHUNKS_TO_JUDGE or seconds >= SECONDS_TO_JUDGE):
            return None
        self._gathered = None
        loss = gathered.missing / gathered.chunks if is_telling else 0.0
        return Settled(loss, taken_bytes=gathered.size * (1.0 - loss), seconds=seconds)
