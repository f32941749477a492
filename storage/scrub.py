"""When the scrub reads which of the stored chunks (SPEC.md 9.29, 9.30): decisions alone, in any clock's seconds.

A *pass* reads all chunks in the order of their ids. Its k-th chunk is due when (k - 1)/n of the period have gone
since it began, n being the most chunks that it has seen. So a small store is spread over the whole period as a
large one is, and what a stop, or other work, has held up is caught up on, at a bounded pace.
"""

from __future__ import annotations

from math import ceil, isfinite
from typing import Final

from attrs import evolve, frozen

from protocol.values import ChunkId, FileId

LEAST_SPACING: Final = 60.0
"""Seconds that should be between two batches: of a large store several chunks are read at a time, so that an
idle peer sleeps."""

MAX_SCRUB_BATCH: Final = 16
"""Chunks of a batch: 1 MB, some 10 ms in which no other chunk is read, or 100 ms on a disk that turns."""

CATCHING_UP: Final = 4
"""How many times as fast as evenly chunks are read at the most, when the scrub is late."""

LEAST_WAIT: Final = 0.1
"""Seconds between two batches at the least, whatever the period is: 10 MB/s."""

LOOKS: Final = 100
"""How often in a period the scrub looks how many chunks there are, if it has nothing to read."""

LEAST_LOOK: Final = 1.0
"""Seconds between two such looks at the least."""


@frozen
class ScrubMark:
    """How far a pass has come."""

    began: float
    """By the wall clock."""
    read: int = 0
    """How many chunks it has read."""
    chunks: int = 0
    """The most that there were since it began: of which of them are gone by now nobody knows."""
    after: ChunkId | None = None
    """The last one that it has read."""

    def text(self) -> str:
        """To be kept."""
        after = "" if self.after is None else f" {self.after.file_id.hex()} {self.after.chunk_no}"
        return f"{self.began!r} {self.read} {self.chunks}{after}"

    @classmethod
    def of_text(cls, text: str) -> ScrubMark | None:
        """What was kept; None if it can't be read: then all is read again, which costs nothing else."""
        try:
            began, read, chunks, *after = text.split(" ")
            last = ChunkId(FileId.from_hex(after[0]), int(after[1])) if after else None
            mark = cls(float(began), int(read), int(chunks), last)
        except (ValueError, IndexError):
            return None
        return mark if isfinite(mark.began) and min(mark.read, mark.chunks) >= 0 else None


@frozen
class ScrubBatch:
    """What came of reading the next chunks."""

    chunks: int
    """How many were read, damaged ones among them."""
    damaged: tuple[ChunkId, ...]
    last: ChunkId | None
    """The last of them; None: there are no more behind them."""


@frozen
class ScrubPace:
    """Spreads a pass over a period."""

    period: float
    """Seconds."""

    @property
    def look(self) -> float:
        """After how many seconds, at the most, to look again whether something is due: the store may have grown."""
        return max(LEAST_LOOK, self.period / LOOKS)

    def batch(self, chunks: int) -> int:
        """How many to read at a time, of so many stored."""
        return max(1, min(MAX_SCRUB_BATCH, chunks, ceil(chunks * LEAST_SPACING / self.period)))

    def set_right(self, mark: ScrubMark, chunks: int, now: float) -> ScrubMark:
        """The mark, dated back if a wall clock that was set back has put the next batch off.

        That one is as far away then as it is when the last one was read in time. The new mark is to be kept: a
        peer that is started again before that mustn't put it off once more.
        """
        if not chunks:
            return mark
        even = self._even(mark, chunks)
        began = now + even * self.batch(chunks) - even * mark.read
        return evolve(mark, began=began) if mark.began > began + LEAST_WAIT else mark

    def wait(self, mark: ScrubMark, chunks: int, now: float, *, just_read: int = 0) -> float:
        """Seconds until the next batch, of so many stored chunks, by a mark that is set right.

        ``just_read``: how many were read this very moment. A wall clock that was set forward makes the scrub no
        faster than it catches up.
        """
        if not chunks:
            return self.period
        even = self._even(mark, chunks)
        least = max(LEAST_WAIT, even * just_read / CATCHING_UP) if just_read else 0.0
        return max(mark.began + even * mark.read - now, least)

    def after(self, mark: ScrubMark, batch: ScrubBatch, chunks: int, now: float) -> ScrubMark:
        """How far the pass has come with a batch. With the last chunk the next one begins, a period later."""
        if batch.last is not None:
            most = max(mark.chunks, chunks)
            return evolve(mark, read=mark.read + batch.chunks, chunks=most, after=batch.last)
        return ScrubMark(min(max(mark.began + self.period, now), now + self.period))

    def _even(self, mark: ScrubMark, chunks: int) -> float:
        """Seconds from one chunk to the next."""
        return self.period / max(chunks, mark.chunks)
