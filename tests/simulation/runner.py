"""Playing many seeds on all cores: how far it has come, what failed, and a summary as the last line."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from typing import Final, TextIO

from attrs import define, field, frozen

from peer.control.interfaces import Progress
from tests.simulation.facts import Violation
from tests.simulation.invariants import Excuse
from tests.simulation.run import play
from tests.simulation.shrinking import shrink
from tools.progress_line import ProgressLine

MOST_SHRUNK: Final = 3
"""Failing seeds that are shrunk at the end: a bug that many of them show is one."""

SHRINKING_RUNS: Final = 150
"""Runs for which a seed is shrunk: a minute, at most."""


@frozen
class Verdict:
    """What came of a seed, small enough to go from process to process."""

    seed: int
    violation: Violation | None
    excuses: tuple[Excuse, ...]
    virtual_seconds: float
    operations: int


@define
class Summary:
    """What came of all seeds."""

    seeds: int = 0
    virtual_seconds: float = 0.0
    operations: int = 0
    failed: list[Verdict] = field(factory=list)
    excused: dict[Excuse, list[int]] = field(factory=dict)

    def add(self, verdict: Verdict) -> None:
        """Count one more."""
        self.seeds += 1
        self.virtual_seconds += verdict.virtual_seconds
        self.operations += verdict.operations
        if verdict.violation is not None:
            self.failed.append(verdict)
        for excuse in dict.fromkeys(verdict.excuses):
            self.excused.setdefault(excuse, []).append(verdict.seed)

    def excuses(self) -> Iterator[str]:
        """A line for each excuse: how many seeds it was made for, and which."""
        for excuse in Excuse:
            seeds = sorted(self.excused.get(excuse, ()))
            which = ", ".join(map(str, seeds[:8])) + (", …" if len(seeds) > 8 else "")
            yield f"excused until 2.0, invariant {excuse.value}: {len(seeds)} seeds" + (
                f" ({which})" if seeds else ""
            )


def judge(seed: int) -> Verdict:
    """Play a seed."""
    outcome = play(seed)
    return Verdict(
        seed=seed,
        violation=outcome.violation,
        excuses=tuple(excused.excuse for excused in outcome.excused),
        virtual_seconds=outcome.virtual_seconds,
        operations=outcome.operations,
    )


def verdicts(seeds: Sequence[int], processes: int) -> Iterator[Verdict]:
    """The verdicts on the seeds, in any order."""
    if processes == 1:
        yield from map(judge, seeds)
        return
    with get_context("spawn").Pool(processes, _prepare) as pool:
        yield from pool.imap_unordered(judge, seeds, chunksize=4)


def simulate(first: int, count: int, *, processes: int | None, out: TextIO) -> bool:
    """Play so many seeds from the first one on, and tell of it; whether all passed."""
    began = time.monotonic()
    summary = Summary()
    line = ProgressLine(out, "simulate")
    for verdict in verdicts(range(first, first + count), processes or os.cpu_count() or 1):
        summary.add(verdict)
        if verdict.violation is not None:
            line.clear()
            out.write(
                f"seed {verdict.seed} fails: {verdict.violation}\n  replay: {replay_command(verdict.seed)}\n"
            )
        line(Progress(done=summary.seeds, total=count, unit="seeds"))
    line.clear()
    for verdict in summary.failed[:MOST_SHRUNK]:
        assert verdict.violation is not None
        keys, _ = shrink(verdict.seed, verdict.violation.invariant, most_runs=SHRINKING_RUNS)
        out.write(f"seed {verdict.seed}, shrunk: {replay_command(verdict.seed, keys)}\n")
    for excuse in summary.excuses():
        out.write(excuse + "\n")
    hours, seconds = summary.virtual_seconds / 3600, time.monotonic() - began
    out.write(
        f"{summary.seeds:,} seeds from {first}, {len(summary.failed)} failed: {summary.operations:,} operations"
        f" in {hours:,.1f} hours of virtual time, {seconds:.1f} s of real time\n"
    )
    return not summary.failed


def replay_command(seed: int, keys: Sequence[str] = ()) -> str:
    """What to type to see a seed's run again, or what of it has the keys."""
    only = f" --only {','.join(keys)}" if keys else ""
    return f".venv/bin/python -m tests.simulation --replay {seed}{only}"


def _prepare() -> None:
    # What was imported stays, and need not be looked through each time.
    gc.freeze()
