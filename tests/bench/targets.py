"""What the figures have to reach. What one machine can do decides: most targets are shares of its own ceilings."""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Final

from attrs import frozen

from tests.bench.result import Result


class Reached(Enum):
    """How far a figure came."""

    AIM = "aim"
    FLOOR = "floor"
    NEITHER = "neither"


@frozen(kw_only=True)
class Verdict:
    """A figure beside what it has to reach."""

    work: str
    unit: str
    measured: float
    aim: float
    floor: float
    is_less_better: bool = False
    is_whole: bool = True
    """Whether everything had the copies that were asked for; what hadn't reaches nothing."""

    @property
    def reached(self) -> Reached:
        """How far it came."""
        if not self.is_whole:
            return Reached.NEITHER
        sign = -1 if self.is_less_better else 1
        if sign * self.measured >= sign * self.aim:
            return Reached.AIM
        return Reached.FLOOR if sign * self.measured >= sign * self.floor else Reached.NEITHER


def judged(result: Result) -> tuple[Verdict, ...]:
    """The targets of a result's scenario."""
    judges = (_JUDGES.get(result.setting.scenario), _memory)
    return tuple(verdict for judge in judges if judge is not None for verdict in judge(result))


def _plain(result: Result) -> Iterator[Verdict]:
    half = result.median("two_stores_write_mb_s") / 2
    yield _backup(result, aim=min(400.0, 0.95 * half), floor=min(200.0, 0.5 * half))
    write = result.median("plain_write_mb_s")
    yield _restore(result, aim=min(650.0, 0.9 * write), floor=min(350.0, 0.6 * write))
    yield _retransmitted(result)
    yield from _beside_others(result, floor_share=0.0)


def _unprivileged(result: Result) -> Iterator[Verdict]:
    half = result.median("two_stores_write_mb_s") / 2
    backup_floor = min(200.0, 0.5 * half)
    yield _backup(result, aim=backup_floor, floor=0.0)
    restore_floor = min(350.0, 0.6 * result.median("plain_write_mb_s"))
    yield _restore(result, aim=restore_floor, floor=0.0)


def _bridge(result: Result) -> Iterator[Verdict]:
    raw = result.median("raw_multicast_mb_s")
    yield _backup(result, aim=0.7 * raw, floor=0.5 * raw)
    yield _retransmitted(result)


def _shaped(result: Result) -> Iterator[Verdict]:
    yield _backup(result, aim=110.0, floor=95.0)
    yield _retransmitted(result)
    yield from _beside_others(result, floor_share=1.0)


def _small_files(result: Result) -> Iterator[Verdict]:
    yield Verdict(
        work="files backed up",
        unit="files/s",
        measured=result.median("files_s"),
        aim=1_000.0,
        floor=300.0,
        is_whole=_is_whole(result),
    )


def _small_buffer(result: Result) -> Iterator[Verdict]:
    yield _backup(result, aim=20.0, floor=0.0)


def _scarce(result: Result) -> Iterator[Verdict]:
    met = result.median("met_seconds")
    yield Verdict(
        work="time with one taker too few",
        unit="s",
        measured=result.median("scarce_seconds"),
        aim=met + 40.0,
        floor=met + 60.0,
        is_less_better=True,
    )


def _four_initiators(result: Result) -> Iterator[Verdict]:
    one = result.median("one_mb_s")
    yield Verdict(
        work="all initiators together",
        unit="MB/s",
        measured=result.median("sum_mb_s"),
        aim=0.9 * one,
        floor=0.0,
        is_whole=_is_whole(result),
    )
    yield Verdict(
        work="slowest initiator",
        unit="MB/s",
        measured=result.median("slowest_mb_s"),
        aim=0.5 * result.median("fastest_mb_s"),
        floor=0.0,
        is_whole=_is_whole(result),
    )


def _filled(result: Result) -> Iterator[Verdict]:
    least = result.median("empty_backup_mb_s") / 1.2
    yield _backup(result, aim=least, floor=least)


def _memory(result: Result) -> Iterator[Verdict]:
    if "rss_mb" in result.samples:
        yield Verdict(
            work="most memory of any peer",
            unit="MB",
            measured=result.samples["rss_mb"].most,
            aim=150.0,
            floor=250.0,
            is_less_better=True,
        )


def _backup(result: Result, *, aim: float, floor: float) -> Verdict:
    return Verdict(
        work="backup",
        unit="MB/s",
        measured=result.median("backup_mb_s"),
        aim=aim,
        floor=floor,
        is_whole=_is_whole(result),
    )


def _restore(result: Result, *, aim: float, floor: float) -> Verdict:
    return Verdict(work="restore", unit="MB/s", measured=result.median("restore_mb_s"), aim=aim, floor=floor)


def _retransmitted(result: Result) -> Verdict:
    return Verdict(
        work="PUTCHUNKs sent again",
        unit="of all",
        measured=result.median("retransmitted"),
        aim=0.001,
        floor=0.01,
        is_less_better=True,
    )


def _beside_others(result: Result, *, floor_share: float) -> Iterator[Verdict]:
    fastest = result.fastest_alternative("backup_mb_s")
    if fastest is not None and result.setting.degree == 2:
        name, their_rate = fastest
        yield Verdict(
            work=f"backup beside {name}, the fastest of the others",
            unit="MB/s",
            measured=result.median("backup_mb_s"),
            aim=their_rate,
            floor=floor_share * their_rate,
            is_whole=_is_whole(result),
        )


def _is_whole(result: Result) -> bool:
    return all(
        result.samples[figure].most == 0 for figure in ("below_degree", "failed") if figure in result.samples
    )


_JUDGES: Final[Mapping[str, Callable[[Result], Iterator[Verdict]]]] = {
    "plain": _plain,
    "unprivileged": _unprivileged,
    "bridge": _bridge,
    "shaped": _shaped,
    "small-files": _small_files,
    "small-buffer": _small_buffer,
    "scarce": _scarce,
    "four-initiators": _four_initiators,
    "filled": _filled,
}
