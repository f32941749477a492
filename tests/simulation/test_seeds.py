"""Some hundreds of bad days in each ``make test``, and what the simulation promises of itself."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import main
from tests.simulation.bugs import BUGS, Bug
from tests.simulation.figures import backup_seconds, idle_seconds
from tests.simulation.plan import draw_plan
from tests.simulation.planted import PAGE, Row, rows_of, seeds_to_find, with_rows
from tests.simulation.run import play
from tests.simulation.runner import simulate
from tests.simulation.shrinking import fewest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SEEDS = 300
QUICK_BUGS = [bug for bug in BUGS if bug.is_found_soon]
COUNTED_MESSAGES = next(bug for bug in BUGS if bug.said.startswith("messages are counted"))


def run_python(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    """Run this Python on the checkout."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_some_hundreds_of_seeds_pass() -> None:
    ran = run_python("-m", "tests.simulation", "--seeds", str(SEEDS))
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.splitlines()[-1].startswith(f"{SEEDS} seeds from 1, 0 failed:")
    assert ran.stderr == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_same_seed_gives_the_same_transcript_whatever_the_order_of_sets_and_dicts() -> None:
    """Invariant 8."""
    program = (
        "from tests.simulation.run import play\n"
        "for seed in range(1, 26): print(seed, play(seed).transcript.digest())"
    )
    first, second = (run_python("-c", program, hash_seed=hash_seed) for hash_seed in ("1", "2"))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert len(first.stdout.splitlines()) == 25


def test_a_seed_stands_for_one_plan() -> None:
    assert draw_plan(7) == draw_plan(7)
    assert draw_plan(7) != draw_plan(8)


def test_a_failing_seed_tells_how_to_see_it_again() -> None:
    out = io.StringIO()
    with COUNTED_MESSAGES.planted():
        assert not simulate(1, 3, processes=1, out=out)
    failed = re.search(r"^seed (\d) fails: invariant 3 broken at [\d.]+: ", out.getvalue(), re.MULTILINE)
    assert failed is not None, out.getvalue()
    assert f"replay: .venv/bin/python -m tests.simulation --replay {failed[1]}\n" in out.getvalue()
    shrunk = re.search(
        rf"^seed {failed[1]}, shrunk: .* --replay {failed[1]} --only (\S+)$", out.getvalue(), re.MULTILINE
    )
    assert shrunk is not None, out.getvalue()
    assert len(shrunk[1].split(",")) < len(draw_plan(int(failed[1])).planned)
    assert re.match(r"3 seeds from 1, [123] failed: ", out.getvalue().splitlines()[-1])


def test_a_failing_seed_is_shrunk_to_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with COUNTED_MESSAGES.planted():
        found = seeds_to_find(COUNTED_MESSAGES, 1, 10)
        assert found is not None
        assert main(["--replay", str(found[0]), "--shrink"]) == 1
        shown = capsys.readouterr().out
        kept = re.search(r"--only (\S+)\n$", shown)
        assert kept is not None, shown
        assert len(kept[1].split(",")) < len(draw_plan(found[0]).planned)
        assert play(found[0], kept[1].split(",")).violation is not None
    assert play(found[0], kept[1].split(",")).violation is None


def test_shrinking_leaves_what_nothing_can_be_taken_from() -> None:
    letters = [chr(ord("a") + number) for number in range(20)]
    assert fewest(letters, lambda kept: {"c", "q"} <= set(kept)) == ["c", "q"]
    assert fewest(letters, lambda kept: True) == []
    assert fewest(letters, lambda kept: len(kept) == 20) == letters


@pytest.mark.parametrize("bug", QUICK_BUGS, ids=lambda bug: bug.said)
@pytest.mark.timeout(300)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    assert seeds_to_find(bug, 1, 100) is not None


def test_virtual_time_is_cheap() -> None:
    """Ten virtual minutes of ten idle peers, and a backup of 10 MB among them, in seconds of the processor."""
    assert idle_seconds() < 2.0
    assert backup_seconds() < 4.0


def test_nothing_in_production_knows_of_the_simulation() -> None:
    for folder in ("peer", "protocol", "storage"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            assert not [name for name in names | modules if "simulat" in name.lower() or "tests" in name]


def test_the_page_has_the_table_of_the_planted_bugs() -> None:
    """``python -m tests.simulation.planted --write`` is run again when there are others."""
    rows = rows_of(PAGE.read_text("utf-8"))
    assert list(rows) == [bug.said for bug in BUGS]
    assert all(row.seeds.replace(",", "").isdecimal() for row in rows.values())


def test_a_bug_that_was_not_tried_keeps_its_row() -> None:
    page = PAGE.read_text("utf-8")
    first, second = BUGS[0].said, BUGS[1].said
    once = with_rows(page, {first: Row(first, "7", "2: gone"), second: Row(second, "1,900", "3: gone")})
    again = with_rows(once, {**rows_of(once), first: Row(first, "9", "2: away")})
    assert [str(row) for row in rows_of(again).values()][:2] == [
        f"| {first} | 9 | 2: away |",
        f"| {second} | 1,900 | 3: gone |",
    ]
    assert (again.partition("| planted bug |")[0], again.partition("\n\n## Where")[2]) == (
        page.partition("| planted bug |")[0],
        page.partition("\n\n## Where")[2],
    )
