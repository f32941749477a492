"""The command line of the snoop, and its exit status."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from peer.network import NetworkUnusable
from protocol.diagnosis import FIELD_COUNTS
from tools.groups import GroupSettings, add_group_options, seconds, whole_number
from tools.reach import Interrupted, run_in_reactor
from tools.snoop.rendering import as_line, as_object, summary_object, summary_text
from tools.snoop.sighting import MALFORMED, Filter, Sighting
from tools.snoop.tally import Tally
from tools.snoop.watch import Watch

KINDS = tuple(sorted(name.decode("ascii") for name in FIELD_COUNTS))


def main(arguments: Sequence[str] | None = None) -> int:
    """Show what the groups say until it is enough; exit status 0, or 1 if the groups can't be heard."""
    options = _parser().parse_args(arguments)
    tally = Tally()
    try:
        with suppress(Interrupted, KeyboardInterrupt):
            run_in_reactor(lambda reactor: _watch(options, tally, reactor))
        _print_summary(tally, options)
    except NetworkUnusable as error:
        print(f"tools.snoop: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Nobody reads what we print. Python would try once more at its end, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


async def _watch(options: argparse.Namespace, tally: Tally, reactor: Any) -> None:
    # The reactor's own clock is the wall clock, whose steps would show in the times of chunks.
    reactor.seconds = time.monotonic
    settings = GroupSettings.of(options)
    network = settings.open(reactor)
    watch = Watch(
        clock=reactor,
        wall_clock=time.time,
        show=_show(options),
        wanted=Filter(
            kinds=frozenset(options.type), senders=frozenset(options.sender), files=tuple(options.file)
        ),
        count=options.count or 0,
        tally=tally,
    )
    watch.listen(network, settings.groups)
    if not options.json:
        print(f"Listening to {settings.groups.mc}, {settings.groups.mdb}, {settings.groups.mdr}", flush=True)
    if options.seconds is not None:
        reactor.callLater(options.seconds, watch.end)
    await watch.ended


def _show(options: argparse.Namespace) -> Any:
    def show(sighting: Sighting) -> None:
        if not options.summary_only:
            print(json.dumps(as_object(sighting)) if options.json else as_line(sighting), flush=True)

    return show


def _print_summary(tally: Tally, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(summary_object(tally)), flush=True)
    else:
        print("\n" + "\n".join(summary_text(tally)), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.snoop",
        description="Show the traffic of a group, decoded, one line a datagram, and sum it up at the end. "
        "Sends nothing.",
        epilog="Example: python -m tools.snoop --type STORED --type PUTCHUNK --seconds 60",
    )
    parser.add_argument(
        "--seconds", type=seconds, metavar="N", help="stop after so long (default: at Ctrl-C)"
    )
    parser.add_argument(
        "--count", type=whole_number(1, 10**9), metavar="N", help="stop after so many datagrams"
    )
    parser.add_argument(
        "--type",
        action="append",
        default=[],
        choices=[*KINDS, MALFORMED],
        metavar="TYPE",
        help=f"show and count only these: {', '.join(KINDS)} or {MALFORMED}; may be given again",
    )
    parser.add_argument(
        "--sender",
        action="append",
        default=[],
        type=whole_number(0, 2**64 - 1),
        metavar="ID",
        help="show and count only messages in the name of this peer; may be given again",
    )
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        type=_file_prefix,
        metavar="HEX",
        help="show and count only what is about the file whose id begins so; may be given again",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, the summary the last")
    parser.add_argument("--summary-only", action="store_true", help="show no datagrams, only the summary")
    add_group_options(parser, sends=False)
    return parser


def _file_prefix(text: str) -> str:
    if 0 < len(text) <= 64 and set(text.lower()) <= set("0123456789abcdef"):
        return text.lower()
    raise argparse.ArgumentTypeError(f"{text!r} is not the beginning of a file id: give 1 to 64 hex digits")


if __name__ == "__main__":
    sys.exit(main())
