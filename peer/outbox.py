"""Datagrams that are to be paced leave one after another, at the pace that the group can take."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from attrs import define
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from protocol.messages import Message
from protocol.pacing import Pacer

READ_AHEAD = 8
"""Messages being made at once, so that the pace doesn't wait for a disk's latency each time: 0.5 MB of bodies."""

SOON = 0.002
"""Seconds: what has to wait for less is sent at once, with what comes next waiting longer. A timer costs more than the
sending, and 2 ms at 60 MB/s are two chunks."""


class Sending(Protocol):
    """A message to be sent in its turn."""

    @property
    def cost(self) -> int:
        """Bytes that it counts for in the pace."""

    def make(self) -> Message | Deferred[Any] | None:
        """Make the message when its turn comes near, now or later: None if it is no longer wanted."""

    def send(self, message: Any) -> None:
        """Its turn has come: send what was made, if it is still wanted."""


@define(eq=False)
class _Made:
    sending: Sending
    making: Deferred[Any] | None = None
    message: Message | None = None


class Outbox:
    """A first-in, first-out queue of messages to be made and sent.

    A body is read when its turn comes near, so that what waits here costs no memory for bodies.
    """

    _log = Logger()

    def __init__(self, *, clock: IReactorTime, pacers: Sequence[Pacer]) -> None:
        """Every one of the *pacers* is kept."""
        self._clock = clock
        self._pacers = pacers
        self._queue: deque[Sending] = deque()
        self._made: deque[_Made] = deque()
        self._timer: IDelayedCall | None = None
        self._is_busy = False
        self._is_stopped = False

    def enqueue(self, sending: Sending) -> None:
        """Have *sending* made and sent after all that was enqueued before."""
        if not self._is_stopped:
            self._queue.append(sending)
            self._go_on()

    def stop(self) -> None:
        """Send nothing more."""
        self._is_stopped = True
        self._queue.clear()
        made, self._made = self._made, deque()
        for each in made:
            if each.making is not None:
                each.making.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        """Send what may leave now."""
        if self._is_busy or self._timer is not None:
            return
        self._is_busy = True
        try:
            while self._read_ahead():
                message = self._made[0].message
                if message is not None:
                    now, cost = self._clock.seconds(), self._made[0].sending.cost
                    delay = 0.0
                    for pacer in self._pacers:
                        delay = max(delay, pacer.delay(now, cost))
                    if delay > SOON:
                        self._timer = self._clock.callLater(delay, self._pause_is_over)
                        return
                self._send_first()
        finally:
            self._is_busy = False

    def _pause_is_over(self) -> None:
        self._timer = None
        self._send_first()
        self._go_on()

    def _send_first(self) -> None:
        made = self._made.popleft()
        if made.message is None:
            return
        try:
            made.sending.send(made.message)
        except Exception:
            self._log.failure("a datagram could not be sent")

    def _read_ahead(self) -> bool:
        """Begin to make the next messages; whether the first one is made."""
        while self._queue and len(self._made) < READ_AHEAD:
            made = _Made(self._queue.popleft())
            self._made.append(made)
            message = made.sending.make()
            if isinstance(message, Deferred):
                made.making = message
                message.addBoth(self._is_made, made)
            else:
                made.message = message
        return bool(self._made) and self._made[0].making is None

    def _is_made(self, outcome: Message | Failure | None, made: _Made) -> None:
        made.making = None
        if not isinstance(outcome, Failure):
            made.message = outcome
        elif not outcome.check(CancelledError):
            # What one run's reading raised must not keep the others' datagrams from leaving.
            self._log.failure("a datagram could not be made", outcome)
        self._go_on()
