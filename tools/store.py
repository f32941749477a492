"""``python -m tools.store``: look after the store of a peer that doesn't run (SPEC.md 9.26 to 9.28)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from storage.check import check
from storage.disk import PosixDisk
from storage.errors import StorageError, disk_trouble, printable
from storage.rebuild import rebuild

NOTHING_WRONG = 0
SOMETHING_WRONG = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; exit status 0, or 1 if that can't be done or something is wrong."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options.folder)
    except StorageError as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(str(disk_trouble(options.folder, error)))
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.store", description="Looks after the store of a peer that is stopped."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, help_text in (
        ("check", _check, "read everything, and say what isn't what it was; changes nothing"),
        ("rebuild", _rebuild, "make the index anew from the chunks that are there"),
    ):
        one = commands.add_parser(name, help=help_text, description=help_text.capitalize() + ".")
        one.add_argument("folder", metavar="DIR", help="the folder that the peer has as its --store")
        one.set_defaults(command=command)
    return parser


def _check(folder: str) -> int:
    report = check(PosixDisk(), folder, lambda sentence: print(sentence, flush=True))
    found = (
        "whole and where the index says" if report.has_index else "whole; no index says which should be there"
    )
    print(f"{_number(report.chunks, 'chunk')}, {report.body_bytes:,} bytes: {found}.")
    if not report.is_sealed:
        print(
            "Without the seals of an orderly stop its databases can't be compared with what they were then."
        )
    print(f"{_number(report.wrong, 'thing')} wrong." if report.wrong else "Nothing is wrong.")
    return SOMETHING_WRONG if report.wrong else NOTHING_WRONG


def _rebuild(folder: str) -> int:
    report = rebuild(PosixDisk(), folder)
    print(
        f"Found {_number(report.chunks, 'chunk')} of {_number(report.files, 'file')}, {report.body_bytes:,} bytes."
        " After its start the peer asks the group whether any was deleted meanwhile, then serves the others."
    )
    if report.damaged_slots:
        print(f"{_number(report.damaged_slots, 'slot')} held no whole chunk: that space is free again.")
    if report.older_slots:
        print(
            f"{_number(report.older_slots, 'slot')} held an older copy of a chunk: that space is free again."
        )
    if report.capacity_bytes is None:
        print(
            "The capacity is lost: at the next start it is what --capacity says, or a share of the free disk."
        )
    return NOTHING_WRONG


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _complain(sentence: str) -> int:
    print(f"tools.store: {printable(sentence)}", file=sys.stderr)
    return SOMETHING_WRONG


if __name__ == "__main__":
    sys.exit(main())
