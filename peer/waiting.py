"""Waiting for one's turn, without a thread and without a timer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from protocol.window import Window

_T = TypeVar("_T")


class Turnstile:
    """Windows with one queue before them: whoever finds one full waits, first come, first served.

    Runs at the same time each queue for one place at a time, and so share the windows fairly.
    """

    def __init__(self, *windows: Window) -> None:
        self._windows = windows
        self._waiting: OrderedDict[Deferred[None], int] = OrderedDict()

    def enter(self, size: int = 1) -> Deferred[None]:
        """Fires when a place of *size* in every window is the caller's; cancel it to give up one's turn."""
        if self._has_room and not self._waiting:
            self._take(size)
            return succeed(None)
        turn: Deferred[None] = Deferred(self._give_up)
        self._waiting[turn] = size
        return turn

    def leave(self, size: int = 1) -> None:
        """Give a place in every window back."""
        for window in self._windows:
            window.free(size)
        self.admit()

    @asynccontextmanager
    async def place(self, size: int = 1) -> AsyncIterator[None]:
        """Have a place for as long as the block lasts."""
        await self.enter(size)
        try:
            yield
        finally:
            self.leave(size)

    def admit(self) -> None:
        """Let in those who have waited longest, as far as there is room: a window was freed, or is larger now."""
        while self._waiting and self._has_room:
            turn, size = self._waiting.popitem(last=False)
            self._take(size)
            turn.callback(None)

    def _give_up(self, turn: Deferred[None]) -> None:
        self._waiting.pop(turn, None)

    @property
    def _has_room(self) -> bool:
        return all(window.has_room for window in self._windows)

    def _take(self, size: int) -> None:
        for window in self._windows:
            window.add(size)


def uninterrupted(task: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
    """Fires when *task* has ended; cancelling it cancels the waiting alone, and the task goes on."""
    waiting: Deferred[None] = Deferred()
    Deferred.fromCoroutine(task).chainDeferred(waiting)
    return waiting


async def to_its_end(task: Deferred[_T]) -> _T:
    """What *task* comes to, waited for by one whom nothing calls off: who cancels him meanwhile has come too late."""
    ended: list[_T | Failure] = []
    task.addBoth(ended.append)
    while not ended:
        waiting: Deferred[None] = Deferred()
        task.addBoth(waiting.callback)
        with suppress(CancelledError):
            await waiting
    [outcome] = ended
    if isinstance(outcome, Failure):
        outcome.raiseException()
    return outcome


class TaskGroup:
    """What is under way together: the first that fails cancels the others, and fails the whole.

    Deferreds are cancelled by the group. Whatever else says that it ``began`` and ``ended``, which costs less where
    there are thousands, its owner ends himself when ``join`` has raised.
    """

    def __init__(self) -> None:
        self._running: set[Deferred[None]] = set()
        self._others = 0
        self._failure: Failure | None = None
        self._waiting: Deferred[None] | None = None

    def add(self, task: Coroutine[Deferred[Any], Any, None]) -> None:
        """Have *task* run as one of the group; after a failure it is cancelled at once."""
        deferred = Deferred.fromCoroutine(task)
        self._running.add(deferred)
        deferred.addBoth(self._has_ended, deferred)
        if self._failure is not None:
            deferred.cancel()

    def began(self) -> None:
        """One more is under way that has no Deferred."""
        self._others += 1

    def ended(self, failure: Failure | None = None) -> None:
        """One that began has ended, or failed."""
        self._others -= 1
        self._note_end(failure)

    def check(self) -> None:
        """Raise what the first failure was, if there was one."""
        if self._failure is not None:
            self._failure.raiseException()

    async def join(self) -> None:
        """Wait for all; raise what the first failure was."""
        while self._running or (self._others and self._failure is None):
            self._waiting = Deferred()
            await self._waiting
        self.check()

    def cancel(self) -> None:
        """End all that is under way."""
        for deferred in list(self._running):
            deferred.cancel()

    def _has_ended(self, outcome: Failure | None, deferred: Deferred[None]) -> None:
        self._running.discard(deferred)
        self._note_end(outcome)

    def _note_end(self, failure: Failure | None) -> None:
        if failure is not None and self._failure is None:
            self._failure = failure
            self.cancel()
        if not (self._running or self._others) or self._failure is not None:
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                waiting.callback(None)
