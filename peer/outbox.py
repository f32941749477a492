"""Datagrams that carry bodies leave one after another, at the pace that the group can take."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from protocol.messages import Chunk, Message, PutChunk
from protocol.pacing import Pacer

BodyMessage = PutChunk | Chunk
Produce = Callable[[], Awaitable[BodyMessage | None]]
"""Makes the message when its turn has come, or nothing if it is no longer wanted."""


class Outbox:
    """A first-in, first-out queue of PUTCHUNKs and CHUNKs to be made and sent.

    A body is read when its turn has come, so that what waits here costs no memory for bodies.
    """

    _log = Logger()

    def __init__(self, *, clock: IReactorTime, pacer: Pacer, send: Callable[[Message], None]) -> None:
        self._clock = clock
        self._pacer = pacer
        self._send = send
        self._queue: deque[Produce] = deque()
        self._draining: Deferred[None] | None = None
        self._is_draining = False
        self._is_stopped = False

    def enqueue(self, produce: Produce) -> None:
        """Have *produce* called, and what it gives sent, after all that was enqueued before."""
        if self._is_stopped:
            return
        self._queue.append(produce)
        if not self._is_draining:
            self._is_draining = True
            self._draining = Deferred.fromCoroutine(self._drain())
            self._draining.addErrback(lambda failure: failure.trap(CancelledError))
            self._draining.addErrback(lambda failure: self._log.failure("sending stopped", failure))

    def stop(self) -> None:
        """Send nothing more."""
        self._is_stopped = True
        self._queue.clear()
        if self._draining is not None:
            self._draining.cancel()

    async def _drain(self) -> None:
        try:
            while self._queue:
                produce = self._queue.popleft()
                try:
                    message = await produce()
                except CancelledError:
                    raise
                except Exception:
                    # What one run's reading raised must not keep the others' datagrams from leaving.
                    self._log.failure("a datagram could not be made")
                    continue
                if message is None:
                    continue
                delay = self._pacer.delay(self._clock.seconds(), len(message.body))
                if delay > 0:
                    await deferLater(self._clock, delay)
                self._send(message)
        finally:
            self._is_draining = False
