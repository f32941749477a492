"""The chunk restore subprotocol, as initiator (SPEC.md section 4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from peer.metrics import Counters
from peer.rare_log import RareLog
from peer.speaker import Speaker
from peer.waiting import Turnstile
from protocol.limits import MAX_BODIES_OFFERED
from protocol.messages import Chunk
from protocol.timing import ATTEMPT_WAITS
from protocol.values import ChunkId

Accept = Callable[[bytes], Awaitable[bool]]
"""Takes a chunk's bytes; False when their digest is wrong, so that they are thrown away and asked for again."""


class ChunkRestore:
    """One run of the subprotocol: at most five GETCHUNKs for one chunk, until its bytes are accepted.

    ``done`` fires with True once they are, with False when nobody gave them, and fails if ``accept`` does.
    """

    def __init__(
        self, chunk_id: ChunkId, accept: Accept, *, restores: ChunkRestores, clock: IReactorTime
    ) -> None:
        self.chunk_id = chunk_id
        self.done: Deferred[bool] = Deferred(lambda _done: self._end())
        self._accept = accept
        self._restores = restores
        self._clock = clock
        self._attempts = 0
        self._offered = 0
        self._timer: IDelayedCall | None = None
        self._is_over = False

    def ask(self) -> None:
        """Send GETCHUNK, and wait; the wait doubles each time."""
        self._timer = self._clock.callLater(ATTEMPT_WAITS[self._attempts], self._wait_is_over)
        self._attempts += 1
        self._restores.send_getchunk(self.chunk_id)

    def heard(self, body: bytes) -> None:
        """A CHUNK came for this chunk."""
        if not self._is_over and self._offered < MAX_BODIES_OFFERED:
            accepted = Deferred.fromCoroutine(self._offer(body))
            accepted.addErrback(self._fail)

    async def _offer(self, body: bytes) -> None:
        self._offered += 1
        try:
            is_accepted = await self._accept(body)
        finally:
            self._offered -= 1
        if is_accepted:
            self._finish(True)
        else:
            self._restores.note_wrong(self.chunk_id)

    def _wait_is_over(self) -> None:
        self._timer = None
        if self._attempts == len(ATTEMPT_WAITS):
            self._finish(False)
        else:
            self.ask()

    def _finish(self, is_restored: bool) -> None:
        if not self._is_over:
            self._end()
            self.done.callback(is_restored)

    def _fail(self, failure: Failure) -> None:
        if not self._is_over:
            self._end()
            self.done.errback(failure)

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._restores.forget(self)
        self._restores.room.leave()


class ChunkRestores:
    """All chunk restores under way in this peer; they share one window.

    Calling contract: enter ``room`` (and wait for it) before each ``start``; the run leaves it by itself.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        speaker: Speaker,
        room: Turnstile,
        counters: Counters,
        clock: IReactorTime,
    ) -> None:
        self.room = room
        self._speaker = speaker
        self._counters = counters
        self._clock = clock
        self._rare_log = RareLog(clock=clock)
        self._runs: dict[ChunkId, list[ChunkRestore]] = {}

    def start(self, chunk_id: ChunkId, accept: Accept) -> ChunkRestore:
        """Ask the group for a chunk; the caller has entered ``room`` for it."""
        run = ChunkRestore(chunk_id, accept, restores=self, clock=self._clock)
        self._runs.setdefault(chunk_id, []).append(run)
        run.ask()
        return run

    def heard(self, message: Chunk) -> None:
        """A CHUNK came: whoever waits for it gets it."""
        for run in tuple(self._runs.get(message.chunk_id, ())):
            run.heard(message.body)

    def send_getchunk(self, chunk_id: ChunkId) -> None:
        """Ask for the chunk."""
        self._speaker.getchunk(chunk_id)

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
