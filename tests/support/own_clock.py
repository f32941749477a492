"""A clock of one peer's own, which shows what the peer still has to do and stops with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@implementer(IReactorTime)
class OwnClock:
    """The time of another clock; the calls made here are known apart from everybody else's."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: list[IDelayedCall] = []

    def seconds(self) -> float:
        """As IReactorTime.seconds."""
        return self._clock.seconds()

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        """As IReactorTime.callLater."""
        call = self._clock.callLater(delay, callable, *args, **kw)
        self._calls.append(call)
        if len(self._calls) > 1_000:
            self._calls = [call for call in self._calls if call.active()]
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """As IReactorTime.getDelayedCalls, of the calls made here."""
        return [call for call in self._calls if call.active()]

    def stop(self) -> None:
        """Let none of the calls made here happen."""
        for call in self.getDelayedCalls():
            call.cancel()
