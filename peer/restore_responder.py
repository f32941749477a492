"""The chunk restore subprotocol, as a holder (SPEC.md section 4)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from peer.blocking import Lane
from peer.outbox import Outbox
from peer.speaker import Speaker
from protocol.digest import Digest
from protocol.limits import MAX_ANSWERS_DUE, MAX_BODIES_OVERHEARD
from protocol.messages import Chunk, GetChunk
from protocol.suppression import AnswerLedger
from protocol.timing import response_delay
from protocol.values import CHUNK_SIZE, ChunkId, FileId
from storage.interfaces import IChunkStore, ReadOutcome


@define(eq=False)
class _DueAnswer:
    """A CHUNK that will go out, unless what is overheard meanwhile makes it needless."""

    is_repeat: bool
    timer: IDelayedCall | None = None
    is_overheard: bool = False
    overheard: list[Digest] = field(factory=list)


class GetChunkResponder:
    """Answers GETCHUNK with CHUNK after a random delay, unless somebody else did so first.

    On a repeated GETCHUNK only a CHUNK equal to ours makes ours needless: a damaged one must not silence the
    good holders. A copy that turns out damaged is never sent; ``drop_damaged`` is told. Nor is one that
    ``is_offered``, with its REMOVED out: the others would count this peer as a holder again.
    """

    def __init__(
        self,
        *,
        speaker: Speaker,
        store: IChunkStore,
        read_lane: Lane,
        outbox: Outbox,
        drop_damaged: Callable[[ChunkId], None],
        is_offered: Callable[[ChunkId], bool],
        clock: IReactorTime,
        random: Random,
    ) -> None:
        self._speaker = speaker
        self._store = store
        self._read_lane = read_lane
        self._outbox = outbox
        self._drop_damaged = drop_damaged
        self._is_offered = is_offered
        self._clock = clock
        self._random = random
        self._ledger = AnswerLedger()
        self._due: dict[ChunkId, _DueAnswer] = {}

    def respond(self, message: GetChunk) -> None:
        """Answer with the chunk of *message*, if it is held and nobody else answers first."""
        if len(self._due) >= MAX_ANSWERS_DUE:
            return
        chunk_id = message.chunk_id
        accepted = self._ledger.accept(chunk_id, self._clock.seconds())
        if accepted is None:
            return
        waiting = self._due.get(chunk_id)
        if waiting is not None:
            # It answers this repeat too, so that what was overheard before makes it needless no more.
            waiting.is_repeat, waiting.is_overheard = True, False
            return
        answer = self._due[chunk_id] = _DueAnswer(accepted.is_repeat)
        delay = response_delay(self._random)
        answer.timer = self._clock.callLater(delay, self._is_due, chunk_id, answer)

    def overheard(self, message: Chunk) -> None:
        """Somebody sent a CHUNK."""
        answer = self._due.get(message.chunk_id)
        if answer is None:
            return
        if not answer.is_repeat:
            answer.is_overheard = True
        elif len(answer.overheard) < MAX_BODIES_OVERHEARD:
            answer.overheard.append(Digest.of(message.body))

    def forget_file(self, file_id: FileId) -> None:
        """The file was deleted: no answer of ours for it is due any more."""
        for chunk_id in [chunk_id for chunk_id in self._due if chunk_id.file_id == file_id]:
            self._cancel(self._due.pop(chunk_id))

    def stop(self) -> None:
        """Answer nothing more."""
        for answer in self._due.values():
            self._cancel(answer)
        self._due.clear()

    def _cancel(self, answer: _DueAnswer) -> None:
        answer.is_overheard = True
        if answer.timer is not None:
            answer.timer.cancel()

    def _is_due(self, chunk_id: ChunkId, answer: _DueAnswer) -> None:
        answer.timer = None
        if answer.is_overheard:
            self._is_settled(chunk_id, answer)
        else:
            self._outbox.enqueue(_Answering(self, chunk_id, answer))

    def read(self, chunk_id: ChunkId, answer: _DueAnswer) -> Deferred[Chunk | Failure | None] | None:
        """The CHUNK that answers, if it may be sent and is still wanted."""
        if answer.is_overheard:
            self._is_settled(chunk_id, answer)
            return None
        return self._read_lane.submit(self._store.get, chunk_id).addBoth(self._is_read, chunk_id, answer)

    def _is_read(
        self, outcome: ReadOutcome | Failure, chunk_id: ChunkId, answer: _DueAnswer
    ) -> Chunk | Failure | None:
        if not isinstance(outcome, Failure):
            if outcome.is_damaged:
                self._drop_damaged(chunk_id)
            if outcome.body is not None:
                return self._speaker.chunk(chunk_id, outcome.body)
        self._is_settled(chunk_id, answer)
        return outcome if isinstance(outcome, Failure) else None

    def send(self, chunk: Chunk, answer: _DueAnswer) -> None:
        """Send the CHUNK, unless what was heard until now makes it needless."""
        self._is_settled(chunk.chunk_id, answer)
        is_needless = (
            answer.is_overheard
            or self._is_offered(chunk.chunk_id)
            or any(digest.matches(chunk.body) for digest in answer.overheard)
        )
        if not is_needless:
            self._speaker.say(chunk)

    def _is_settled(self, chunk_id: ChunkId, answer: _DueAnswer) -> None:
        if self._due.get(chunk_id) is answer:
            del self._due[chunk_id]


@frozen(eq=False)
class _Answering:
    """A CHUNK that waits for its turn to be sent; see Sending."""

    _responder: GetChunkResponder
    _chunk_id: ChunkId
    _answer: _DueAnswer

    @property
    def cost(self) -> int:
        # Most chunks are full; nobody knows before it is read.
        return CHUNK_SIZE

    def make(self) -> Deferred[Any] | None:
        return self._responder.read(self._chunk_id, self._answer)

    def send(self, chunk: Chunk) -> None:
        self._responder.send(chunk, self._answer)
