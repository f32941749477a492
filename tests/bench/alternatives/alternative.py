"""What every alternative is measured by."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final, Protocol

from attrs import frozen

from tests.bench.copies import size_of
from tests.bench.ground import Ground
from tests.bench.workplace import sync

START_SECONDS: Final = 60.0

_PATIENCE: Final = 120.0
_SLOWEST: Final = 1_000_000.0


@frozen
class Timing:
    """How many seconds it took; None: it can't."""

    backup: float
    restore: float | None = None


class Alternative(Protocol):
    """Another program that keeps copies of a file, or of a folder, elsewhere."""

    name: str
    package: str
    """What to install to have it."""

    def why_not(self, ground: Ground, source: Path) -> str | None:
        """Why it can't be measured here, in a few words; None: it can."""

    def measure(self, ground: Ground, source: Path, folder: Path) -> Timing:
        """Have it keep as many copies as the ground has holders, in `folder`. Raises BenchFailure."""


def timed(work: Callable[[], object], folder: Path) -> float:
    """How many seconds the work takes until what it writes below `folder` is on the disk."""
    started = monotonic()
    work()
    sync(folder)
    return monotonic() - started


def patience(source: Path) -> float:
    """Seconds that copying it may take."""
    return _PATIENCE + size_of(source) / _SLOWEST
