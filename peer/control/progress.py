"""How progress reaches a client: only the newest, not too often, never faster than the client takes it."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from peer.control.interfaces import Progress

PUSH_INTERVAL = 0.1
"""Seconds between two reports: smooth to the eye, and a thousandth of what backing up costs."""


class ProgressPush:
    """A ProgressListener that sends on what it is told, with at most one report on its way.

    What comes meanwhile replaces what waits: a client that doesn't read costs one report, not a queue. Of an operation
    that has all done with its first report, and ends within PUSH_INTERVAL, the answer tells enough.
    """

    def __init__(self, send: Callable[[Progress], Deferred[Any]], *, clock: IReactorTime) -> None:
        self._send = send
        self._clock = clock
        self._waiting: Progress | None = None
        self._pause: IDelayedCall | None = None
        self._is_on_its_way = False
        self._has_sent = False
        self._is_over = False

    def __call__(self, progress: Progress) -> None:
        """Tell the client, now or as soon as it is its time."""
        self._waiting = progress
        if self._is_on_its_way or self._pause is not None:
            return
        if progress.done == progress.total and not self._has_sent:
            self._pause = self._clock.callLater(PUSH_INTERVAL, self._resume)
        else:
            self._push()

    def finish(self) -> None:
        """The operation has ended: send what still waits, whatever the time, if any was sent before."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._has_sent:
            self._push()
        self._is_over = True

    def _push(self) -> None:
        if self._waiting is None or self._is_over:
            return
        progress, self._waiting = self._waiting, None
        self._is_on_its_way = self._has_sent = True
        self._send(progress).addCallbacks(self._taken, self._gone)

    def _taken(self, _answer: object) -> None:
        self._is_on_its_way = False
        if not self._is_over:
            self._pause = self._clock.callLater(PUSH_INTERVAL, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._push()

    def _gone(self, _failure: Failure) -> None:
        self._is_over = True
