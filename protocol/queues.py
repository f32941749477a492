"""How long holders make what is sent wait, in spite of their random delays (SPEC.md 3.14)."""

from __future__ import annotations

from typing import Final

from attrs import define

from protocol.limits import MAX_HOLDERS_PER_CHUNK
from protocol.values import PeerId

ANSWERS_TO_JUDGE: Final = 16
"""Answers whose quickest tells about a queue: of so many random delays of up to 0.4 s the least is 24 ms on the
average, and under 0.1 s in 99 of 100."""

FORGOTTEN_AFTER: Final = 2.0
"""Seconds without an answer after which a holder's queue is not known any more."""


@define
class _Holder:
    quickest: float = float("inf")
    answers: int = 0
    began: float = 0.0
    heard_at: float = 0.0
    queue: float = 0.0
    answers_a_second: float = 0.0


class Queues:
    """Estimates the queues of holders from the quickest of each one's answers: that one waited for nothing else."""

    def __init__(self) -> None:
        self._holders: dict[PeerId, _Holder] = {}

    @property
    def seconds(self) -> float:
        """The mean queue, of each holder by how often its answers were needed: who isn't needed holds nobody up."""
        total = sum(holder.answers_a_second for holder in self._holders.values())
        if not total:
            return 0.0
        return sum(holder.answers_a_second * holder.queue for holder in self._holders.values()) / total

    def note_answer(self, now: float, peer_id: PeerId, waited: float) -> None:
        """A needed answer of a peer came *waited* seconds after the sending."""
        holder = self._holders.get(peer_id)
        if holder is None:
            if len(self._holders) == MAX_HOLDERS_PER_CHUNK:
                return
            holder = self._holders[peer_id] = _Holder(began=now)
        if waited < holder.quickest:
            holder.quickest = waited
        holder.answers += 1
        holder.heard_at = now

    def end_round(self, now: float) -> None:
        """Take each holder that has answered often enough as it is now."""
        for peer_id, holder in list(self._holders.items()):
            if holder.answers >= ANSWERS_TO_JUDGE and now > holder.began:
                holder.queue = holder.quickest
                holder.answers_a_second = holder.answers / (now - holder.began)
                holder.quickest, holder.answers, holder.began = float("inf"), 0, now
            elif now - holder.heard_at > FORGOTTEN_AFTER:
                del self._holders[peer_id]
