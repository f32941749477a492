"""Many small files asked for at once over one control connection."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.bench import Bench, counted
from tests.bench.copies import check_copy, files_of, size_of
from tests.bench.ground import loopback
from tests.bench.peers import Request
from tests.bench.result import Result

_FILES: Final = 1_000
_FILE_BYTES: Final = 4_000


def small_files(bench: Bench) -> Iterator[Result]:
    """1,000 files of 4 KB, whatever size the other scenarios are measured with."""
    source = bench.workplace.made_files(_FILES, _FILE_BYTES)
    for degree in bench.options.degrees or (2,):
        yield _measured(bench, source, degree)


def _measured(bench: Bench, source: Path, degree: int) -> Result:
    files = files_of(source)
    peers = bench.options.peers or degree + 1
    result = bench.new_result("small-files", size=_FILE_BYTES, degree=degree, peers=peers, files=len(files))
    for repeat in bench.repeats:
        say = bench.saying(result, repeat)
        with bench.fresh_group(peers=peers, size=size_of(source)) as group:
            with counted(group, result):
                backup = group.ask(Request(name="backup", paths=files, degree=degree))
            restore = group.ask(Request(name="restore", paths=files))
            for report in restore.reports:
                restored = Path(report["path"])
                check_copy(source / restored.name, restored)
            result.samples.add(
                files_s=len(backup.reports) / backup.seconds,
                restore_files_s=len(restore.reports) / restore.seconds,
                below_degree=backup.below_degree,
                failed=len(backup.errors) + len(restore.errors),
                rss_mb=group.most_memory_mb,
            )
        for error in (*backup.errors, *restore.errors)[:1]:
            result.note(f"A peer refused a file: {error}")
        say("files/s", result.samples["files_s"].values[-1])
        with loopback(degree + 1) as ground:
            bench.measure_alternatives(ground, source, result, say)
    return result
