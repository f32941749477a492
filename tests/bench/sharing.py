"""Too few takers, and several initiators at once."""

from collections.abc import Iterator
from typing import Final

from tests.bench.bench import Bench, counted
from tests.bench.ceilings import ample
from tests.bench.peers import Request
from tests.bench.result import Result
from tests.bench.samples import rate

_SCARCE_BYTES: Final = 1_000_000_000

_INITIATORS: Final = 4
_BYTES_EACH: Final = 100_000_000


def scarce(bench: Bench) -> Iterator[Result]:
    """A degree that there is one taker too few for, beside the degree that there are enough for."""
    for size in bench.options.sizes or (_SCARCE_BYTES,):
        for degree in bench.options.degrees or (3,):
            yield _scarce(bench, size, max(degree, 2))


def four_initiators(bench: Bench) -> Iterator[Result]:
    """Four initiators at once, beside one that has as much to back up as all of them."""
    for size in bench.options.sizes or (_BYTES_EACH,):
        for degree in bench.options.degrees or (2,):
            yield _four_initiators(bench, size, degree)


def _scarce(bench: Bench, size: int, degree: int) -> Result:
    takers = degree - 1
    result = bench.new_result("scarce", size=size, degree=degree, peers=1 + takers)
    bench.workplace.check_space((takers + 2) * ample(size))
    file = bench.workplace.made_file(size)
    for repeat in bench.repeats:
        seconds = {}
        for asked in (takers, degree):
            with bench.fresh_group(peers=1 + takers, size=size) as group:
                with counted(group, result):
                    backup = group.ask(Request(name="backup", paths=(file,), degree=asked)).done()
                result.samples.add(rss_mb=group.most_memory_mb)
            if backup.perceived_min != takers:
                result.note(f"Asked for degree {asked}, the worst chunk had {backup.perceived_min} copies.")
            seconds[asked] = backup.seconds
            bench.saying(result, repeat)(f"degree {asked} in s", backup.seconds)
        result.samples.add(met_seconds=seconds[takers], scarce_seconds=seconds[degree])
    return result


def _four_initiators(bench: Bench, size: int, degree: int) -> Result:
    peers = _INITIATORS + degree
    size_of_all = _INITIATORS * size
    result = bench.new_result("four-initiators", size=size, degree=degree, peers=peers, files=_INITIATORS)
    result.note("The initiators lend no disk, so that the holders have the same to do in both cases.")
    bench.workplace.check_space((degree + 3) * ample(size_of_all))
    files = [bench.workplace.made_file(size, seed=1 + number) for number in range(_INITIATORS)]
    whole = bench.workplace.made_file(size_of_all)
    without_disk = dict.fromkeys(range(_INITIATORS), ("--capacity=0",))
    for repeat in bench.repeats:
        say = bench.saying(result, repeat)
        with bench.fresh_group(peers=peers, size=size_of_all, options_of=without_disk) as group:
            one = group.ask(Request(name="backup", paths=(whole,), degree=degree)).done()
        say("one", one.rate)
        with bench.fresh_group(peers=peers, size=size_of_all, options_of=without_disk) as group:
            requests = [Request(name="backup", paths=(file,), degree=degree) for file in files]
            with counted(group, result):
                answers = group.ask_all(requests)
            result.samples.add(rss_mb=group.most_memory_mb)
        for error in [error for each in answers for error in each.errors][:1]:
            result.note(f"A backup failed: {error}")
        seconds = max(each.ended for each in answers) - min(each.started for each in answers)
        result.samples.add(
            one_mb_s=one.rate,
            sum_mb_s=rate(size_of_all, seconds),
            slowest_mb_s=min(each.rate for each in answers),
            fastest_mb_s=max(each.rate for each in answers),
            below_degree=sum(each.below_degree for each in answers),
            failed=sum(len(each.errors) for each in answers),
        )
        say("all", rate(size_of_all, seconds))
    return result
