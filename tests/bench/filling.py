"""Holders that have a million chunks from the start."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.bench.bench import Bench
from tests.bench.ceilings import ample
from tests.bench.ground import loopback
from tests.bench.peers import Request, group_on, peer_folder
from tests.bench.result import Result
from tests.bench.started import all_ready, worker

_BYTES: Final = 100_000_000

_FILL_SECONDS: Final = 3_600.0

_HELD_BYTES: Final = 4_096
"""What a small chunk takes of the disk."""


def filled(bench: Bench) -> Iterator[Result]:
    """A file backed up to holders that have a million chunks, beside the same to holders that have none."""
    for size in bench.options.sizes or (_BYTES,):
        for degree in bench.options.degrees or (2,):
            yield _filled(bench, size, degree)


def _filled(bench: Bench, size: int, degree: int) -> Result:
    options = bench.options
    peers = degree + 1
    result = bench.new_result("filled", size=size, degree=degree, peers=peers)
    result.note(f"The filled stores had {options.held:,} chunks from the start.")
    held_bytes = options.repeats * size + options.held * _HELD_BYTES
    bench.workplace.check_space(peers * ample(held_bytes))
    for figure, held in (("empty_backup_mb_s", 0), ("backup_mb_s", options.held)):
        with ExitStack() as held_open:
            ground = held_open.enter_context(loopback(peers))
            folder = held_open.enter_context(bench.workplace.room("peers"))
            if held:
                _fill(folder, peers=peers, chunks=held, capacity=ample(held_bytes))
            group = held_open.enter_context(
                group_on(ground, bench.workplace, folder, options=bench.peer_options(size=held_bytes))
            )
            for repeat in bench.repeats:
                file = bench.workplace.made_file(size, seed=repeat)
                backup = group.ask(Request(name="backup", paths=(file,), degree=degree)).done()
                result.samples.add(**{figure: backup.rate, "below_degree": backup.below_degree})
                bench.saying(result, repeat)(f"backup with {held:,} held", backup.rate)
            result.samples.add(rss_mb=group.most_memory_mb)
    return result


def _fill(folder: Path, *, peers: int, chunks: int, capacity: int) -> None:
    """Fill the stores of all peers but the first."""
    with ExitStack() as held:
        fillers = [
            held.enter_context(
                worker(*("store_filler", peer_folder(folder, number) / "store", number + 1, capacity, chunks))
            )
            for number in range(1, peers)
        ]
        all_ready(fillers)
        for each in fillers:
            each.proceed()
        for each in fillers:
            each.result(_FILL_SECONDS)
