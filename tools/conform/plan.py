"""Which probes run, in which order, and which are left out and why."""

from collections.abc import Sequence

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList, FirstError

from tools.conform.bench import Bench
from tools.conform.commands import Command
from tools.conform.manners import CHECKS as MANNERS
from tools.conform.probe import Probe
from tools.conform.probes import (
    backing_up,
    delays,
    deleting,
    file_life,
    garbage,
    harsh,
    reclaiming,
    repairing,
    returning,
    storing,
)

Stage = tuple[Probe, ...]
"""Probes that run at the same time."""


@frozen(kw_only=True)
class Scope:
    """How much is to be probed."""

    is_harsh: bool = False
    """Also what is known to make some peers deaf."""
    is_quick: bool = False
    """Without the runs of 31 s, in which nobody answers."""


def stages(scope: Scope) -> tuple[Stage, ...]:
    """All probes. What may end the peer comes last; the delays are measured while nothing else goes on."""
    reclaims = reclaiming.QUICK_PROBES if scope.is_quick else reclaiming.PROBES
    return (
        (*storing.PROBES, *returning.PROBES, *deleting.PROBES, *file_life.PROBES, *backing_up.PROBES),
        delays.PROBES,
        repairing.PROBES,
        (*backing_up.SLOW_PROBES, *file_life.SLOW_PROBES, *reclaims),
        file_life.END_PROBES,
        garbage.PROBES,
        harsh.PROBES,
        harsh.LINE_PROBES,
    )


async def run(bench: Bench, scope: Scope) -> None:
    """Run the probes of the scope, one stage after the other."""
    planned = stages(scope)
    bench.findings.declare(MANNERS)
    for stage in planned:
        for probe in stage:
            bench.findings.declare(probe.checks)
    for number, stage in enumerate(planned):
        left_out = {
            probe: reason for probe in stage if (reason := _left_out(probe, scope, bench.commands.known))
        }
        for probe, reason in left_out.items():
            bench.findings.not_reached(probe.checks, reason)
        running = [probe for probe in stage if probe not in left_out]
        if not running:
            continue
        if number > 0 and not await bench.is_alive():
            _give_up(bench, planned[number:], scope)
            break
        await _run_stage(bench, running)
        for probe in running:
            bench.findings.not_reached(probe.checks, "what it needs to be seen didn't come about")
    await bench.tidy()


async def _run_stage(bench: Bench, probes: Sequence[Probe]) -> None:
    runs = [Deferred.fromCoroutine(_as_coroutine(probe, bench)) for probe in probes]
    try:
        await DeferredList(runs, fireOnOneErrback=True, consumeErrors=True)
    except FirstError as error:
        # A mistake in a probe, not in the peer: it must not pass for a finding.
        error.subFailure.raiseException()


async def _as_coroutine(probe: Probe, bench: Bench) -> None:
    await probe.run(bench)


def _give_up(bench: Bench, planned: Sequence[Stage], scope: Scope) -> None:
    for stage in planned:
        for probe in stage:
            reason = _left_out(probe, scope, bench.commands.known)
            bench.findings.not_reached(
                probe.checks, reason or "the peer doesn't store a plain chunk any more, so this was not tried"
            )


def _left_out(probe: Probe, scope: Scope, known: frozenset[Command]) -> str:
    """Why the probe isn't run; empty if it is."""
    if probe.is_harsh and not scope.is_harsh:
        return "left for --harsh: it is known to make some peers deaf (SPEC.md 12.2)"
    if probe.is_slow and scope.is_quick:
        return "left out by --quick"
    lacking = sorted(command.value for command in probe.needs - known)
    if lacking:
        return f"needs {' and '.join(lacking)}, or --access-point"
    return ""
