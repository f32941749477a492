"""Which probes run, in which order, and which are left out and why."""

from collections.abc import Sequence

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList, FirstError

from protocol.timing import ATTEMPT_WAITS
from tools.conform.bench import Bench
from tools.conform.checks import Check
from tools.conform.commands import Command
from tools.conform.manners import CHECKS as MANNERS
from tools.conform.probe import Probe
from tools.conform.probes import (
    backing_up,
    delays,
    deleting,
    file_deletion,
    file_life,
    file_restore,
    garbage,
    harsh,
    reclaiming,
    repairing,
    returning,
    storing,
)

STAYS = Check("2.15", "goes on storing chunks all the time that it is probed")

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
        (*file_life.PROBES, *backing_up.PROBES),
        storing.PROBES,
        (*returning.PROBES, *deleting.PROBES, *repairing.PROBES),
        delays.PROBES,
        repairing.MANY_PROBES,
        (*backing_up.SLOW_PROBES, *file_restore.SLOW_PROBES, *reclaims),
        file_deletion.PROBES,
        garbage.PROBES,
        harsh.PROBES,
    )


async def run(bench: Bench, scope: Scope) -> None:
    """Run the probes of the scope, one stage after the other."""
    planned = stages(scope)
    bench.findings.declare((*MANNERS, STAYS))
    for stage in planned:
        for probe in stage:
            bench.findings.declare(probe.checks)
    ran: list[str] = []
    for number, stage in enumerate(planned):
        left_out = {
            probe: reason for probe in stage if (reason := _left_out(probe, scope, bench.commands.known))
        }
        for probe, reason in left_out.items():
            bench.findings.not_reached(probe.checks, reason)
        running = [probe for probe in stage if probe not in left_out]
        if not running:
            continue
        if bench.deaf_since:
            _give_up(bench, planned[number:], scope, f"it hears nothing since it was sent {bench.deaf_since}")
            break
        if ran and not await _is_still_there(bench, ran[-1]):
            why = "the peer doesn't store a plain chunk any more, so this was not tried"
            _give_up(bench, planned[number:], scope, why)
            break
        await _run_stage(bench, running)
        ran.append(", ".join(dict.fromkeys(probe.subject for probe in running)))
        for probe in running:
            bench.findings.not_reached(probe.checks, "what it needs to be seen didn't come about")
    await bench.tidy()
    await bench.delete_files()


async def _is_still_there(bench: Bench, ran: str) -> bool:
    """Whether the peer answers after what was probed last; what is busy has the time of five tries to recover."""
    for delay in (0.0, sum(ATTEMPT_WAITS)):
        await bench.pause(delay)
        mark = bench.wire.mark
        if await bench.is_alive():
            if not delay:
                bench.findings.passed(STAYS)
            return True
        evidence = list(bench.wire.since(mark))
        bench.findings.failed(
            STAYS, f"it didn't store a plain chunk any more after these probes: {ran}", evidence
        )
    return False


async def _run_stage(bench: Bench, probes: Sequence[Probe]) -> None:
    runs = [Deferred.fromCoroutine(_as_coroutine(probe, bench)) for probe in probes]
    try:
        await DeferredList(runs, fireOnOneErrback=True, consumeErrors=True)
    except FirstError as error:
        # A mistake in a probe, not in the peer: it must not pass for a finding.
        error.subFailure.raiseException()


async def _as_coroutine(probe: Probe, bench: Bench) -> None:
    await probe.run(bench)


def _give_up(bench: Bench, planned: Sequence[Stage], scope: Scope, why: str) -> None:
    for stage in planned:
        for probe in stage:
            bench.findings.not_reached(probe.checks, _left_out(probe, scope, bench.commands.known) or why)


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
