"""How a target is fuzzed: from which seeds, into which folder, and for how long."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).with_name("corpus")

SHORT: Final = 1_000
"""Bytes of inputs that are as quick to try as shorter ones."""

_BOUNDS: Final = ("-max_total_time=", "-runs=")


def write_seeds(folder: Path, seeds: Iterable[bytes]) -> None:
    """Put each seed into a file of its own, named by its digest as libFuzzer names its finds."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


def options(arguments: Sequence[str], *, corpus: Path, longest: int) -> list[str]:
    """What libFuzzer is started with: the arguments, bounded, the most bytes of an input, and the corpus."""
    bound = [] if any(option.startswith(_BOUNDS) for option in arguments) else ["-max_total_time=60"]
    # Short inputs need not grow slowly: a single one may say several things.
    lengths = [f"-max_len={longest}", *(["-len_control=0"] if longest < SHORT else [])]
    found = f"-artifact_prefix={corpus}-"
    return [*lengths, found, *bound, *arguments, str(corpus)]


def fuzz(name: str, one_input: Callable[[bytes], None], seeds: Iterable[bytes], *, longest: int) -> None:
    """Fuzz until the time is over; exit status 0 if nothing was found.

    What is found to be of interest is kept in ``corpus/<name>/``, and an input that fails beside it. A time of 60 s
    unless -max_total_time or -runs says otherwise.
    """
    import atheris  # Only here: the tests run the targets without it.

    corpus = CORPUS / name
    write_seeds(corpus, seeds)
    atheris.instrument_all()
    arguments = options(sys.argv[1:], corpus=corpus, longest=longest)
    atheris.Setup([sys.argv[0], *arguments], one_input)
    atheris.Fuzz()
