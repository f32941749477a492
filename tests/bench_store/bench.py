"""The trials: each in processes of their own, a store's and the plain program's by turns."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any, Final

from attrs import field, frozen

from protocol.values import CHUNK_SIZE
from storage.slot import BLOCK_BYTES, SLOT_BYTES
from tests.bench.samples import Samples, rate
from tests.bench.started import Worker, all_ready, worker
from tests.bench.workplace import Workplace
from tests.bench_store.options import StoreBenchOptions

_PACKAGE: Final = "tests.bench_store.workers"
_PATIENCE: Final = 900.0
"""Seconds after which any trial is given up."""

_FILLED_SHARE: Final = 4
"""The part of the full chunks that is written to a store of many small ones."""


@frozen
class StoreBench:
    """One run."""

    options: StoreBenchOptions
    place: Workplace
    tell: Callable[[str], None]
    samples: Samples = field(factory=Samples)

    def measure(self) -> Samples:
        """Everything. BenchFailure, OSError if it can't be."""
        options = self.options
        self.place.check_space(
            2 * (options.full + 4_096) * SLOT_BYTES + 2 * options.small * BLOCK_BYTES + 500_000_000
        )
        for repeat in range(options.repeats):
            # By turns, since a machine is faster at one time than at another.
            trials = [self._plain, self._store]
            for trial in trials if repeat % 2 == 0 else reversed(trials):
                trial()
            self._two("two_disk_mb_s", "plain_writer", "file", ())
            self._two("two_stores_write_mb_s", "full_store", "store", ("write",))
        if options.small:
            self._small()
        return self.samples

    def _plain(self) -> None:
        with self.place.room("plain") as folder:
            result = self._one("plain_writer", folder / "file", self.options.full)
        self._take(disk_mb_s=self._rate(result))

    def _store(self) -> None:
        with self.place.room("store") as folder:
            result = self._one("full_store", folder / "store", self.options.full, "all")
        self._take(
            write_mb_s=self._rate(result),
            read_warm_mb_s=rate(CHUNK_SIZE, result["warm_s_a_chunk"]),
            read_cold_mb_s=rate(CHUNK_SIZE, result["cold_s_a_chunk"]),
            delete_us=result["delete_s"] * 1e6,
            space_back_s=result["space_back_s"],
        )

    def _two(self, figure: str, name: str, file: str, more: tuple[object, ...]) -> None:
        """Two at the same time, each with half of the chunks."""
        half = self.options.full // 2
        with self.place.room("two") as folder, ExitStack() as held:
            both = [
                held.enter_context(worker(name, folder / f"{file}-{no}", half, *more, package=_PACKAGE))
                for no in range(2)
            ]
            all_ready(both)
            for each in both:
                each.proceed()
            results = [each.result(_PATIENCE) for each in both]
        seconds = max(each["ended"] for each in results) - min(each["started"] for each in results)
        self._take(**{figure: rate(2 * half * CHUNK_SIZE, seconds)})

    def _small(self) -> None:
        count, full = self.options.small, self.options.full // _FILLED_SHARE
        with self.place.room("small") as folder:
            filled, empty = folder / "filled", folder / "empty"
            result = self._one("small_store", "fill", filled, count, 0)
            self._take(fill_us=result["fill_s"] / count * 1e6)
            for repeat in range(self.options.repeats):
                self._start(filled, count)
                trials = [(empty, 0), (filled, count)]
                for root, held in trials if repeat % 2 == 0 else reversed(trials):
                    self._put(root, held, full)
            result = self._one("small_store", "delete", filled, count, 0)
            self._take(delete_small_us=result["delete_s"] * 1e6, longest_put_s=result["longest_put_s"])

    def _start(self, root: Path, count: int) -> None:
        begun = monotonic()
        with worker("small_store", "start", root, count, 0, package=_PACKAGE) as starting:
            starting.await_ready()
            seconds = monotonic() - begun
            result = starting.result(_PATIENCE)
        self._take(start_s=seconds, open_s=result["open_s"], rss_mb=result["rss_mb"])

    def _put(self, root: Path, held: int, full: int) -> None:
        result = self._one("small_store", "put", root, held, full)
        which = "filled" if held else "empty"
        self._take(
            **{
                f"{which}_write_mb_s": rate(full * CHUNK_SIZE, result["full_s"]),
                f"{which}_new_us": result["new_s"] * 1e6,
            }
        )
        if held:
            self._take(filled_held_us=result["held_s"] * 1e6)

    def _one(self, name: str, *arguments: object) -> dict[str, Any]:
        with worker(name, *arguments, package=_PACKAGE) as running:
            return _done(running)

    def _rate(self, result: dict[str, Any]) -> float:
        return rate(self.options.full * CHUNK_SIZE, result["ended"] - result["started"])

    def _take(self, **figures: float) -> None:
        self.samples.add(**figures)
        self.tell(", ".join(f"{name} {value:,.4g}" for name, value in figures.items()))


def _done(running: Worker) -> dict[str, Any]:
    running.await_ready()
    running.proceed()
    return running.result(_PATIENCE)
