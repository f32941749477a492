"""How many seeds it takes to find each planted bug: ``python -m tests.simulation.planted [--write]``.

A simulator that finds nothing may be blind. The bugs are those of ``bugs``. The table goes to docs/simulation.md,
where a bug that was not tried this time keeps its row.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.simulation.bugs import BUGS, Bug
from tests.simulation.facts import Violation
from tests.simulation.run import play

MOST_SEEDS: Final = 2_000
"""Seeds after which a bug counts as not found."""

PAGE: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "simulation.md"

_HEAD: Final = (
    "| planted bug | seeds until found | what shows it: invariant, and what is said |",
    "|---|---:|---|",
)
_NOT_TRIED: Final = "not tried"


@frozen
class Row:
    """What came of the search for a bug."""

    said: str
    seeds: str
    """How many it took, or that it wasn't found."""
    shown: str

    def __str__(self) -> str:
        return f"| {self.said} | {self.seeds} | {self.shown} |"


def seeds_to_find(bug: Bug, first: int, most: int) -> tuple[int, Violation] | None:
    """How many seeds from the first one on it takes to find a bug, and what then shows it."""
    with bug.planted():
        for number in range(most):
            violation = play(first + number).violation
            if violation is not None:
                return number + 1, violation
    return None


def search(bug: Bug, first: int, most: int) -> Row:
    """The row of a bug."""
    found = seeds_to_find(bug, first, most)
    if found is None:
        return Row(bug.said, f"not in {most:,}", "")
    seeds, violation = found
    return Row(bug.said, f"{seeds:,}", f"{violation.invariant}: {_brief(violation.said)}")


def rows_of(page: str) -> dict[str, Row]:
    """The rows that a page has, by what they say of the bug."""
    rows = {}
    for line in _table_lines(page.splitlines()):
        said, seeds, shown = (cell.strip() for cell in line.strip("|").split("|"))
        rows[said] = Row(said, seeds, shown)
    return rows


def with_rows(page: str, rows: Mapping[str, Row]) -> str:
    """The page with these rows in its table, one for each bug there is."""
    lines = page.splitlines()
    start = lines.index(_HEAD[0]) + len(_HEAD)
    end = start + len(list(_table_lines(lines)))
    lines[start:end] = [str(rows.get(bug.said, Row(bug.said, _NOT_TRIED, ""))) for bug in BUGS]
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str]) -> int:
    """Print the table, and write it if that is asked for; the exit status is 0 only if all were found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.planted", description=__doc__)
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first seed (1)")
    parser.add_argument(
        "--most", type=int, default=MOST_SEEDS, help=f"seeds to try at the most ({MOST_SEEDS})"
    )
    parser.add_argument(
        "--bug", type=int, action="append", metavar="N", help="only the bug of row N, from 1; repeatable"
    )
    parser.add_argument("--write", action="store_true", help="write the table into docs/simulation.md")
    options = parser.parse_args(arguments)
    bugs = BUGS if options.bug is None else [BUGS[number - 1] for number in options.bug]
    print("\n".join(_HEAD), flush=True)
    found = True
    for bug in bugs:
        row = search(bug, options.first, options.most)
        found = found and row.shown != ""
        print(row, flush=True)
        if options.write:
            page = PAGE.read_text("utf-8")
            PAGE.write_text(with_rows(page, {**rows_of(page), bug.said: row}), "utf-8")
    return 0 if found else 1


def _table_lines(lines: Sequence[str]) -> Iterator[str]:
    yield from takewhile(lambda line: line.startswith("|"), lines[lines.index(_HEAD[0]) + len(_HEAD) :])


def _brief(said: str) -> str:
    line = said.splitlines()[0].replace("|", "/")
    return line if len(line) < 90 else line[:90] + "…"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
