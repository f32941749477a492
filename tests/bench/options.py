"""The command line of the benchmark, as a value."""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from attrs import frozen

from peer.config import DEFAULT_RECEIVE_BUFFER_BYTES
from tools.groups import whole_number

Value = TypeVar("Value")

LOOPBACK: Final = "loopback"
BRIDGE: Final = "bridge"

LEAST_REPEATS: Final = 3
"""Fewer have no median that a single bad run can't move."""

_UNITS: Final = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3}
_BINARY_UNITS: Final = {"K": 1024, "M": 1024**2, "G": 1024**3}
_RATE: Final = re.compile(r"[1-9][0-9]{0,5}[kmg]bit", re.ASCII)


@frozen(kw_only=True)
class BenchOptions:
    """What is to be measured, and how. Empty or None: as the scenario has it."""

    scenarios: tuple[str, ...]
    sizes: tuple[int, ...] = ()
    """Bytes of the file."""
    degrees: tuple[int, ...] = ()
    peers: int | None = None
    """The initiator and the holders; None: as many holders as the degree."""
    network: str = LOOPBACK
    link_rate: str | None = None
    """What the initiator's link is shaped to, as tc writes it; None: not at all."""
    receive_buffer_bytes: int = DEFAULT_RECEIVE_BUFFER_BYTES
    """What the peers, and the plain receivers beside them, ask for."""
    repeats: int = LEAST_REPEATS
    has_alternatives: bool = True
    held: int = 1_000_000
    """Chunks that the holders of the scenario `filled` have from the start."""
    folder: Path | None = None
    """Where everything is written; None: /var/tmp."""
    peer_options: tuple[str, ...] = ()
    as_json: bool = False
    is_to_write: bool = False


def read_options(arguments: Sequence[str], *, scenarios: Sequence[str]) -> BenchOptions:
    """Read the command line; leaves the program with status 2 and a sentence if it makes no sense."""
    parser = _parser(scenarios)
    given = parser.parse_args(arguments)
    if given.quick and given.write:
        parser.error("--write wants medians: leave --quick out")
    if given.quick and given.repeats is not None:
        parser.error("--quick is one run: leave --repeats out")
    is_bridge_needed = given.rate is not None
    names = dict.fromkeys(name for group in given.scenario for name in group)
    if "all" in names:
        names = dict.fromkeys(scenarios)
    return BenchOptions(
        scenarios=tuple(names) or (scenarios[0],),
        sizes=tuple(given.size),
        degrees=tuple(given.degree),
        peers=given.peers,
        network=BRIDGE if is_bridge_needed else given.network,
        link_rate=given.rate,
        receive_buffer_bytes=given.receive_buffer,
        repeats=1 if given.quick else given.repeats or LEAST_REPEATS,
        has_alternatives=not given.quick,
        held=given.held,
        folder=given.dir,
        peer_options=tuple(given.option),
        as_json=given.json,
        is_to_write=given.write,
    )


def parse_size(text: str) -> int:
    """Bytes of a size such as 1GB, 64KB, 4MiB or 212992; ValueError for anything else."""
    matched = re.fullmatch(r"([0-9]{1,12})(?:([KMG])?(B)|([KMG])iB)?", text, re.ASCII)
    if matched is None:
        raise ValueError(f"{text!r} is no size: give one such as 1GB, 64KB, 4MiB or 212992")
    digits, unit, _, binary = matched.groups()
    return int(digits) * (_BINARY_UNITS[binary] if binary else _UNITS[unit or ""])


def size_text(size: int) -> str:
    """The size in the largest unit that it is a whole number of: 1 GB, 250 MB, 212,992 bytes."""
    for unit in ("G", "M", "K"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]:,} {unit}B"
    return f"{size:,} bytes"


def _parser(scenarios: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure backups and restores beside what network, disk and other programs reach.",
        epilog="Example: make -s bench ARGS='--size 1GB --degree 2 --quick --json'",
    )
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        type=_list_of(_one_of((*scenarios, "all"))),
        metavar="NAME",
        help=f"what to measure, one or several: all, {', '.join(scenarios)} (default {scenarios[0]})",
    )
    parser.add_argument(
        "--size", type=_list_of(_size), default=(), help="of the file, one or several: 100MB,1GB"
    )
    parser.add_argument(
        "--degree", type=_list_of(whole_number(1, 9)), default=(), help="one or several, as 1,2,3"
    )
    parser.add_argument(
        "--peers", type=whole_number(2, 30), metavar="N", help="with the initiator (degree + 1)"
    )
    parser.add_argument(
        "--network", choices=[LOOPBACK, BRIDGE], default=LOOPBACK, help="bridge: namespaces at MTU 1500"
    )
    parser.add_argument("--rate", type=_rate, help="shape the initiator's link on a bridge, as 1gbit")
    parser.add_argument(
        "--receive-buffer",
        type=_size,
        default=DEFAULT_RECEIVE_BUFFER_BYTES,
        metavar="SIZE",
        help="what each peer asks for",
    )
    parser.add_argument(
        "--repeats", type=whole_number(LEAST_REPEATS, 99), metavar="N", help=f"({LEAST_REPEATS})"
    )
    parser.add_argument("--quick", action="store_true", help="once, and without the alternatives")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--write", action="store_true", help="write the figures to docs/performance.md")
    parser.add_argument("--held", type=whole_number(1, 10_000_000), default=1_000_000, help="for filled")
    parser.add_argument("--dir", type=Path, help="a folder on the disk to measure (/var/tmp)")
    parser.add_argument("--option", action="append", default=[], help="one more option of each peer")
    return parser


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if size == 0:
        raise argparse.ArgumentTypeError("nothing can be measured of 0 bytes")
    return size


def _rate(text: str) -> str:
    if not _RATE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: give one such as 1gbit or 100mbit")
    return text


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    def parsed(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")
        return text

    return parsed


def _list_of(parse: Callable[[str], Value]) -> Callable[[str], tuple[Value, ...]]:
    def parsed(text: str) -> tuple[Value, ...]:
        return tuple(parse(part) for part in text.split(","))

    return parsed
