"""The command line of the conformance test, and its exit status."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from random import SystemRandom
from typing import Any

from peer.control.access_point import AccessPoint, AccessPointError
from peer.control.interfaces import OperationError
from peer.network import NetworkUnusable
from protocol.values import Edition
from tools.conform.commands import Command, Commands, NoCommands, SessionCommands, TemplateCommands
from tools.conform.files import Folder
from tools.conform.plan import Scope
from tools.conform.presence import NobodyThere, SeveralThere
from tools.conform.report import as_junit, as_object, as_text, is_broken
from tools.conform.session import Outcome, probe_peer
from tools.groups import GroupSettings, add_group_options, whole_number
from tools.reach import Interrupted, reach, run_in_reactor

KEPT, BROKEN, WRONG_USAGE, NOBODY_THERE, INTERRUPTED = 0, 1, 2, 4, 130

PLACEHOLDERS = {
    Command.BACKUP: ("{path}", "{degree}"),
    Command.RESTORE: ("{path}",),
    Command.DELETE: ("{path}",),
    Command.RECLAIM: ("{kbytes}", "{bytes}"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Probe the peer in the groups, report, and return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check_templates(parser, options)
    random = SystemRandom()
    try:
        with ExitStack() as held:
            path = options.dir
            if path is None:
                path = held.enter_context(tempfile.TemporaryDirectory(prefix="backup-peer-conform-"))
                # A peer of another user has to be able to read what it is to back up.
                os.chmod(path, 0o755)
            folder = Folder(Path(path).absolute(), random)
            outcome = run_in_reactor(lambda reactor: _probe(options, folder, random, reactor))
    except NobodyThere as error:
        return _complain(str(error), NOBODY_THERE)
    except (SeveralThere, AccessPointError) as error:
        return _complain(str(error), WRONG_USAGE)
    except OperationError as error:
        return _complain(error.sentence, NOBODY_THERE)
    except (NetworkUnusable, OSError) as error:
        return _complain(str(error), WRONG_USAGE)
    except (Interrupted, KeyboardInterrupt):
        return _complain("interrupted", INTERRUPTED)
    return _reported(outcome, options)


async def _probe(options: argparse.Namespace, folder: Folder, random: SystemRandom, reactor: Any) -> Outcome:
    # The reactor's own clock is the wall clock, whose steps would be measured as delays.
    reactor.seconds = time.monotonic
    settings = GroupSettings.of(options)
    commands = await _commands(options, reactor)
    network = settings.open(reactor)
    try:
        return await probe_peer(
            network=network,
            groups=settings.groups,
            clock=reactor,
            random=random,
            commands=commands,
            folder=folder,
            edition=Edition(options.edition),
            scope=Scope(is_harsh=options.harsh, is_quick=options.quick),
            ours_binds=options.ours,
            tell=lambda sentence: print(sentence, file=sys.stderr, flush=True),
        )
    finally:
        if isinstance(commands, TemplateCommands):
            commands.end()


async def _commands(options: argparse.Namespace, reactor: Any) -> Commands:
    if options.access_point is not None:
        access_point = AccessPoint.parse(options.access_point)
        return await SessionCommands.of(await reach(access_point, reactor))
    templates = {command: given for command in Command if (given := _template(options, command)) is not None}
    if not templates:
        return NoCommands()
    return TemplateCommands(
        templates=templates, restored=options.restored, capacity_kbytes=options.capacity, reactor=reactor
    )


def _template(options: argparse.Namespace, command: Command) -> str | None:
    template: str | None = getattr(options, command.value.removeprefix("--").replace("-", "_"))
    return template


def _check_templates(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    for command, placeholders in PLACEHOLDERS.items():
        template = _template(options, command)
        if template is None:
            continue
        if options.access_point is not None:
            parser.error(f"{command.value} and --access-point are two ways to tell the peer: give one")
        present = [placeholder for placeholder in placeholders if placeholder in template]
        if not present or (command is Command.BACKUP and len(present) < len(placeholders)):
            wanted = (" and " if command is Command.BACKUP else " or ").join(placeholders)
            parser.error(f"{command.value} {template!r} lacks {wanted}")


def _reported(outcome: Outcome, options: argparse.Namespace) -> int:
    try:
        if options.junit is not None:
            Path(options.junit).write_text(as_junit(outcome), encoding="utf-8")
        if options.json:
            print(json.dumps(as_object(outcome), indent=1), flush=True)
        else:
            print("\n".join(as_text(outcome, shows_all=options.verbose)), flush=True)
    except BrokenPipeError:
        # Nobody reads what we print. Python would try once more at its end, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        return _complain(f"the report can't be written: {error}", WRONG_USAGE)
    return BROKEN if is_broken(outcome) else KEPT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.conform",
        description="Probe the one peer in some groups, and report which rules of SPEC.md it keeps.",
        epilog="Exit status: 0 no rule is broken; 1 a rule is broken; 2 wrong usage; 4 nobody there. "
        "docs/conform.md tells more. Example: python -m tools.conform --interface 127.0.0.1 --ttl 0 "
        "--command-backup 'java TestApp 1923 BACKUP {path} {degree}'",
    )
    parser.add_argument("--quick", action="store_true", help="leave out the runs of 31 s")
    parser.add_argument(
        "--harsh", action="store_true", help="send also what is known to make some peers deaf (SPEC.md 12.2)"
    )
    parser.add_argument("--ours", action="store_true", help="the rules that SPEC.md marks Ours bind too")
    parser.add_argument(
        "--edition",
        choices=[edition.value for edition in Edition],
        default=Edition.TYPE_FIRST.value,
        help=f"the edition of the header that the peer speaks (default {Edition.TYPE_FIRST.value})",
    )
    _add_command_options(parser)
    _add_output_options(parser)
    add_group_options(parser, sends=True)
    return parser


def _add_command_options(parser: argparse.ArgumentParser) -> None:
    options = parser.add_argument_group("how the peer is told what to do; without it, that is not probed")
    options.add_argument(
        "--access-point", metavar="POINT", help="by the control protocol of SPEC.md section 10"
    )
    for command, placeholders in PLACEHOLDERS.items():
        options.add_argument(
            command.value, metavar="CMD", help=f"a command line, with {' and '.join(placeholders)} in it"
        )
    options.add_argument(
        "--restored",
        metavar="PATH",
        help="where a restored file is, with {name} for the name of the original",
    )
    options.add_argument(
        "--capacity",
        type=whole_number(0, 10**12),
        default=1_000_000,
        metavar="KBYTE",
        help="what RECLAIM gives back to the peer at last (default 1000000; an access point tells it)",
    )
    options.add_argument(
        "--dir", metavar="DIR", help="folder for the files that it backs up (default: a temporary one)"
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    options = parser.add_argument_group("the report")
    options.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    options.add_argument("--junit", metavar="FILE", help="write JUnit XML too")
    options.add_argument("--verbose", action="store_true", help="show the datagrams of what passed, too")


def _complain(sentence: str, status: int) -> int:
    print(f"tools.conform: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
