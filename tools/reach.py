"""What every command needs: a reactor for as long as it runs, and a session with a peer of this user."""

import os
from collections.abc import Awaitable, Callable
from random import SystemRandom
from typing import Any, TypeVar

from twisted.internet.defer import ensureDeferred
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure

from peer.control.access_point import AccessPoint
from peer.control.client import connect
from peer.control.secret import read_secret, secret_path
from peer.control.session import Session

Result = TypeVar("Result")


class Interrupted(Exception):
    """The user, or the system, ended the command before it was done."""


def run_in_reactor(work: Callable[[Any], Awaitable[Result]]) -> Result:
    """Run `work(reactor)` to its end and give what it gives; Interrupted on SIGINT and SIGTERM.

    A process can do this once.
    """
    from twisted.internet import reactor

    # Without an observer Twisted prints tracebacks on standard error; what went wrong comes as a result.
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    outcomes: list[Result | Failure] = []

    def start() -> None:
        def end(outcome: Result | Failure) -> None:
            if reactor.running:
                outcomes.append(outcome)
                reactor.stop()

        ensureDeferred(_awaited(work(reactor))).addBoth(end)

    reactor.callWhenRunning(start)
    reactor.run()
    if not outcomes:
        raise Interrupted
    [outcome] = outcomes
    if isinstance(outcome, Failure):
        outcome.raiseException()
    return outcome


async def reach(access_point: AccessPoint, reactor: Any) -> Session:
    """Connect to a peer of this user; fails as `peer.control.client.connect`."""
    return await connect(
        access_point,
        secret=lambda: read_secret(secret_path(os.environ)),
        reactor=reactor,
        random=SystemRandom(),
    )


async def _awaited(work: Awaitable[Result]) -> Result:
    return await work
