"""How the targets are started, without the fuzzer."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz import control, datagrams, store
from tests.fuzz.running import options, write_seeds


def test_the_corpus_holds_every_seed_once(tmp_path: Path) -> None:
    for name, seeds in {
        "datagrams": datagrams.seeds(),
        "control": control.seeds(),
        "store": store.seeds(),
    }.items():
        write_seeds(tmp_path / name, seeds)
        write_seeds(tmp_path / name, seeds)
        assert sorted(path.read_bytes() for path in (tmp_path / name).iterdir()) == sorted(set(seeds))


def test_it_ends_by_itself() -> None:
    """A run that nobody bounded would never come back to whoever started it."""
    assert "-max_total_time=60" in options([], corpus=Path(), longest=9)
    assert "-max_total_time=60" not in options(["-max_total_time=5"], corpus=Path(), longest=9)
    assert "-max_total_time=60" not in options(["-runs=10"], corpus=Path(), longest=9)
