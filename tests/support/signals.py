"""Signals that whoever runs the tests in the background, or under nohup, has ignored."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heeded(*signals: signal.Signals) -> Iterator[None]:
    """What is started in the block doesn't inherit that these are ignored: it ends by them as it does for a user."""
    ignored = [number for number in signals if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
