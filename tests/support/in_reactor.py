"""Tests that are coroutines and run in the real reactor: for real sockets and processes, not for waiting."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from twisted.internet import reactor
from twisted.internet.defer import Deferred

Operands = ParamSpec("Operands")

LIMIT_SECONDS = 60.0
"""pytest-timeout raises inside the reactor, which goes on; here the test itself ends."""


def in_reactor(test: Callable[Operands, Coroutine[Any, Any, None]]) -> Callable[Operands, Deferred[None]]:
    """Give pytest-twisted `test` as what it waits for: a Deferred, which fails if it takes too long."""

    @functools.wraps(test)
    def started(*arguments: Operands.args, **named: Operands.kwargs) -> Deferred[None]:
        return Deferred.fromCoroutine(test(*arguments, **named)).addTimeout(LIMIT_SECONDS, reactor)

    return started
