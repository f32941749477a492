"""When the scrub reads what: evenly, in time, and after a stop or a wrong clock too (SPEC.md 9.29, 9.30)."""

from __future__ import annotations

from itertools import pairwise
from math import inf, nan

import pytest
from attrs import define, field

from storage.scrub import CATCHING_UP, LEAST_SPACING, MAX_SCRUB_BATCH, ScrubBatch, ScrubMark, ScrubPace
from tests.storage.examples import chunk_id

DAY = 24 * 3600.0
MONTH = 30 * DAY


@define
class Passes:
    """A store of so many chunks that is scrubbed: when each was read, by its number."""

    pace: ScrubPace
    chunks: int
    now: float = 1e9
    mark: ScrubMark = field(factory=lambda: ScrubMark(1e9))
    cursor: int = 0
    just_read: int = 0
    wakes: int = 0
    reads: list[tuple[float, int]] = field(factory=list)
    """When, and how many together."""
    read_at: dict[int, list[float]] = field(factory=dict)

    def run(self, seconds: float) -> None:
        """Let time pass as the peer does, and sleep as long as it would."""
        end = self.now + seconds
        while True:
            self.wakes += 1
            self.mark = self.pace.set_right(self.mark, self.chunks, self.now)
            wait = self.pace.wait(self.mark, self.chunks, self.now, just_read=self.just_read)
            self.just_read = 0
            slept = min(wait, self.pace.look)
            if self.now + slept >= end:
                self.now = end
                return
            self.now += slept
            if wait <= self.pace.look:
                self._read()

    def off(self, seconds: float) -> None:
        """The peer is off for a while."""
        self.now += seconds
        self.just_read = 0

    def _read(self) -> None:
        limit = self.pace.batch(self.chunks)
        numbers = range(self.cursor, min(self.cursor + limit, self.chunks))
        for number in numbers:
            self.read_at.setdefault(number, []).append(self.now)
        self.reads.append((self.now, len(numbers)))
        self.cursor = self.cursor + limit if self.cursor + limit < self.chunks else 0
        batch = ScrubBatch(len(numbers), (), chunk_id("x") if self.cursor else None)
        self.just_read = len(numbers)
        self.mark = self.pace.after(self.mark, batch, self.chunks, self.now)

    def longest_unread(self) -> float:
        """The longest that any chunk has gone unread, from the beginning to now."""
        return max(
            second - first
            for number in range(self.chunks)
            for first, second in pairwise([1e9, *self.read_at.get(number, []), self.now])
        )


@pytest.mark.parametrize("chunks", [1, 2, 10, 17, 1_000, 50_000])
def test_every_chunk_is_read_in_every_period(chunks: int) -> None:
    """SPEC.md 9.29: a few as well as many."""
    passes = Passes(ScrubPace(MONTH), chunks)
    passes.run(3.5 * MONTH)
    assert passes.longest_unread() <= 1.01 * MONTH
    assert sum(count for _, count in passes.reads) <= 3.6 * chunks + MAX_SCRUB_BATCH


@pytest.mark.parametrize("chunks", [1, 10, 1_000, 1_000_000])
def test_they_are_spread_evenly_and_the_peer_sleeps_between(chunks: int) -> None:
    """SPEC.md 9.29: at no time is more read than its share, and no timer runs more often than that takes."""
    passes = Passes(ScrubPace(MONTH), chunks)
    passes.run(MONTH / 10)
    even = MONTH / chunks
    for (earlier, read), (later, _) in pairwise(passes.reads):
        assert later - earlier == pytest.approx(read * even, rel=0.01)
    assert max(count for _, count in passes.reads) <= MAX_SCRUB_BATCH
    assert passes.wakes <= len(passes.reads) + 2 * (MONTH / 10) / passes.pace.look + 2


def test_a_large_store_is_read_in_batches() -> None:
    pace = ScrubPace(MONTH)
    assert pace.batch(10) == pace.batch(40_000) == 1
    assert 1 < pace.batch(200_000) < pace.batch(400_000) < MAX_SCRUB_BATCH
    assert pace.batch(10**9) == MAX_SCRUB_BATCH
    assert pace.batch(400_000) * MONTH / 400_000 >= LEAST_SPACING


@pytest.mark.parametrize("hours", [1, 8, 24])
@pytest.mark.parametrize("chunks", [3, 10, 5_000])
def test_it_does_not_matter_how_often_the_peer_is_started_again(chunks: int, hours: int) -> None:
    """SPEC.md 9.30."""
    passes = Passes(ScrubPace(MONTH), chunks)
    while passes.now < 1e9 + 2.5 * MONTH:
        passes.run(hours * 3600.0)
        passes.off(1.0)
    assert passes.longest_unread() <= 1.02 * MONTH


def test_one_that_runs_eight_hours_a_day_is_read_in_time_too() -> None:
    """SPEC.md 9.29: it catches up, at a bounded pace."""
    passes = Passes(ScrubPace(MONTH), 5_000)
    while passes.now < 1e9 + 2.5 * MONTH:
        passes.run(8 * 3600.0)
        passes.off(16 * 3600.0)
    assert passes.longest_unread() <= 1.1 * MONTH
    even = MONTH / 5_000
    assert all(
        later - earlier >= 0.999 * read * even / CATCHING_UP
        for (earlier, read), (later, _) in pairwise(passes.reads)
    )


def test_a_store_that_grows_meanwhile_is_read_in_time() -> None:
    """SPEC.md 9.29: from one chunk, for which it would have slept long."""
    passes = Passes(ScrubPace(MONTH), 1)
    passes.run(MONTH / 2)
    passes.chunks, grown_at = 20_000, passes.now
    passes.run(MONTH + 2 * passes.pace.look)
    assert len(passes.read_at) == 20_000
    assert min(times[-1] for times in passes.read_at.values()) >= grown_at


def test_one_that_shrinks_meanwhile_is_not_read_later_for_it() -> None:
    """SPEC.md 9.29: those that are gone may be the ones that were read."""
    passes = Passes(ScrubPace(MONTH), 1_000)
    passes.run(MONTH / 2)
    passes.chunks, passes.cursor = 510, 10
    passes.run(MONTH / 2 + DAY)
    assert len({number for number, times in passes.read_at.items() if times[-1] > 1e9 + MONTH / 2}) >= 500


@pytest.mark.parametrize("step", [-400 * DAY, -DAY, DAY, 400 * DAY])
@pytest.mark.parametrize("chunks", [1, 2, 10, 99, 1_000])
def test_a_wall_clock_that_is_set_makes_it_neither_stop_nor_race(step: float, chunks: int) -> None:
    """SPEC.md 9.29, 9.32: in a store of a few chunks too, which it sleeps long between."""
    passes = Passes(ScrubPace(MONTH), chunks)
    passes.run(MONTH / 2)
    read = len(passes.reads)
    passes.now += step
    passes.run(1.1 * MONTH)
    assert chunks <= len(passes.reads) - read <= 1.1 * chunks * CATCHING_UP + 1


def test_a_period_in_which_all_are_read_together_is_not_longer_for_it() -> None:
    """SPEC.md 9.32: a batch has no more chunks than there are."""
    pace = ScrubPace(20.0)
    assert pace.batch(2) == 2
    began = ScrubMark(1e9)
    assert pace.wait(pace.set_right(began, 2, began.began - DAY), 2, began.began - DAY) == 20.0


def test_a_mark_that_is_right_is_not_changed() -> None:
    """Each change of it is written down."""
    passes = Passes(ScrubPace(MONTH), 7, now=1.7e9 + 0.1, mark=ScrubMark(1.7e9 + 0.1))
    changed: list[ScrubMark] = []
    while passes.now < 1.7e9 + 3 * MONTH:
        passes.run(MONTH / 70)
        if passes.pace.set_right(passes.mark, 7, passes.now) is not passes.mark:
            changed.append(passes.mark)
    assert changed == []


def test_an_empty_store_is_looked_at_now_and_then() -> None:
    passes = Passes(ScrubPace(MONTH), 0)
    passes.run(MONTH)
    assert passes.reads == []
    assert passes.wakes <= 102


def test_a_mark_is_kept_and_read_again() -> None:
    """SPEC.md 9.30."""
    for mark in (ScrubMark(1.25), ScrubMark(1.7e9 + 0.1, 12, 40, chunk_id("photo", 999_999))):
        assert ScrubMark.of_text(mark.text()) == mark


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.5 1",
        "x 1 1",
        "1.5 -1 1",
        f"{nan} 1 1",
        f"{inf} 1 1",
        "1.5 1 1 ab 3",
        f"1 1 1 {'0' * 64}",
        "1 2 3 4 5",
    ],
)
def test_one_that_is_none_is_forgotten(text: str) -> None:
    assert ScrubMark.of_text(text) is None
