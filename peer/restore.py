"""The chunk restore subprotocol, as initiator (SPEC.md section 4)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from peer.metrics import Counters
from peer.rare_log import RareLog
from peer.speaker import Speaker
from peer.traffic import Place, Traffic
from protocol.backlog import Backlog
from protocol.limits import MAX_BODIES_OFFERED
from protocol.messages import Chunk, GetChunk
from protocol.timing import ATTEMPT_WAITS
from protocol.values import Body, ChunkId, PeerId

LAST_LOOK = 0.25
"""Seconds after which it is looked again whether our disk has come to all that came before a chunk is given up."""

Judged = Callable[["bool | Failure", PeerId], None]
"""Is told what became of the bytes that a peer gave. False: their digest is wrong, and they were thrown away."""

Accept = Callable[[Body, Judged, PeerId], None]
"""Takes a chunk's bytes and the peer that gave them, and tells later."""

Ended = Callable[["ChunkRestore", "bool | Failure"], None]
"""Is told of the end of a run: True when the bytes were accepted, False when nobody gave them, or what failed."""


class ChunkRestore:
    """One run of the subprotocol: GETCHUNKs for one chunk until its bytes are accepted. A Sending.

    There are five at the most, or more as long as older requests are answered: who holds this one may be slow.

    ``ended`` is told once how it ended, unless it is closed before. There are thousands at a time: no object more for
    each than it takes.
    """

    __slots__ = (
        "_accept",
        "_asked_at",
        "_attempts",
        "_clock",
        "_ended",
        "_fifth_at",
        "_first_at",
        "_is_over",
        "_mark",
        "_newest",
        "_offered",
        "_place",
        "_restores",
        "_timer",
        "chunk_id",
    )

    def __init__(
        self,
        chunk_id: ChunkId,
        place: Place,
        accept: Accept,
        ended: Ended,
        *,
        restores: ChunkRestores,
        clock: IReactorTime,
    ) -> None:
        self.chunk_id = chunk_id
        self._place = place
        self._accept = accept
        self._ended = ended
        self._restores = restores
        self._clock = clock
        self._attempts = 0
        self._first_at = self._fifth_at = self._asked_at = 0.0
        self._offered = 0
        self._newest = 0
        self._mark: int | None = None
        self._timer: IDelayedCall | None = None
        self._is_over = False

    @property
    def cost(self) -> int:
        """What the CHUNK will cost that it asks for; see Sending."""
        return self._place.cost

    def make(self) -> GetChunk | None:
        """See Sending."""
        return None if self._is_over else self._restores.getchunk(self.chunk_id)

    def send(self, getchunk: GetChunk) -> None:
        """Send GETCHUNK, and wait; the wait doubles each time."""
        if not self._is_over:
            wait = ATTEMPT_WAITS[min(self._attempts, len(ATTEMPT_WAITS) - 1)]
            self._timer = self._clock.callLater(wait, self._wait_is_over)
            self._asked_at = self._clock.seconds()
            if not self._attempts:
                self._first_at = self._asked_at
            if self._attempts < len(ATTEMPT_WAITS):
                self._fifth_at = self._asked_at
            self._attempts += 1
            self._restores.say(getchunk)
            self._place.sent()

    def heard(self, peer_id: PeerId, body: Body) -> None:
        """A CHUNK came for this chunk."""
        if not self._is_over and self._offered < MAX_BODIES_OFFERED:
            self._offered += 1
            self._restores.offered += 1
            self._newest = self._restores.offered
            self._accept(body, self._is_judged, peer_id)

    def close(self) -> None:
        """Stop, without a word."""
        if not self._is_over:
            self._is_over = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._restores.forget(self)
            self._place.end()

    def _is_judged(self, outcome: bool | Failure, peer_id: PeerId) -> None:
        self._offered -= 1
        self._restores.judged += 1
        if self._is_over:
            return
        if isinstance(outcome, Failure):
            self._finish(outcome)
        elif outcome:
            # Only now: what our own disk takes belongs to the time that an answer takes.
            self._place.answered(peer_id)
            self._place.taken()
            if self._attempts > 1:
                self._restores.backlog.note_late(self._clock.seconds(), self._first_at)
            self._finish(True)
        else:
            self._restores.note_wrong(self.chunk_id)

    def _wait_is_over(self) -> None:
        self._timer = None
        if self._mark is None:
            # Not those that come from now on: a flood of wrong ones would be waited for without end.
            is_last = self._attempts >= len(ATTEMPT_WAITS)
            self._mark = self._restores.offered if is_last else self._newest
        if self._restores.judged < self._mark:
            # Our own disk is behind: nothing is missing that the group could send.
            self._timer = self._clock.callLater(ATTEMPT_WAITS[0], self._wait_is_over)
            return
        self._mark = None
        self._place.missing()
        if self._attempts < len(ATTEMPT_WAITS):
            self._restores.enqueue(self)
        else:
            self._give_up(self._restores.offered)

    def _give_up(self, mark: int) -> None:
        """Fail, or ask once more, when all that any run was offered up to *mark* was judged."""
        self._timer = None
        if self._restores.judged < mark:
            self._timer = self._clock.callLater(LAST_LOOK, self._give_up, mark)
        elif self._restores.backlog.may_hold(self._fifth_at, since=self._asked_at):
            self._restores.enqueue(self)
        else:
            self._finish(False)

    def _finish(self, outcome: bool | Failure) -> None:
        if not self._is_over:
            self.close()
            self._ended(self, outcome)


class ChunkRestores:
    """All chunk restores under way in this peer; they share one flow control.

    Calling contract: wait for ``turn`` before each ``start``, or else end the place that it gave.
    """

    _log = Logger()

    def __init__(
        self, *, speaker: Speaker, traffic: Traffic, counters: Counters, clock: IReactorTime
    ) -> None:
        self._speaker = speaker
        self._traffic = traffic
        self._counters = counters
        self._clock = clock
        self._rare_log = RareLog(clock=clock)
        self._runs: dict[ChunkId, list[ChunkRestore]] = {}
        self.backlog = Backlog()
        self.offered = self.judged = 0
        """How many CHUNKs were heard for all runs, and how many were compared, in the order of their coming."""

    async def turn(self, body_bytes: int) -> Place:
        """Wait until a chunk of so many bytes may be asked for: there is a place for it in flight."""
        return await self._traffic.turn(body_bytes)

    def start(self, chunk_id: ChunkId, place: Place, accept: Accept, ended: Ended) -> ChunkRestore:
        """Ask the group for a chunk, in its turn."""
        run = ChunkRestore(chunk_id, place, accept, ended, restores=self, clock=self._clock)
        self._runs.setdefault(chunk_id, []).append(run)
        self.enqueue(run)
        return run

    def heard(self, message: Chunk) -> None:
        """A CHUNK came: whoever waits for it gets it."""
        for run in tuple(self._runs.get(message.chunk_id, ())):
            run.heard(message.sender_id, message.body)

    def enqueue(self, run: ChunkRestore) -> None:
        """Have the run's next GETCHUNK sent in its turn."""
        self._traffic.outbox.enqueue(run)

    def getchunk(self, chunk_id: ChunkId) -> GetChunk:
        """The GETCHUNK for a chunk."""
        return self._speaker.getchunk(chunk_id)

    def say(self, getchunk: GetChunk) -> None:
        """Ask for a chunk."""
        self._speaker.say(getchunk)

    def note_wrong(self, chunk_id: ChunkId) -> None:
        """A CHUNK's bytes had the wrong digest; they were thrown away, and the next GETCHUNK asks again."""
        self._counters.count("wrong_chunks")
        if self._rare_log.is_due(chunk_id.file_id):
            self._log.warn(
                "a CHUNK for {chunk} had the wrong digest and was thrown away", chunk=str(chunk_id)
            )

    def forget(self, run: ChunkRestore) -> None:
        """The run is over."""
        runs = self._runs[run.chunk_id]
        runs.remove(run)
        if not runs:
            del self._runs[run.chunk_id]
