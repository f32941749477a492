"""Whether times that were measured can be what SPEC.md says, judged so that a right peer never fails.

The bound is that of Dvoretzky, Kiefer, Wolfowitz and Massart: of n independent draws from a distribution, the
share that lies below any point departs from the distribution by d or more, to one side, with a probability of
at most exp(-2 n d²). It holds for every n, so the chance that a right peer fails is known.
"""

from collections.abc import Sequence
from math import log, sqrt

from protocol.timing import MAX_RESPONSE_DELAY

FALSE_ALARM = 1e-9
"""Probability that a right peer fails one such check."""

LATENCY = 0.25
"""Seconds that network, disk and processor may add to a delay that was drawn."""

LATEST = 1.0
"""Seconds after which an initiator asks again: an answer later than this costs a repetition."""

LATE_SHARE = 0.05
"""How many of the answers may be later than that, for machines that stop for a moment now and then."""


def tolerance(count: int) -> float:
    """How far the share of `count` draws below a point may be from what is expected there, to one side."""
    return sqrt(log(1.0 / FALSE_ALARM) / (2 * count))


def fault_of_delays(delays: Sequence[float], *, longest: float = MAX_RESPONSE_DELAY) -> str:
    """What tells that `delays` were not drawn from U(0, `longest`) seconds; empty if nothing does.

    What network and disk add only makes answers later, so early ones are held to the distribution as it is,
    and late ones to it shifted by LATENCY.
    """
    ordered = sorted(delays)
    count = len(ordered)
    allowed = tolerance(count)
    for number, delay in enumerate(ordered, start=1):
        expected = min(1.0, max(0.0, delay / longest))
        if number / count - expected > allowed:
            return (
                f"too early: {number} of {count} within {delay * 1000:.0f} ms, of which "
                f"U(0, {longest * 1000:.0f} ms) has {expected:.0%}"
            )
        expected_shifted = min(1.0, max(0.0, (delay - LATENCY) / longest))
        if expected_shifted - (number - 1) / count > allowed:
            return (
                f"too late: only {number - 1} of {count} within {delay * 1000:.0f} ms, of which "
                f"U(0, {longest * 1000:.0f} ms) with {LATENCY * 1000:.0f} ms of latency has {expected_shifted:.0%}"
            )
    late = sum(delay > LATEST for delay in ordered)
    if late > LATE_SHARE * count:
        return f"too late: {late} of {count} after more than {LATEST:.0f} s"
    return ""


def described(delays: Sequence[float]) -> str:
    """The delays in a few words, in milliseconds."""
    ordered = sorted(delays)
    if not ordered:
        return "none"
    quarters = [
        ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    return (
        f"{len(ordered)} delays, in ms: "
        + " / ".join(f"{quarter:.0f}" for quarter in quarters)
        + (" (least, quartiles, most)")
    )


def fault_of_waits(times: Sequence[float], waits: Sequence[float]) -> str:
    """What tells that events at `times` are not apart as `waits` say; empty if nothing does.

    Each may come EARLY seconds early, and a tenth of its wait late, but half a second in any case.
    """
    for number, (wait, before, after) in enumerate(zip(waits, times, times[1:], strict=False), start=1):
        apart = after - before
        if not wait - EARLY <= apart <= wait + max(0.5, 0.1 * wait):
            return f"number {number + 1} came {apart:.2f} s after number {number}, not {wait:g} s"
    return ""


EARLY = 0.15
"""Seconds by which the arrival of two datagrams may be nearer to each other than their sending."""
