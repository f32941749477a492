"""A probe: one scenario, with the checks that it finds something out about."""

from collections.abc import Awaitable, Callable

from attrs import frozen

from tools.conform.bench import Bench
from tools.conform.checks import Check
from tools.conform.commands import Command


@frozen(kw_only=True)
class Probe:
    """One scenario; several run at the same time, each with files of its own."""

    run: Callable[[Bench], Awaitable[None]]
    checks: tuple[Check, ...]
    needs: frozenset[Command] = frozenset()
    """What the peer has to be told for it."""
    is_harsh: bool = False
    """Whether it sends what is known to make some peers deaf (SPEC.md 12.2)."""
    is_slow: bool = False
    """Whether it takes the 31 s of five tries."""

    @property
    def subject(self) -> str:
        """What it is about, in a word or two."""
        return self.run.__module__.rpartition(".")[2].replace("_", " ")
