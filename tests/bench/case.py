"""One file backed up and restored, with the ceilings and the alternatives measured in the same run."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from attrs import field, frozen

from tests.bench.bench import Bench, Say, counted
from tests.bench.ceilings import ample, plain_write, raw_multicast, stores_writing
from tests.bench.copies import check_copy
from tests.bench.ground import Ground, bridge, loopback
from tests.bench.options import BRIDGE, LOOPBACK
from tests.bench.peers import Request, group_on
from tests.bench.result import Result
from tests.bench.samples import Samples


@frozen(kw_only=True)
class Case:
    """What is measured."""

    scenario: str
    size: int
    degree: int
    peers: int
    network: str = LOOPBACK
    link_rate: str | None = None
    is_privileged: bool = True
    receive_buffer_bytes: int
    options_of: Mapping[int, tuple[str, ...]] = field(factory=dict)
    """Further options of the peer at a place."""
    has_stores: bool = True
    """Whether the ceilings of the disk belong to it."""
    has_raw: bool = True
    has_alternatives: bool = True


def measured(case: Case, bench: Bench) -> Result:
    """Measure it as often as is asked for."""
    copies = max(case.degree, 2, case.peers - 1) + 2
    bench.workplace.check_space(copies * ample(case.size))
    file = bench.workplace.made_file(case.size)
    with _ground(case) as ground:
        result = bench.new_result(
            case.scenario, size=case.size, degree=case.degree, peers=case.peers, ground=ground.text
        )
        for repeat in bench.repeats:
            say = bench.saying(result, repeat)
            _measure_ceilings(case, bench, ground, file, result.samples, say)
            _measure_peers(case, bench, ground, file, result, say)
            if case.has_alternatives:
                bench.measure_alternatives(ground, file, result, say)
    return result


def _ground(case: Case) -> AbstractContextManager[Ground]:
    if case.network == BRIDGE:
        return bridge(case.peers, link_rate=case.link_rate)
    return loopback(case.peers, is_privileged=case.is_privileged)


def _measure_ceilings(
    case: Case, bench: Bench, ground: Ground, file: Path, samples: Samples, say: Say
) -> None:
    if case.has_raw:
        raw = raw_multicast(ground, file, receive_buffer_bytes=case.receive_buffer_bytes)
        samples.add(raw_multicast_mb_s=raw)
        say("raw multicast", raw)
    if case.has_stores:
        with bench.workplace.room("stores") as folder:
            stores = stores_writing(folder, file, count=2)
        say("two stores", stores)
        with bench.workplace.room("copy") as folder:
            plain = plain_write(folder, file)
        say("a plain write", plain)
        samples.add(two_stores_write_mb_s=stores, plain_write_mb_s=plain)


def _measure_peers(case: Case, bench: Bench, ground: Ground, file: Path, result: Result, say: Say) -> None:
    options = bench.peer_options(size=case.size, receive_buffer_bytes=case.receive_buffer_bytes)
    with (
        bench.workplace.room("peers") as folder,
        group_on(ground, bench.workplace, folder, options=options, options_of=case.options_of) as group,
    ):
        with counted(group, result):
            backup = group.ask(Request(name="backup", paths=(file,), degree=case.degree)).done()
        say("backup", backup.rate)
        restore = group.ask(Request(name="restore", paths=(file,))).done()
        say("restore", restore.rate)
        check_copy(file, Path(restore.reports[0]["path"]))
        result.samples.add(
            backup_mb_s=backup.rate,
            backup_seconds=backup.seconds,
            perceived_min=backup.perceived_min,
            below_degree=backup.below_degree,
            restore_mb_s=restore.rate,
            rss_mb=group.most_memory_mb,
            receive_buffer_bytes=group.granted_buffer_bytes,
        )
