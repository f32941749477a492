"""An executor in virtual time: calls take as long as chance says, and the same for the same seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, ParamSpec, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from peer.blocking import IExecutor, Stopped

Outcome = TypeVar("Outcome")
P = ParamSpec("P")


@frozen(eq=False)
class _Job:
    call: Callable[[], Any]
    answer: Deferred[Any]


@implementer(IExecutor)
class ClockExecutor:
    """Makes each call at a drawn instant, and tells its result at a later one.

    From a call's turn to its result pass ``min_delay`` to ``max_delay`` seconds. As with a thread, what it does is
    done before anybody knows of it: a crash() in between leaves it done and unannounced.
    """

    def __init__(self, *, clock: IReactorTime, random: Random, max_delay: float = 0.005) -> None:
        self._clock = clock
        self._random = random
        self.min_delay = 0.0
        self.max_delay = max_delay
        self._lanes: dict[str, deque[_Job]] = {}
        self._timers: dict[str, IDelayedCall] = {}
        self._is_stopped = False
        self._is_crashed = False
        self._waiting_for_stop: list[Deferred[None]] = []

    def run(
        self, lane_name: str, call: Callable[P, Outcome], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[Outcome]:
        """As IExecutor says."""
        if self._is_stopped:
            return fail(Stopped(f"no more calls are made in {lane_name}"))
        answer: Deferred[Outcome] = Deferred()
        lane = self._lanes.setdefault(lane_name, deque())
        lane.append(_Job(call=lambda: call(*args, **kwargs), answer=answer))
        if len(lane) == 1:
            self._begin(lane_name)
        return answer

    def stop(self) -> Deferred[None]:
        """As IExecutor says."""
        self._is_stopped = True
        if self._is_idle:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._waiting_for_stop.append(stopped)
        return stopped

    def crash(self) -> None:
        """End as a killed process does: nothing that was handed in runs any more, and nothing is told."""
        self._is_stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._lanes.clear()
        self._is_crashed = True

    @property
    def _is_idle(self) -> bool:
        return not any(self._lanes.values())

    def _begin(self, lane_name: str) -> None:
        self._later(lane_name, self._make_call)

    def _make_call(self, lane_name: str) -> None:
        del self._timers[lane_name]
        try:
            result = self._lanes[lane_name][0].call()
        except Exception:
            result = Failure()
        if not self._is_crashed:
            self._later(lane_name, self._tell, result)

    def _tell(self, lane_name: str, result: Any) -> None:
        del self._timers[lane_name]
        lane = self._lanes[lane_name]
        job = lane.popleft()
        if lane:
            self._begin(lane_name)
        job.answer.callback(result)
        if self._is_stopped and self._is_idle:
            waiting, self._waiting_for_stop = self._waiting_for_stop, []
            for stopped in waiting:
                stopped.callback(None)

    def _later(self, lane_name: str, step: Callable[..., None], *args: Any) -> None:
        delay = self._random.uniform(self.min_delay / 2, self.max_delay / 2)
        self._timers[lane_name] = self._clock.callLater(delay, step, lane_name, *args)
