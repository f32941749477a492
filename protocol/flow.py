"""How much may be in flight, and how fast it may leave: found out from what becomes of what was sent (SPEC.md 3.14).

What a group can't take shows: a holder whose disk or processor falls behind answers late, one whose receive
buffer overruns doesn't answer. So the window grows while answers come in time, shrinks while holders queue, and
is cut when answers are missing. The sending is paced to what the window can carry, so that no burst overruns
anybody. Decisions are made by the round, from all that was heard in it.
"""

from __future__ import annotations

from typing import Final

from protocol.losses import MISSING_TO_JUDGE, ROUND, Losses, Settled
from protocol.queues import Queues
from protocol.values import CHUNK_SIZE, PeerId

FIRST_WINDOW: Final = 256.0 * CHUNK_SIZE
"""Bytes in flight at the start: 60 MB/s at the mean wait for the second of two answers, half of a Gigabit link."""

LEAST_WINDOW: Final = 16.0 * CHUNK_SIZE
"""Bytes that may always be in flight: 4 MB/s, and answers enough to see whether it gets better."""

FIRST_WAIT: Final = 0.25
"""Seconds from a sending to its last needed answer, until the first were measured."""

LEAST_WAIT: Final = 0.01
"""Seconds below which that mean isn't taken to fall: of 30 holders the first answers in 13 ms on the average."""

WAIT_GAIN: Final = 0.25
"""Weight of the newest round in the mean wait, so that it follows within half a second."""

HEADROOM: Final = 1.25
"""How much faster the pace is than what the window carries: it shall smooth bursts, the window shall bind."""

BOLD: Final = 1.0
"""Growth in each round, in windows for each window that was answered: it doubles about every third of a second,
so that from FIRST_WINDOW to 400 MB/s takes one. Until the first sign of a queue."""

CAREFUL: Final = 0.2
"""The same after that: fast enough to double within a second when another initiator ends, slow enough not to
overshoot, since a queue shows a round after it begins."""

SHY: Final = 0.02
"""The same after answers were missing, which shows only after a second: 8 % in that time."""

REGAIN: Final = 1.25
"""Factor by which growth gets back from SHY towards CAREFUL in each second without loss."""

MOST_GROWTH: Final = 0.4
"""Of the window, in one round and at BOLD: where few holders are needed of many, waits are shorter than rounds."""

FIRST_QUEUE_CUT: Final = 0.75
"""Factor for the window at the first sign of a queue: takes back what it grew by before the sign was seen."""

TARGET_QUEUE: Final = 1.0
"""Seconds that holders' queues are held to at 1 MB/s; the target falls with the root of the rate (0.1 s at 100 MB/s,
0.05 s at 400: 10 and 20 MB). Steeper or flatter, small groups had no queue at all or initiators kept unequal shares:
one with a larger window allows itself less of a queue, so that they even out."""

MOST_TARGET_QUEUE: Final = 0.25
"""Seconds; with the longest response delay still well below the second after which a chunk is sent again."""

BUSY: Final = 0.3
"""Share of what the window can carry that has to be sent in a round for it to grow: what isn't used proves nothing.
Half of it goes unused where answers are missing, since what is lost stays in flight for its first wait."""

TOLERATED_LOSS: Final = 0.01
"""Share of missing answers that is no reason to slow down."""

CUT: Final = 0.9
"""Factor for what was taken, as what is sent after a loss: a tenth below what the group could take, nothing that it
couldn't take is missing any more."""

SAME_LOSS: Final = 0.6
"""Share of the loss before a cut that has to be there still for the cut to have been in vain: then the network loses
it by itself, at any rate."""

HOLD_SECONDS: Final = 0.3
"""For which the pace is held back at most: a round is judged at most two rounds after the first of its waits ends."""

TOTAL_LOSS: Final = 0.95
"""Share of missing answers from which on, with none that comes, all is lost."""

SILENCE: Final = 0.5
"""Seconds without an answer after which, with that loss, nothing gets through any more: past the response delay."""

TRICKLE_BYTES_PER_SECOND: Final = 500_000.0
"""What is sent then, for TRICKLE_SECONDS or until an answer comes: enough to see that it gets better."""

TRICKLE_SECONDS: Final = 30.0
"""Incomplete datagrams hold a receiver's reassembly memory for so long, and what is sent meanwhile is lost too."""


class FlowControl:
    """The window and the pace of one direction of one peer: of its backups, or of its restores.

    Calling contract: ``note_sent`` for whatever was sent, ``note_answer`` for every answer that it still needed,
    and ``note_taken`` once it has all that can be had, or ``note_missing`` if its first wait ends without. Of what
    was sent more than once nobody knows which sending an answer is for: its *sent_at* is None. Times are seconds
    of a clock that never goes back.
    """

    def __init__(self, *, most_window: float) -> None:
        """``most_window``: bytes that may never be exceeded in flight."""
        self._most_window = most_window
        self._losses = Losses()
        self._queues = Queues()
        self._round_began: float | None = None
        self._sent_bytes = 0
        self._taken_bytes = 0
        self._waits = 0
        self._waited = 0.0
        self._ambient_loss = 0.0
        self._answered_at: float | None = None
        self._trickle_until: float | None = None
        self._loss_before_cut: float | None = None
        self._judged_from = 0.0
        self._missing_in_a_row = 0
        self._held_until: float | None = None
        self._start()

    def _start(self) -> None:
        self._window = min(FIRST_WINDOW, self._most_window)
        self._wait = FIRST_WAIT
        self._growth = BOLD

    @property
    def window(self) -> float:
        """Bytes that may be in flight: sent, or about to be, and not yet taken or missing."""
        return self._window

    @property
    def rate(self) -> float:
        """Bytes a second to send at."""
        if self._trickle_until is not None:
            return TRICKLE_BYTES_PER_SECOND
        # Small buffers overrun by the burst: once something was lost, nothing is caught up.
        headroom = HEADROOM if self._growth >= CAREFUL else 1.0
        # What was lost as it left would be lost again as it left (SPEC.md 3.41).
        carried = LEAST_WINDOW if self._held_until is not None else self._window
        return headroom * carried / self._wait

    def note_sent(self, now: float, size: int, *, is_first: bool) -> None:
        """A chunk of *size* bytes was sent, for the first time or again."""
        self._turn(now)
        self._sent_bytes += size
        if is_first:
            self._losses.note_sent(now, size)

    def note_answer(self, now: float, peer_id: PeerId, sent_at: float | None) -> None:
        """A peer answered what was sent at *sent_at*, and its answer was still needed."""
        self._answered_at = now
        if sent_at is not None:
            self._queues.note_answer(now, peer_id, now - sent_at)

    def note_taken(self, now: float, size: int, sent_at: float | None) -> None:
        """A chunk of *size* bytes, sent at *sent_at*, has all the answers that it needs."""
        self._taken_bytes += size
        self._missing_in_a_row = 0
        if sent_at is not None:
            self._waits += 1
            self._waited += now - sent_at
        self._turn(now)

    def note_missing(self, now: float, sent_at: float) -> None:
        """What was sent at *sent_at*, for the first time, was not answered well enough in its first wait."""
        self._losses.note_missing(sent_at)
        self._missing_in_a_row += 1
        if self._missing_in_a_row == MISSING_TO_JUDGE and self._answered_at is not None:
            self._held_until = now + HOLD_SECONDS
        self._turn(now)

    def _turn(self, now: float) -> None:
        if self._round_began is None:
            self._round_began = now
        elapsed = now - self._round_began
        if elapsed >= ROUND:
            self._decide(now, elapsed)
            self._round_began = now
            self._sent_bytes = self._taken_bytes = self._waits = 0
            self._waited = 0.0

    def _decide(self, now: float, elapsed: float) -> None:
        self._queues.end_round(now)
        settled = self._losses.settled(now, since=self._judged_from)
        if settled is not None or (self._held_until is not None and now >= self._held_until):
            self._held_until = None
        if self._trickle_until is not None:
            self._end_trickle(now)
            return
        if self._waits:
            mean_wait = max(LEAST_WAIT, self._waited / self._waits)
            self._wait += WAIT_GAIN * (mean_wait - self._wait)
        self._follow_queue(elapsed)
        if settled is not None:
            self._follow_loss(now, settled, taken_rate=self._taken_bytes / elapsed)
        self._window = min(max(self._window, LEAST_WINDOW), self._most_window)

    def _follow_queue(self, elapsed: float) -> None:
        carried = self._window / self._wait
        target = min(MOST_TARGET_QUEUE, TARGET_QUEUE * (1e6 / carried) ** 0.5)
        pull = max(-1.0, 1.0 - self._queues.seconds / target)
        if pull < 0.5 and self._growth > CAREFUL:
            self._growth = CAREFUL
            self._window *= FIRST_QUEUE_CUT
        is_busy = self._sent_bytes >= BUSY * carried * elapsed
        if is_busy or pull < 0:
            self._window += self._growth * pull * min(self._taken_bytes, MOST_GROWTH * self._window)

    def _follow_loss(self, now: float, settled: Settled, taken_rate: float) -> None:
        loss_before_cut, self._loss_before_cut = self._loss_before_cut, None
        if settled.loss <= TOLERATED_LOSS + 1.5 * self._ambient_loss:
            self._ambient_loss += 0.1 * min(0.0, settled.loss - self._ambient_loss)
            regained = self._growth * REGAIN**settled.seconds
            self._growth = max(self._growth, min(CAREFUL, regained))
            return
        if self._answered_at is None:
            # Nobody has ever answered: there may be nobody.
            return
        if settled.loss > TOTAL_LOSS and now - self._answered_at > SILENCE:
            self._window, self._growth = LEAST_WINDOW, BOLD
            self._trickle_until = now + TRICKLE_SECONDS
        elif loss_before_cut is not None and settled.loss > SAME_LOSS * loss_before_cut:
            self._ambient_loss = settled.loss
            # What the window had grown to was never proved: it grows anew.
            self._growth = CAREFUL
        else:
            self._loss_before_cut = settled.loss
            # The loss is of a second ago, and the window may have grown since: what is taken now may be more.
            taken_rate = max(taken_rate, settled.taken_bytes / settled.seconds)
            self._window = min(self._window, CUT * taken_rate * self._wait)
            self._growth = SHY
        self._judged_from = now

    def _end_trickle(self, now: float) -> None:
        assert self._trickle_until is not None
        assert self._answered_at is not None
        if self._answered_at > self._trickle_until - TRICKLE_SECONDS:
            self._trickle_until = None
        elif now >= self._trickle_until:
            self._trickle_until = None
            self._answered_at = None
            self._start()
        self._judged_from = now
