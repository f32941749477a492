"""What every scenario is measured with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.bench.alternatives import ALTERNATIVES
from tests.bench.ceilings import ample
from tests.bench.copies import files_of, size_of
from tests.bench.failure import BenchFailure
from tests.bench.ground import Ground, loopback
from tests.bench.options import BenchOptions
from tests.bench.peers import BenchGroup, group_on
from tests.bench.result import Result, Setting
from tests.bench.samples import Samples
from tests.bench.started import worker
from tests.bench.workplace import Workplace

_COUNTING_SECONDS: Final = 30.0

Say = Callable[[str, float], None]
"""Is told what was measured just now."""


@frozen
class Bench:
    """Where a run happens, how, and to whom it tells how far it is."""

    options: BenchOptions
    workplace: Workplace
    _tell: Callable[[str], None]

    @property
    def repeats(self) -> range:
        """The numbers of the repeats."""
        return range(1, self.options.repeats + 1)

    def saying(self, result: Result, repeat: int) -> Say:
        """Whom to tell of a figure in that repeat of a setting."""
        setting = result.setting
        which = f"{setting.scenario}, degree {setting.degree}, run {repeat} of {setting.repeats}"
        return lambda what, figure: self._tell(f"{which}: {what} {figure:,.1f}")

    def new_result(
        self, scenario: str, *, size: int, degree: int, peers: int, ground: str = "loopback", files: int = 1
    ) -> Result:
        """A result that has no figures yet."""
        return Result(
            Setting(
                scenario=scenario,
                ground=ground,
                size=size,
                files=files,
                degree=degree,
                peers=peers,
                repeats=self.options.repeats,
            )
        )

    def peer_options(self, *, size: int, receive_buffer_bytes: int | None = None) -> tuple[str, ...]:
        """What every peer is started with, if `size` bytes of chunks are to be held."""
        return (
            f"--capacity={ample(size) // 1000}",
            f"--receive-buffer={receive_buffer_bytes or self.options.receive_buffer_bytes}",
            *self.options.peer_options,
        )

    @contextmanager
    def fresh_group(
        self, *, peers: int, size: int, options_of: Mapping[int, Sequence[str]] | None = None
    ) -> Iterator[BenchGroup]:
        """Peers with empty stores on loopback, that have room for `size` bytes each."""
        with (
            loopback(peers) as ground,
            self.workplace.room("peers") as folder,
            group_on(
                ground, self.workplace, folder, options=self.peer_options(size=size), options_of=options_of
            ) as group,
        ):
            yield group

    def measure_alternatives(self, ground: Ground, source: Path, result: Result, say: Say) -> None:
        """Measure the others once, if they are wanted: MB/s of a file, files/s of a folder."""
        if not self.options.has_alternatives:
            return
        for alternative in ALTERNATIVES:
            name = alternative.name
            reason = result.not_measured.get(name) or alternative.why_not(ground, source)
            if reason == "not installed":
                reason += f" ({alternative.package})"
            if reason is None:
                try:
                    with self.workplace.room("alternative") as folder:
                        timing = alternative.measure(ground, source, folder)
                except (BenchFailure, AssertionError) as error:
                    reason = f"failed: {error}"
                else:
                    theirs = result.alternatives.setdefault(name, Samples())
                    figures = _rates(source, timing.backup, timing.restore)
                    theirs.add(**figures)
                    say(name, next(iter(figures.values())))
            if reason is not None:
                result.not_measured[name] = reason


@contextmanager
def counted(group: BenchGroup, result: Result) -> Iterator[None]:
    """Count the PUTCHUNKs that are sent during the block, and take the share of those that were sent again."""
    ground = group.ground
    place = ground.initiator
    with worker("counter", ground.mdb, place.address, inside=place.beside()) as counter:
        counter.await_ready()
        yield
        counter.proceed()
        count = counter.result(_COUNTING_SECONDS)
    if count["missed"]:
        result.note(f"The count of PUTCHUNKs sent again misses {count['missed']} datagrams.")
    if count["putchunks"]:
        result.samples.add(retransmitted=(count["putchunks"] - count["chunks"]) / count["putchunks"])


def _rates(source: Path, backup: float, restore: float | None) -> dict[str, float]:
    if source.is_dir():
        names, amount = ("files_s", "restore_files_s"), float(len(files_of(source)))
    else:
        names, amount = ("backup_mb_s", "restore_mb_s"), size_of(source) / 1e6
    return {
        name: amount / seconds
        for name, seconds in zip(names, (backup, restore), strict=True)
        if seconds is not None
    }
