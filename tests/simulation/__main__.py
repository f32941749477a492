"""``python -m tests.simulation``: play many seeds, or one of them before your eyes."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.plan import draw_plan
from tests.simulation.run import play
from tests.simulation.runner import replay_command, simulate
from tests.simulation.shrinking import shrink


def main(arguments: list[str]) -> int:
    """Do what the command line says; the exit status, 0 only if all passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to play (200)")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first of them (1)")
    parser.add_argument("--processes", type=int, default=None, help="how many at a time (one a core)")
    parser.add_argument("--replay", type=int, metavar="SEED", help="play one seed, and show its transcript")
    parser.add_argument(
        "--only", default="", help="of that seed's plan only what has these keys, as in f1,u2"
    )
    parser.add_argument("--shrink", action="store_true", help="replay with the fewest faults that still fail")
    options = parser.parse_args(arguments)
    if options.replay is None:
        return 0 if simulate(options.first, options.seeds, processes=options.processes, out=sys.stdout) else 1
    keys = options.only.split(",") if options.only else None
    return _replay(options.replay, keys, is_to_shrink=options.shrink)


def _replay(seed: int, keys: list[str] | None, *, is_to_shrink: bool) -> int:
    outcome = play(seed, keys)
    if is_to_shrink and outcome.violation is not None:
        keys, outcome = shrink(seed, outcome.violation.invariant)
    plan = draw_plan(seed) if keys is None else draw_plan(seed).only(keys)
    print(f"seed {seed}: capacities {plan.capacities}, latency up to {plan.link.max_latency} s")
    print(f"switched on at {', '.join(f'{at:.1f}' for at in plan.starts)} s")
    for planned in plan.planned:
        print(planned)
    print()
    for line in outcome.transcript.lines():
        print(line)
    for excused in outcome.excused:
        print(f"excused until 2.0, invariant {excused.excuse.value}: {excused.said}")
    print(outcome.violation or "passed", f"\nreplay: {replay_command(seed, keys or ())}")
    return 1 if outcome.violation else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
