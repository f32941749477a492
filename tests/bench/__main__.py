"""``python -m tests.bench``: measure, and say what came of it on standard output alone."""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from tests.bench.bench import Bench
from tests.bench.failure import BenchFailure
from tests.bench.machine import machine_facts
from tests.bench.options import BenchOptions, read_options
from tests.bench.page import rewritten
from tests.bench.report import as_object, as_text
from tests.bench.result import Result
from tests.bench.scenarios import SCENARIOS
from tests.bench.workplace import workplace
from tools.peer_process import PROJECT

_PAGE = PROJECT / "docs" / "performance.md"

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; exit status 1 if something could not be measured."""
    options = read_options(arguments, scenarios=tuple(SCENARIOS))
    try:
        with ended_in_order(), workplace(options.folder) as place:
            machine = machine_facts(place.folder)
            results, failures = _measured(Bench(options, place, _tell), options)
    except KeyboardInterrupt:
        _tell("interrupted")
        return INTERRUPTED
    except OSError as error:
        _tell(str(error))
        return 1
    if not results:
        return 1
    print(
        json.dumps(as_object(results, machine, failures)) if options.as_json else as_text(results), flush=True
    )
    if options.is_to_write:
        _PAGE.parent.mkdir(exist_ok=True)
        old = _PAGE.read_text(encoding="utf-8") if _PAGE.exists() else None
        _PAGE.write_text(rewritten(old, results, machine, failures), encoding="utf-8")
    return 1 if failures else 0


def _measured(bench: Bench, options: BenchOptions) -> tuple[list[Result], dict[str, str]]:
    """What could be measured, and why which scenarios could not."""
    results = []
    failures = {}
    for name in options.scenarios:
        try:
            for result in SCENARIOS[name](bench):
                results.append(result)
        except (BenchFailure, AssertionError) as error:
            failures[name] = str(error)
            _tell(f"{name}: {error}")
    return results, failures


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Have SIGTERM end the block as Ctrl-C does, so that what was started is ended and what was made is removed."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(sentence: str) -> None:
    print(f"bench: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
