"""The chunk backup subprotocol, as initiator (SPEC.md section 3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from peer.speaker import Speaker
from peer.traffic import Place, Traffic
from protocol.messages import PutChunk
from protocol.replication import Replication
from protocol.scarcity import Scarcity
from protocol.timing import ATTEMPT_WAITS
from protocol.values import CHUNK_SIZE, Body, ChunkId, FileId, PeerId

Ended = Callable[["ChunkBackup", "Failure | None"], None]
"""Is told that a run waits no longer: its degree is met or not, or it failed."""


@frozen(kw_only=True, eq=False)
class ChunkToBackUp:
    """What a chunk backup is asked to do.

    ``read`` gives the bytes each time they are to be sent, so that bodies in flight are not held in memory.
    ``holders`` are those that count from the start.
    ``announces_own_copy``: this peer holds the chunk itself and says so by its own STORED.
    ``keeps_own_count``: whoever started the run records the holders; nobody else needs to note them meanwhile.
    ``counts_answers_only``: a CHUNK doesn't make its sender a holder, who may be about to drop his copy too.
    """

    chunk_id: ChunkId
    desired: int
    read: Callable[[], Awaitable[Body]]
    holders: frozenset[PeerId] = frozenset()
    announces_own_copy: bool = False
    keeps_own_count: bool = False
    counts_answers_only: bool = False


class ChunkBackup:
    """One run of the subprotocol: at most five PUTCHUNKs for one chunk, until its degree is met. A Sending.

    ``ended`` is told once when it waits no longer, met or not, or that the chunk can't be read or was given up; not
    after it is closed. The run goes on counting holders until then. There are thousands at a time: no object more for
    each than it takes.
    """

    __slots__ = (
        "_backups",
        "_body",
        "_clock",
        "_ended",
        "_is_over",
        "_place",
        "_timer",
        "attempts",
        "chunk",
        "replication",
    )

    def __init__(
        self,
        chunk: ChunkToBackUp,
        place: Place,
        body: Body | None,
        ended: Ended,
        *,
        backups: ChunkBackups,
        clock: IReactorTime,
    ) -> None:
        self.chunk = chunk
        self.replication = Replication(chunk.desired, chunk.holders)
        self.attempts = 0
        self._place = place
        self._backups = backups
        self._clock = clock
        self._body = body
        self._ended = ended
        self._timer: IDelayedCall | None = None
        self._is_over = False

    def give_up(self) -> None:
        """Stop, count no more, and have whoever waits for it told so by a CancelledError."""
        self._fail(Failure(CancelledError()))
        self.close()

    def close(self) -> None:
        """Stop, and count no more."""
        self._end()
        self._backups.forget(self)

    @property
    def cost(self) -> int:
        """See Sending."""
        return self._place.cost

    def holder_found(self, peer_id: PeerId) -> None:
        """*peer_id* says that it holds the chunk."""
        self.replication.add(peer_id)
        if self._is_over:
            return
        self._place.answered(peer_id)
        if self.replication.is_met:
            self._backups.scarcity.note_met()
            self._place.taken()
            self._finish()
        elif self._backups.scarcity.answered_as_expected(self.replication.holders):
            self._place.taken()

    def holder_lost(self, peer_id: PeerId) -> None:
        """*peer_id* says that it dropped the chunk."""
        self.replication.discard(peer_id)

    def make(self) -> PutChunk | Deferred[PutChunk | None] | None:
        """Make the next PUTCHUNK; see Sending."""
        body, self._body = self._body, None
        if self._is_over:
            return None
        if body is None:
            return Deferred.fromCoroutine(self._make_from_disk())
        return self._backups.putchunk(self.chunk, body)

    def send(self, putchunk: PutChunk) -> None:
        """Send the PUTCHUNK, unless none is needed any more; its wait begins now."""
        if self._is_over:
            return
        self._timer = self._clock.callLater(ATTEMPT_WAITS[self.attempts], self._wait_is_over)
        self.attempts += 1
        self._backups.send(self.chunk, putchunk)
        self._place.sent()

    async def _make_from_disk(self) -> PutChunk | None:
        try:
            body = await self.chunk.read()
        except Exception:
            # Whatever keeps the chunk from being read is the owner's to hear.
            self._fail(Failure())
            return None
        return self._backups.putchunk(self.chunk, body)

    def _wait_is_over(self) -> None:
        self._timer = None
        if self.replication.is_met:
            # From the start: whoever began the run wanted one PUTCHUNK all the same.
            self._finish()
            return
        scarcity = self._backups.scarcity
        scarcity.note_expired(self.replication.holders)
        if scarcity.answered_as_expected(self.replication.holders):
            self._place.leave()
        else:
            self._place.missing()
        if self.attempts == len(ATTEMPT_WAITS):
            self._finish()
        else:
            self._backups.enqueue(self)

    def _finish(self) -> None:
        if not self._is_over:
            self._end()
            self._ended(self, None)

    def _fail(self, failure: Failure) -> None:
        if not self._is_over:
            self._end()
            self._ended(self, failure)

    def _end(self) -> None:
        self._is_over = True
        self._body = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._place.end()


class ChunkBackups:
    """All chunk backups under way in this peer; they share one flow control.

    Calling contract: wait for ``turn`` before each ``start``, or else end the place that it gave.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        speaker: Speaker,
        vouch: Callable[[ChunkId], None],
        traffic: Traffic,
        scarcity: Scarcity,
        clock: IReactorTime,
    ) -> None:
        """*vouch* says STORED for a copy of this peer's own, if there is nothing against it."""
        self.scarcity = scarcity
        self._speaker = speaker
        self._vouch = vouch
        self._traffic = traffic
        self._clock = clock
        self._runs: dict[ChunkId, ChunkBackup] = {}
        self._waiting_for_end: dict[ChunkId, list[Deferred[None]]] = {}

    async def turn(self, chunk_id: ChunkId, body_bytes: int = CHUNK_SIZE) -> Place:
        """Wait until a run for the chunk may start: there is none, and there is a place for it in flight."""
        while True:
            while chunk_id in self._runs:
                ended: Deferred[None] = Deferred()
                self._waiting_for_end.setdefault(chunk_id, []).append(ended)
                await ended
            place = await self._traffic.turn(body_bytes)
            if chunk_id not in self._runs:
                return place
            place.end()

    async def run(self, chunk: ChunkToBackUp, place: Place) -> None:
        """Run a chunk backup to its end, as ``start``."""
        over: Deferred[None] = Deferred()

        def ended(_run: ChunkBackup, failure: Failure | None) -> None:
            over.callback(None) if failure is None else over.errback(failure)

        run = self.start(chunk, place, ended)
        try:
            await over
        finally:
            run.close()

    def start(
        self, chunk: ChunkToBackUp, place: Place, ended: Ended, body: Body | None = None
    ) -> ChunkBackup:
        """Begin a run for a chunk that has none, in its turn; *body* spares its first reading."""
        if chunk.chunk_id in self._runs:
            raise ValueError(f"a chunk backup of {chunk.chunk_id} is under way already")
        run = ChunkBackup(chunk, place, body, ended, backups=self, clock=self._clock)
        self._runs[chunk.chunk_id] = run
        self.enqueue(run)
        return run

    def is_running(self, chunk_id: ChunkId) -> bool:
        """Whether a run for the chunk has not been closed yet."""
        return chunk_id in self._runs

    def is_counted_by_run(self, chunk_id: ChunkId) -> bool:
        """Whether the owner of a run records this chunk's holders, so that nobody else needs to."""
        run = self._runs.get(chunk_id)
        return run is not None and run.chunk.keeps_own_count

    def heard_holder(self, chunk_id: ChunkId, peer_id: PeerId) -> None:
        """A STORED came: *peer_id* holds the chunk."""
        run = self._runs.get(chunk_id)
        if run is not None:
            run.holder_found(peer_id)

    def heard_chunk(self, chunk_id: ChunkId, peer_id: PeerId) -> None:
        """A CHUNK came: *peer_id* holds the chunk, for now."""
        run = self._runs.get(chunk_id)
        if run is not None and not run.chunk.counts_answers_only:
            run.holder_found(peer_id)

    def heard_removed(self, chunk_id: ChunkId, peer_id: PeerId) -> None:
        """A REMOVED came: *peer_id* dropped its copy."""
        run = self._runs.get(chunk_id)
        if run is not None and peer_id != self._speaker.peer_id:
            run.holder_lost(peer_id)

    def forget_file(self, file_id: FileId) -> None:
        """The file was deleted: end its runs."""
        for run in [run for run in self._runs.values() if run.chunk.chunk_id.file_id == file_id]:
            run.give_up()

    def enqueue(self, run: ChunkBackup) -> None:
        """Have the run's next PUTCHUNK sent in its turn."""
        self._traffic.outbox.enqueue(run)

    def putchunk(self, chunk: ChunkToBackUp, body: Body) -> PutChunk:
        """The PUTCHUNK for a chunk."""
        return self._speaker.putchunk(chunk.chunk_id, chunk.desired, body)

    def send(self, chunk: ChunkToBackUp, putchunk: PutChunk) -> None:
        """Send the PUTCHUNK for a chunk; our own STORED goes with it where we hold the chunk ourselves."""
        if chunk.announces_own_copy:
            self._vouch(chunk.chunk_id)
        self._speaker.say(putchunk)

    def forget(self, run: ChunkBackup) -> None:
        """The run is closed."""
        chunk_id = run.chunk.chunk_id
        if self._runs.get(chunk_id) is run:
            del self._runs[chunk_id]
            for ended in self._waiting_for_end.pop(chunk_id, ()):
                ended.callback(None)
