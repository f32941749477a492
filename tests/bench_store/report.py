"""The figures as an object, as a table, and as the part of docs/storage.md that a run writes."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.bench.page import between_marks
from tests.bench.report import number_text, sample_text, verdict_text
from tests.bench.samples import Samples
from tests.bench.targets import Verdict
from tests.bench_store.options import StoreBenchOptions

BEGIN: Final = "<!-- measured: written by `make bench-store ARGS=--write`, not by hand -->"
END: Final = "<!-- end of what was measured -->"

FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "write_mb_s": ("durable writes", "MB/s"),
    "disk_mb_s": ("the plain program", "MB/s"),
    "two_stores_write_mb_s": ("two stores at once, together", "MB/s"),
    "two_disk_mb_s": ("two plain programs at once, together", "MB/s"),
    "read_cold_mb_s": ("random reads, cold", "MB/s"),
    "read_warm_mb_s": ("random reads, warm", "MB/s"),
    "delete_us": ("a random chunk deleted", "µs"),
    "space_back_s": ("until `du` shows all of it", "s"),
    "fill_us": ("a small chunk put, while the store fills", "µs"),
    "start_s": ("start-up with all small chunks, process and all", "s"),
    "open_s": ("of that, opening the store", "s"),
    "rss_mb": ("most memory, of start-up and 8,192 puts", "MB"),
    "empty_write_mb_s": ("full chunks into an empty store", "MB/s"),
    "filled_write_mb_s": ("the same into the one with all small chunks", "MB/s"),
    "empty_new_us": ("a new small chunk put into the empty store", "µs"),
    "filled_new_us": ("the same into the one with all small chunks", "µs"),
    "filled_held_us": ("a chunk put again that is held", "µs"),
    "delete_small_us": ("a chunk of the file of all small chunks deleted", "µs"),
    "longest_put_s": ("longest wait of a put beside that", "s"),
}
"""Every figure by its name in the object that --json prints, in the order of the reports."""

_MEANING: Final = """\
MB are 10^6 bytes. A figure is a median, with the smallest and the largest in brackets. Every trial runs in a process
of its own, those of a store and of the plain program by turns, and begins when the disk has nothing left to write.

- **Durable writes**: chunks of 64,000 bytes in batches of 256, as a peer puts them: digests made, slots synced, index
  committed. **The plain program** writes the same bytes to one preallocated file, with a sync every 16 MB: it knows
  neither digests nor chunks. **Two at once** are two processes, each with half of the chunks.
- **Random reads**: 16 chunks a call, each compared with its digest; **cold** after the system was told to forget the
  pages of the file, though the disk's own host may still have them in memory.
- **Deletes**: half of the chunks, drawn at random, 64 a call; synced, and their holes punched.
- **Small chunks** have 100 bytes, and are all of one file. **Start-up** is from starting the process to an open store
  after an orderly end. **Full chunks into it** are a quarter as many as above. When the file is deleted, a put of 16
  full chunks has its turn after each slice; its wait includes the slice before it."""

_NEW_PAGE: Final = f"""\
# The chunk store

How fast it is, beside what its disk gives to a plain program. `make bench-store` measures it;
`make bench-store ARGS=--help` tells what can be chosen. SPEC.md 9 says how it works.

{BEGIN}
{END}
"""


def judged(samples: Samples) -> Iterator[Verdict]:
    """The figures that have to reach something, as far as they were measured."""
    disk = samples["disk_mb_s"].median
    write = samples["write_mb_s"].median
    yield _at_least("durable writes, of the plain program's", "", write / disk, 0.8)
    yield _at_least("durable writes", "MB/s", write, 600.0)
    yield _at_most("delete", "µs", samples["delete_us"].median, 250.0)
    yield _at_most("space back", "s", samples["space_back_s"].most, 1.0)
    if "start_s" in samples:
        yield _at_most("start-up", "s", samples["start_s"].median, 2.0)
        yield _at_most("memory", "MB", samples["rss_mb"].most, 150.0)
        empty = samples["empty_write_mb_s"].median
        share = samples["filled_write_mb_s"].median / empty
        yield _at_least("writes with all small chunks held, of an empty store's", "", share, 0.8)
        yield _at_most("longest wait of a put", "s", samples["longest_put_s"].most, 0.5)


def as_object(samples: Samples, options: StoreBenchOptions, machine: Mapping[str, object]) -> dict[str, Any]:
    """What --json prints."""
    return {
        **{name: _rounded(samples[name].median) for name in samples},
        "spread": {
            name: {"min": _rounded(samples[name].least), "max": _rounded(samples[name].most)}
            for name in samples
        },
        "full_chunks": options.full,
        "small_chunks": options.small,
        "repeats": options.repeats,
        "targets": [
            {
                "work": verdict.work,
                "unit": verdict.unit,
                "measured": _rounded(verdict.measured),
                "aim": verdict.aim,
                "reached": verdict.reached.value,
            }
            for verdict in judged(samples)
        ],
        "machine": dict(machine),
    }


def as_text(samples: Samples, options: StoreBenchOptions) -> str:
    """A table for the eye."""
    return "\n".join(
        [
            _title(options),
            *(f"  {what:<52} {figure:>28} {unit}" for what, figure, unit in _rows(samples)),
            *(
                f"  target: {verdict.work} {number_text(verdict.measured)} {verdict.unit}, "
                f"aim {number_text(verdict.aim)}: {verdict_text(verdict)}"
                for verdict in judged(samples)
            ),
        ]
    )


def rewritten(
    page: str | None, samples: Samples, options: StoreBenchOptions, machine: Mapping[str, object]
) -> str:
    """docs/storage.md with these figures in place of those that it has. None: there is no page yet."""
    return between_marks(page or _NEW_PAGE, BEGIN, END, _lines(samples, options, machine))


def _lines(samples: Samples, options: StoreBenchOptions, machine: Mapping[str, object]) -> Iterator[str]:
    yield "## Measured"
    yield ""
    yield _title(options)
    yield ""
    yield (
        "{processors} processors ({processor}), {memory_mb:,} MB of memory, {file_system}, {system}, "
        "Python {python}. Commit {commit}; the machine's load before the run was {load_before}.".format(
            **machine
        )
    )
    yield ""
    yield "| what | measured | aim | |"
    yield "|---|---|---|---|"
    for verdict in judged(samples):
        measured = f"{number_text(verdict.measured)} {verdict.unit}".strip()
        yield f"| {verdict.work} | {measured} | {number_text(verdict.aim)} | {verdict_text(verdict)} |"
    yield ""
    yield "| what | figure | |"
    yield "|---|---|---|"
    for what, figure, unit in _rows(samples):
        yield f"| {what} | {figure} | {unit} |"
    yield ""
    yield _MEANING


def _title(options: StoreBenchOptions) -> str:
    runs = f"{options.repeats} runs" if options.repeats > 1 else "one run"
    return f"{options.full:,} full chunks and {options.small:,} small ones, {runs}."


def _rows(samples: Samples) -> Iterator[tuple[str, str, str]]:
    for name, (what, unit) in FIGURES.items():
        if name in samples:
            yield what, sample_text(samples[name]), unit


def _at_least(work: str, unit: str, measured: float, aim: float) -> Verdict:
    return Verdict(work=work, unit=unit, measured=measured, aim=aim, floor=aim)


def _at_most(work: str, unit: str, measured: float, aim: float) -> Verdict:
    return Verdict(work=work, unit=unit, measured=measured, aim=aim, floor=aim, is_less_better=True)


def _rounded(value: float) -> float:
    return round(value, 5 if abs(value) < 1 else 2)
