"""The chunk backup subprotocol, as the peer that stores (SPEC.md section 3)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from peer.blocking import Lane
from peer.metrics import Counters
from peer.speaker import Speaker
from protocol.limits import MAX_BYTES_BEING_STORED
from protocol.messages import PutChunk
from protocol.timing import response_delay
from protocol.values import ChunkId, FileId, PeerId
from storage.capacity import charged_bytes
from storage.interfaces import ChunkToStore, IChunkStore, PutOutcome

_COUNTED_AS: Final = {outcome: f"put_{outcome.name.lower()}" for outcome in PutOutcome}


class StoredAnswers:
    """The STOREDs that are due: each goes out after a random delay, and says what is true when it leaves.

    A copy that this peer is withdrawing is never vouched for: another peer may be about to drop its own on the
    strength of it (SPEC.md section 6).
    """

    def __init__(
        self,
        *,
        speaker: Speaker,
        is_withdrawing: Callable[[ChunkId], bool],
        clock: IReactorTime,
        random: Random,
    ) -> None:
        self._speaker = speaker
        self._is_withdrawing = is_withdrawing
        self._clock = clock
        self._random = random
        self._due: dict[ChunkId, IDelayedCall] = {}

    def due_time(self) -> float:
        """When an answer to what came just now should leave, in the clock's seconds."""
        return self._clock.seconds() + response_delay(self._random)

    def answer(self, chunk_id: ChunkId, due: float | None = None) -> None:
        """Have a STORED for the chunk leave at *due* (or after a delay drawn now), unless one is due already."""
        if chunk_id in self._due:
            return
        when = self.due_time() if due is None else due
        delay = max(0.0, when - self._clock.seconds())
        self._due[chunk_id] = self._clock.callLater(delay, self._leave, chunk_id)

    def forget_chunk(self, chunk_id: ChunkId) -> None:
        """The copy is gone: what is due for it is no longer true."""
        call = self._due.pop(chunk_id, None)
        if call is not None:
            call.cancel()

    def forget_file(self, file_id: FileId) -> None:
        """The file was deleted."""
        for chunk_id in [chunk_id for chunk_id in self._due if chunk_id.file_id == file_id]:
            self.forget_chunk(chunk_id)

    def stop(self) -> None:
        """Send nothing more."""
        for chunk_id in list(self._due):
            self.forget_chunk(chunk_id)

    def vouch(self, chunk_id: ChunkId) -> None:
        """Say STORED now, unless the copy is being withdrawn."""
        if not self._is_withdrawing(chunk_id):
            self._speaker.stored(chunk_id)

    def _leave(self, chunk_id: ChunkId) -> None:
        del self._due[chunk_id]
        self.vouch(chunk_id)


@define(eq=False)
class _BeingStored:
    """A chunk on its way to the disk."""

    message: PutChunk
    charge: int
    """Bytes that it counts for among those on their way; as on the disk: an empty body takes memory too."""
    due: float | None = None
    """When the answer should leave, in the clock's seconds."""


class PutChunkResponder:
    """Stores the chunks that others multicast, and says so once they are durable.

    ``may_store`` is whether a file's chunks may be stored here at all: not those of this peer's own files, nor
    of a file that was deleted a moment ago.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        peer_id: PeerId,
        store: IChunkStore,
        store_lane: Lane,
        answers: StoredAnswers,
        may_store: Callable[[FileId], bool],
        recent_holders: Callable[[ChunkId], frozenset[PeerId]],
        make_room: Callable[[int], None],
        counters: Counters,
    ) -> None:
        self._peer_id = peer_id
        self._store = store
        self._store_lane = store_lane
        self._answers = answers
        self._may_store = may_store
        self._recent_holders = recent_holders
        self._make_room = make_room
        self._counters = counters
        self._being_stored: dict[ChunkId, _BeingStored] = {}
        self._bytes_being_stored = 0

    def respond(self, message: PutChunk) -> None:
        """Store the chunk of *message*, and answer with STORED when it is held."""
        chunk_id = message.chunk_id
        if not self._may_store(message.file_id):
            self._counters.count("putchunk_refused")
            return
        first = self._being_stored.get(chunk_id)
        if first is not None and first.message.body != message.body:
            self._counters.count("putchunk_conflicting")
            return
        if first is not None and message.replication_degree <= first.message.replication_degree:
            # A repeat of a chunk that is still being written joins that write, and its answer.
            self._counters.count("putchunk_joined")
            return
        charge = charged_bytes(len(message.body))
        if self._bytes_being_stored + charge > MAX_BYTES_BEING_STORED:
            self._counters.count("putchunk_over_backlog")
            return
        being_stored = self._being_stored[chunk_id] = _BeingStored(message, charge)
        self._bytes_being_stored += charge
        holders = self._recent_holders(chunk_id) | {self._peer_id}
        item = ChunkToStore(chunk_id, message.replication_degree, message.body, holders)
        self._store_lane.hand_in(self._store.put, item, self._is_settled, being_stored)
        being_stored.due = self._answers.due_time()

    def forget_file(self, file_id: FileId) -> None:
        """The file was deleted: what is still being written for it gets no answer.

        The write itself may still happen; the deletion follows it on the same lane.
        """
        for chunk_id in [chunk_id for chunk_id in self._being_stored if chunk_id.file_id == file_id]:
            del self._being_stored[chunk_id]

    def stop(self) -> None:
        """Answer nothing more; what is being written still will be."""
        self._being_stored.clear()

    def _is_settled(self, outcome: PutOutcome | Failure, being_stored: _BeingStored) -> None:
        message = being_stored.message
        self._bytes_being_stored -= being_stored.charge
        is_wanted = self._being_stored.get(message.chunk_id) is being_stored
        if is_wanted:
            del self._being_stored[message.chunk_id]
        if isinstance(outcome, Failure):
            self._log.failure("a chunk was not stored", outcome)
            return
        self._counters.count(_COUNTED_AS[outcome])
        if not is_wanted:
            return
        if outcome in (PutOutcome.STORED, PutOutcome.HELD, PutOutcome.MENDED):
            self._answers.answer(message.chunk_id, being_stored.due)
        elif outcome is PutOutcome.NO_ROOM:
            self._make_room(len(message.body))
