"""The command line of ``make bench-store``, as a value."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from tests.bench.options import LEAST_REPEATS
from tools.groups import whole_number
from tools.peer_process import PROJECT

_QUICK_FULL = 2_048
_QUICK_SMALL = 20_000


@frozen(kw_only=True)
class StoreBenchOptions:
    """What is to be measured, and how."""

    full: int = 16_000
    """Full chunks that a store is filled with."""
    small: int = 1_000_000
    """Small chunks that a store is filled with; 0: that part is left out."""
    repeats: int = LEAST_REPEATS
    folder: Path = PROJECT
    """Where everything is written: on the disk that the checkout is on, unless told otherwise."""
    as_json: bool = False
    is_to_write: bool = False


def read_options(arguments: Sequence[str]) -> StoreBenchOptions:
    """Read the command line; leaves the program with status 2 and a sentence if it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench_store",
        description="Measure a chunk store beside what its disk gives to a plain program.",
        epilog="Example: make -s bench-store ARGS='--quick --json'",
    )
    parser.add_argument("--full", type=whole_number(256, 100_000), metavar="N", help="full chunks (16,000)")
    parser.add_argument(
        "--small", type=whole_number(0, 1_000_000), metavar="N", help="small chunks (1,000,000); 0: none"
    )
    parser.add_argument(
        "--repeats", type=whole_number(LEAST_REPEATS, 99), metavar="N", help=f"({LEAST_REPEATS})"
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"once, {_QUICK_FULL:,} full and {_QUICK_SMALL:,} small chunks"
    )
    parser.add_argument("--json", action="store_true", help="print one object, and nothing else")
    parser.add_argument("--write", action="store_true", help="write the figures to docs/storage.md")
    parser.add_argument(
        "--dir", type=Path, default=PROJECT, help="a folder on the disk to measure (the checkout)"
    )
    given = parser.parse_args(arguments)
    if given.quick and given.write:
        parser.error("--write wants medians: leave --quick out")
    if given.quick and given.repeats is not None:
        parser.error("--quick is one run: leave --repeats out")
    full, small = (_QUICK_FULL, _QUICK_SMALL) if given.quick else (16_000, 1_000_000)
    return StoreBenchOptions(
        full=full if given.full is None else given.full,
        small=small if given.small is None else given.small,
        repeats=1 if given.quick else given.repeats or LEAST_REPEATS,
        folder=given.dir,
        as_json=given.json,
        is_to_write=given.write,
    )
