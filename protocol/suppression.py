"""What was overheard lately, and what it makes needless.

Each of these is a bounded memory that time is passed into: ``now`` in seconds of a clock that never goes
back. Entries leave oldest first, at the price of the call that adds one, so that a flood makes none of them
slow.
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import frozen

from protocol.limits import MAX_ANSWERED_CHUNKS, MAX_EARLY_CHUNKS, MAX_EARLY_HOLDERS, MAX_RECENT_CHUNKS
from protocol.timing import ANSWER_SPACING, EARLY_STORED_KEPT, RECENT_CHUNKS_KEPT, REPEAT_MEMORY
from protocol.values import ChunkId, PeerId


class RecentStored:
    """The STOREDs of the last seconds, for chunks that become known only later (SPEC.md 3.24).

    STORED and PUTCHUNK come by different groups, so a STORED may be first. Whoever gets to know a chunk by
    its PUTCHUNK asks here who has said already that it holds the chunk.
    """

    __slots__ = ("_heard_at",)

    def __init__(self) -> None:
        # For each chunk when each peer was heard last; chunks, and the peers of each, in the order of that.
        self._heard_at: OrderedDict[ChunkId, dict[PeerId, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many chunks are remembered."""
        return len(self._heard_at)

    def add(self, chunk_id: ChunkId, peer_id: PeerId, now: float) -> None:
        """``peer_id`` said STORED for the chunk."""
        heard_at = self._heard_at.get(chunk_id)
        if heard_at is None:
            self._forget_oldest(now)
            heard_at = self._heard_at[chunk_id] = {}
        else:
            self._heard_at.move_to_end(chunk_id)
            heard_at.pop(peer_id, None)
            if len(heard_at) >= MAX_EARLY_HOLDERS:
                del heard_at[next(iter(heard_at))]
        heard_at[peer_id] = now

    def discard(self, chunk_id: ChunkId, peer_id: PeerId) -> None:
        """``peer_id`` said REMOVED for the chunk: what it said before holds no more."""
        heard_at = self._heard_at.get(chunk_id)
        if heard_at is not None and heard_at.pop(peer_id, None) is not None and not heard_at:
            del self._heard_at[chunk_id]

    def holders(self, chunk_id: ChunkId, now: float) -> frozenset[PeerId]:
        """Who said STORED for the chunk within the last EARLY_STORED_KEPT seconds."""
        heard_at = self._heard_at.get(chunk_id, {})
        return frozenset(peer for peer, heard in heard_at.items() if now - heard <= EARLY_STORED_KEPT)

    def _forget_oldest(self, now: float) -> None:
        # Two at most for the one that is added: so the memory shrinks again after a flood, in small steps.
        for _ in range(2):
            if not self._heard_at:
                return
            newest = next(reversed(next(iter(self._heard_at.values())).values()))
            if len(self._heard_at) < MAX_EARLY_CHUNKS and now - newest <= EARLY_STORED_KEPT:
                return
            self._heard_at.popitem(last=False)


class _LastHeard:
    """When each of the chunks heard of lately was heard of last, bounded in number and age."""

    __slots__ = ("_heard_at", "_kept", "_most", "pushed_out_at")

    def __init__(self, *, most: int, kept: float) -> None:
        self.pushed_out_at = float("-inf")
        """When the last of those was heard of that had to make room for others before its time."""
        self._heard_at: OrderedDict[ChunkId, float] = OrderedDict()
        self._most = most
        self._kept = kept

    def __len__(self) -> int:
        return len(self._heard_at)

    def get(self, chunk_id: ChunkId) -> float:
        """When the chunk was heard of last; minus infinity if never, or if that is forgotten."""
        return self._heard_at.get(chunk_id, float("-inf"))

    def set(self, chunk_id: ChunkId, now: float) -> None:
        """The chunk is heard of now."""
        self._heard_at[chunk_id] = now
        self._heard_at.move_to_end(chunk_id)
        for _ in range(2):
            oldest = next(iter(self._heard_at.values()))
            is_recent = now - oldest <= self._kept
            if len(self._heard_at) <= self._most and is_recent:
                return
            if is_recent:
                self.pushed_out_at = oldest
            self._heard_at.popitem(last=False)


class RecentChunks:
    """The chunks that others' messages of one type were about lately.

    A PUTCHUNK makes our own backup of its chunk needless (SPEC.md 6.2); who sent it, or a REMOVED, may have counted
    our answer (6.13).
    """

    __slots__ = ("_heard",)

    def __init__(self) -> None:
        self._heard = _LastHeard(most=MAX_RECENT_CHUNKS, kept=RECENT_CHUNKS_KEPT)

    def __len__(self) -> int:
        """How many chunks are remembered."""
        return len(self._heard)

    def heard(self, chunk_id: ChunkId, now: float) -> None:
        """Somebody else sent one for the chunk."""
        self._heard.set(chunk_id, now)

    def heard_since(self, chunk_id: ChunkId, since: float) -> bool:
        """Whether one for the chunk came at ``since`` or later, as far as the memory reaches."""
        return self._heard.get(chunk_id) >= since

    def may_have_heard_since(self, chunk_id: ChunkId, since: float) -> bool:
        """The same, or whether one may be forgotten that came then."""
        return self.heard_since(chunk_id, since) or self._heard.pushed_out_at >= since


@frozen(slots=True)
class Answer:
    """The decision to answer a GETCHUNK."""

    is_repeat: bool
    """Whether another GETCHUNK for the chunk was accepted lately, so that what came in answer to it may
    have been damaged: only a CHUNK equal to our own then makes ours needless."""


class AnswerLedger:
    """Decides which GETCHUNKs are answered: not each of a flood (SPEC.md 4.8, 4.9)."""

    __slots__ = ("_accepted",)

    def __init__(self) -> None:
        self._accepted = _LastHeard(most=MAX_ANSWERED_CHUNKS, kept=REPEAT_MEMORY)

    def __len__(self) -> int:
        """How many chunks are remembered."""
        return len(self._accepted)

    def accept(self, chunk_id: ChunkId, now: float) -> Answer | None:
        """Answer this GETCHUNK, or None: the answer to one accepted less than ANSWER_SPACING ago covers it.

        The spacing counts from request to request, not from the answer, whose delay is random: a request that
        is repeated after a second is so always answered.
        """
        since_last = now - self._accepted.get(chunk_id)
        if since_last < ANSWER_SPACING:
            return None
        self._accepted.set(chunk_id, now)
        return Answer(is_repeat=since_last <= REPEAT_MEMORY)
