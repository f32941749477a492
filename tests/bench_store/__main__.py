"""``python -m tests.bench_store``: measure, and say what came of it on standard output alone."""

import json
import sys
from collections.abc import Sequence

from tests.bench.__main__ import INTERRUPTED, ended_in_order
from tests.bench.failure import BenchFailure
from tests.bench.machine import machine_facts
from tests.bench.workplace import workplace
from tests.bench_store.bench import StoreBench
from tests.bench_store.options import read_options
from tests.bench_store.report import as_object, as_text, rewritten
from tools.peer_process import PROJECT

_PAGE = PROJECT / "docs" / "storage.md"


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; exit status 1 if something could not be measured."""
    options = read_options(arguments)
    try:
        with ended_in_order(), workplace(options.folder) as place:
            machine = machine_facts(place.folder)
            samples = StoreBench(options, place, _tell).measure()
    except KeyboardInterrupt:
        _tell("interrupted")
        return INTERRUPTED
    except (BenchFailure, OSError) as error:
        _tell(str(error))
        return 1
    if options.as_json:
        print(json.dumps(as_object(samples, options, machine)), flush=True)
    else:
        print(as_text(samples, options), flush=True)
    if options.is_to_write:
        old = _PAGE.read_text(encoding="utf-8") if _PAGE.exists() else None
        _PAGE.write_text(rewritten(old, samples, options, machine), encoding="utf-8")
    return 0


def _tell(sentence: str) -> None:
    print(f"bench-store: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
