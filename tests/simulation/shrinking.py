"""Making a failing run small: the fewest faults, then the fewest acts of users, with which it still fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.simulation.plan import draw_plan
from tests.simulation.run import Outcome, play

Fails = Callable[[Sequence[str]], bool]
"""Whether a run of that which has these keys still fails."""


def shrink(seed: int, invariant: int, *, most_runs: int = 400) -> tuple[list[str], Outcome]:
    """The keys of what is left of a seed's plan that still breaks the invariant, and that run's outcome."""
    plan = draw_plan(seed)
    keys = [planned.key for planned in plan.planned]
    runs = 0

    def fails(kept: Sequence[str]) -> bool:
        nonlocal runs
        runs += 1
        if runs > most_runs:
            return False
        violation = play(seed, kept).violation
        return violation is not None and violation.invariant == invariant

    users = [key for key in keys if key not in plan.faults]
    faults = fewest(plan.faults, lambda kept: fails([*users, *kept]))
    users = fewest(users, lambda kept: fails([*kept, *faults]))
    kept = sorted([*users, *faults], key=keys.index)
    return kept, play(seed, kept)


def fewest(items: Sequence[str], fails: Fails) -> list[str]:
    """A part of *items* from which nothing can be left out without the failure going away."""
    kept = list(items)
    size = len(kept)
    while size:
        start = 0
        while start < len(kept):
            without = kept[:start] + kept[start + size :]
            if fails(without):
                kept = without
            else:
                start += size
        size //= 2
    return kept
