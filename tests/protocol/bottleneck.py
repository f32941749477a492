"""A group behind bottlenecks, for flow control to find out about: in virtual time, without any message."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from attrs import define, field

from protocol.flow import FlowControl
from protocol.timing import ATTEMPT_WAITS, response_delay
from protocol.values import CHUNK_SIZE, PeerId

MOST_WINDOW = 4_096.0 * CHUNK_SIZE
LONG_QUEUE = 64e6
THREE_CHUNKS = 213e3
"""Bytes: the receive buffer that other implementations have."""
LOOK_AGAIN = 0.000_5


@define(eq=False)
class Holder:
    """A queue that is worked off at a rate, and loses what finds it full; its network loses some both ways."""

    bytes_per_second: float
    queue_bytes: float = LONG_QUEUE
    loss: float = 0.0
    random: Random = field(factory=lambda: Random(1))
    busy_until: float = 0.0
    is_deaf: bool = False

    def answer_after(self, now: float) -> float | None:
        """Seconds until it has answered for a chunk sent now; None if it doesn't."""
        waiting = max(0.0, self.busy_until - now)
        if self.is_deaf or self._loses() or waiting * self.bytes_per_second > self.queue_bytes:
            return None
        self.busy_until = now + waiting + CHUNK_SIZE / self.bytes_per_second
        delay = max(self.busy_until - now, response_delay(self.random))
        return None if self._loses() else delay

    def _loses(self) -> bool:
        return self.random.random() < self.loss


def holders(
    number: int, bytes_per_second: float, queue_bytes: float = LONG_QUEUE, loss: float = 0.0
) -> list[Holder]:
    """Some holders that are alike, but for their chance."""
    return [Holder(bytes_per_second, queue_bytes, loss, Random(seed)) for seed in range(number)]


@define(eq=False)
class Chunk:
    """A chunk under way: who has answered, and how often it was sent."""

    answered: set[int] = field(factory=set)
    attempts: int = 0
    is_over: bool = False


@define(eq=False)
class Initiator:
    """Sends chunks as fast as its flow control allows, and notes what becomes of them."""

    group: Sequence[Holder]
    degree: int
    starts_at: float = 0.0
    control: FlowControl = field(factory=lambda: FlowControl(most_window=MOST_WINDOW))
    in_flight: int = 0
    again: deque[Chunk] = field(factory=deque)
    sent: int = 0
    missing: int = 0
    met: list[float] = field(factory=list)
    rates: list[tuple[float, float]] = field(factory=list)

    def goodput(self, since: float, until: float) -> float:
        """Bytes a second whose degree was met between two times."""
        return CHUNK_SIZE * sum(since <= time < until for time in self.met) / (until - since)

    def missing_share(self) -> float:
        """The share of chunks that had to be sent again."""
        return self.missing / self.sent

    def rates_since(self, since: float) -> list[float]:
        """The rates at which it has sent since a time."""
        return [rate for time, rate in self.rates if time >= since]


class Course:
    """Some initiators at once, for some seconds; *each_tenth* is called every 0.1 s."""

    def __init__(
        self, *initiators: Initiator, each_tenth: Callable[[float], None] = lambda now: None
    ) -> None:
        self._order = count()
        self._events: list[tuple[float, int, Callable[..., None], Any]] = []
        self._each_tenth = each_tenth
        self._later(0.0, self._tick, None)
        for initiator in initiators:
            self._later(initiator.starts_at, self._send_next, initiator)

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._events[0][0] < until:
            now, _, happens, what = heappop(self._events)
            happens(now, what)

    def _later(self, time: float, happens: Callable[..., None], what: Any) -> None:
        heappush(self._events, (time, next(self._order), happens, what))

    def _tick(self, now: float, _nothing: None) -> None:
        self._each_tenth(now)
        self._later(now + 0.1, self._tick, None)

    def _send_next(self, now: float, initiator: Initiator) -> None:
        pause = CHUNK_SIZE / initiator.control.rate
        if initiator.again:
            chunk = initiator.again.popleft()
            if not chunk.is_over:
                self._send(now, initiator, chunk)
        elif initiator.in_flight * CHUNK_SIZE < initiator.control.window:
            initiator.in_flight += 1
            initiator.sent += 1
            initiator.rates.append((now, initiator.control.rate))
            self._send(now, initiator, Chunk())
        else:
            pause = LOOK_AGAIN
        self._later(now + pause, self._send_next, initiator)

    def _send(self, now: float, initiator: Initiator, chunk: Chunk) -> None:
        chunk.attempts += 1
        initiator.control.note_sent(now, CHUNK_SIZE, is_first=chunk.attempts == 1)
        for number, holder in enumerate(initiator.group):
            after = holder.answer_after(now)
            if after is not None:
                self._later(now + after, self._answer, (initiator, chunk, number, now, chunk.attempts))
        wait = ATTEMPT_WAITS[chunk.attempts - 1]
        self._later(now + wait, self._end_wait, (initiator, chunk, now))

    def _answer(self, now: float, what: tuple[Initiator, Chunk, int, float, int]) -> None:
        initiator, chunk, number, sent_at, attempt = what
        if chunk.is_over:
            return
        chunk.answered.add(number)
        is_first = chunk.attempts == attempt == 1
        initiator.control.note_answer(now, PeerId(number), sent_at if is_first else None)
        if len(chunk.answered) >= initiator.degree:
            chunk.is_over = True
            initiator.met.append(now)
            initiator.control.note_taken(now, CHUNK_SIZE, sent_at if is_first else None)
            initiator.in_flight -= chunk.attempts == 1

    def _end_wait(self, now: float, what: tuple[Initiator, Chunk, float]) -> None:
        initiator, chunk, sent_at = what
        if chunk.is_over:
            return
        if chunk.attempts == 1:
            initiator.in_flight -= 1
            initiator.missing += 1
            initiator.control.note_missing(now, sent_at)
        if chunk.attempts < len(ATTEMPT_WAITS):
            initiator.again.append(chunk)
        else:
            chunk.is_over = True
