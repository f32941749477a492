"""One direction of a peer's chunks: what may start, how fast it leaves, and what is learned from its end."""

from __future__ import annotations

from math import inf

from twisted.internet.interfaces import IReactorTime

from peer.config import NO_SEND_LIMIT
from peer.outbox import Outbox
from peer.waiting import Turnstile
from protocol.flow import FlowControl
from protocol.pacing import Pacer, burst_at, sending_cost
from protocol.values import PeerId
from protocol.window import Window


class SendLimit:
    """What the user lets leave at the most, of all that a peer sends in chunks."""

    def __init__(self, bytes_per_second: float) -> None:
        """As ``set``."""
        self.pacer = Pacer(inf, 0.0)
        self.set(bytes_per_second)

    def set(self, bytes_per_second: float) -> None:
        """Let so much leave from now on; NO_SEND_LIMIT for any amount."""
        if bytes_per_second == NO_SEND_LIMIT:
            self.pacer.set_pace(inf, 0.0)
        else:
            self.pacer.set_pace(bytes_per_second, burst_at(bytes_per_second))


class Traffic:
    """The chunks in flight of all backups, or of all restores, under one flow control (SPEC.md 3.14).

    Calling contract: wait for ``turn`` for each chunk; the place that it gives tells what becomes of it, up to its
    ``end``.
    """

    def __init__(
        self,
        *,
        flow: FlowControl,
        most_unsent_bytes: float = inf,
        most_bytes_under_way: float = inf,
        limit: SendLimit | None = None,
        clock: IReactorTime,
    ) -> None:
        """*limit* is kept by whatever leaves, besides the pace of the *flow*.

        *most_unsent_bytes* bound what has its turn and was not sent yet, *most_bytes_under_way* what has not ended.
        """
        self.flow = flow
        self.clock = clock
        self._rate = flow.rate
        self._pacer = Pacer(flow.rate, burst_at(flow.rate))
        self.outbox = Outbox(clock=clock, pacers=[self._pacer, *([] if limit is None else [limit.pacer])])
        self.in_flight = Window(flow.window)
        self.unsent = Window(most_unsent_bytes)
        self.under_way = Window(most_bytes_under_way)
        self._room = Turnstile(self.in_flight, self.unsent, self.under_way)

    async def turn(self, body_bytes: int) -> Place:
        """Wait until a chunk of so many bytes may be sent: its place."""
        size = sending_cost(body_bytes)
        await self._room.enter(size)
        return Place(self, size)

    def follow_flow(self) -> None:
        """Something was learned or given back: keep to the window and the pace as they are now."""
        self.in_flight.limit = self.flow.window
        rate = self.flow.rate
        if rate != self._rate:
            self._rate = rate
            self._pacer.set_pace(rate, burst_at(rate))
        self._room.admit()


class Place:
    """The place of one chunk among those in flight, from its turn to its end."""

    __slots__ = ("_has_ended", "_is_in_flight", "_is_taken", "_is_unsent", "_sent_at", "_traffic", "cost")

    def __init__(self, traffic: Traffic, cost: int) -> None:
        self.cost = cost
        """Bytes that it counts for in windows and paces."""
        self._traffic = traffic
        self._sent_at: float | None = None
        self._is_unsent = True
        self._is_in_flight = True
        self._is_taken = False
        self._has_ended = False

    def sent(self) -> None:
        """The chunk was sent (or asked for)."""
        now = self._traffic.clock.seconds()
        self._traffic.flow.note_sent(now, self.cost, is_first=self._is_unsent)
        self._sent_at = now if self._is_unsent else None
        if self._is_unsent:
            self._is_unsent = False
            self._traffic.unsent.free(self.cost)
        self._traffic.follow_flow()

    def answered(self, peer_id: PeerId) -> None:
        """A peer answered, and its answer was still needed."""
        self._traffic.flow.note_answer(self._traffic.clock.seconds(), peer_id, self._sent_at)

    def taken(self) -> None:
        """All the answers that can be had have come: the place is given back."""
        if not self._is_taken:
            self._is_taken = True
            self._traffic.flow.note_taken(self._traffic.clock.seconds(), self.cost, self._sent_at)
        self.leave()

    def missing(self) -> None:
        """Answers are missing after a wait: the place is given back."""
        if self._sent_at is not None:
            self._traffic.flow.note_missing(self._traffic.clock.seconds(), self._sent_at)
            self._sent_at = None
        self.leave()

    def leave(self) -> None:
        """Give the place back, for a reason that tells nothing of the group."""
        if self._is_in_flight:
            self._is_in_flight = False
            self._traffic.in_flight.free(self.cost)
            self._traffic.follow_flow()

    def end(self) -> None:
        """The chunk needs nothing more."""
        if self._has_ended:
            return
        self._has_ended = True
        self._traffic.under_way.free(self.cost)
        if self._is_unsent:
            self._is_unsent = False
            self._traffic.unsent.free(self.cost)
        self.leave()
        self._traffic.follow_flow()
