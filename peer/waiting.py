"""Waiting for one's turn, without a thread and without a timer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from protocol.window import Window


class Turnstile:
    """A window with a queue before it: whoever finds it full waits, first come, first served.

    Runs at the same time each queue for one place at a time, and so share the window fairly.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._waiting: OrderedDict[Deferred[None], None] = OrderedDict()

    def enter(self) -> Deferred[None]:
        """Fires when a place is the caller's; cancel it to give up one's turn."""
        if self._window.has_room and not self._waiting:
            self._window.add()
            return succeed(None)
        turn: Deferred[None] = Deferred(lambda cancelled: self._waiting.pop(cancelled, None))
        self._waiting[turn] = None
        return turn

    def leave(self) -> None:
        """Give a place back: the one that has waited longest gets it."""
        self._window.free()
        while self._waiting and self._window.has_room:
            turn, _ = self._waiting.popitem(last=False)
            self._window.add()
            turn.callback(None)


def uninterrupted(task: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
    """Fires when *task* has ended; cancelling it cancels the waiting alone, and the task goes on."""
    waiting: Deferred[None] = Deferred()
    Deferred.fromCoroutine(task).chainDeferred(waiting)
    return waiting


class TaskGroup:
    """Deferreds under way together: the first one that fails cancels the others, and fails the whole."""

    def __init__(self) -> None:
        self._running: set[Deferred[None]] = set()
        self._failure: Failure | None = None
        self._waiting: Deferred[None] | None = None

    def add(self, task: Coroutine[Deferred[Any], Any, None]) -> None:
        """Have *task* run as one of the group; after a failure it is cancelled at once."""
        deferred = Deferred.fromCoroutine(task)
        self._running.add(deferred)
        deferred.addBoth(self._has_ended, deferred)
        if self._failure is not None:
            deferred.cancel()

    def check(self) -> None:
        """Raise what the first failure was, if there was one."""
        if self._failure is not None:
            self._failure.raiseException()

    async def join(self) -> None:
        """Wait for all; raise what the first failure was."""
        while self._running:
            self._waiting = Deferred()
            await self._waiting
        self.check()

    def cancel(self) -> None:
        """End all that is under way."""
        for deferred in list(self._running):
            deferred.cancel()

    def _has_ended(self, outcome: Failure | None, deferred: Deferred[None]) -> None:
        self._running.discard(deferred)
        if isinstance(outcome, Failure) and self._failure is None:
            self._failure = outcome
            self.cancel()
        if not self._running or self._failure is not None:
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                waiting.callback(None)
