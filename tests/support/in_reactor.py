"""Tests that are coroutines and run in the real reactor: for real sockets and processes, not for waiting."""

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, cast

import pytest_twisted  # type: ignore[import-untyped]

Operands = ParamSpec("Operands")


def in_reactor(test: Callable[Operands, Coroutine[Any, Any, None]]) -> Callable[Operands, None]:
    """Run `test` to its end in the reactor."""
    return cast(Callable[Operands, None], pytest_twisted.ensureDeferred(test))
