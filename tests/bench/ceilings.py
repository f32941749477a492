"""What the network and the disk give without the protocol: plain programs, on the same ground and the same data."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Final

from attrs import frozen

from protocol.values import CHUNK_SIZE
from tests.bench.failure import BenchFailure
from tests.bench.ground import Ground
from tests.bench.samples import rate
from tests.bench.started import all_ready, worker

_PATIENCE: Final = 120.0
_SLOWEST: Final = 1_000_000.0
"""Bytes a second below which a run is given up."""

_PIECE_BYTES: Final = 1_000_000

_STEP_DOWN: Final = 0.75
_MOST_STEPS_DOWN: Final = 12
_REFINEMENTS: Final = 2
"""Halvings between a rate that loses something and one that doesn't: the figure is right to a twelfth."""


@frozen
class Trial:
    """How a file came through at one rate."""

    rate: float
    """MB/s, from the first datagram sent to the last that the slowest receiver got."""
    is_whole: bool
    """Whether every receiver got everything."""


def highest_without_loss(attempt: Callable[[float], Trial]) -> float:
    """The highest rate, in MB/s, at which `attempt(limit)` brings everything; 0.0 if none does.

    A limit of 0 is none. What is given is the rate that was reached, which may be below its limit.
    """
    trial = attempt(0.0)
    if trial.is_whole:
        return trial.rate
    losing = trial.rate
    for _ in range(_MOST_STEPS_DOWN):
        limit = losing * _STEP_DOWN
        trial = attempt(limit)
        if trial.is_whole:
            break
        losing = limit
    else:
        return 0.0
    reached, keeping = trial.rate, limit
    for _ in range(_REFINEMENTS):
        limit = (keeping + losing) / 2
        trial = attempt(limit)
        if trial.is_whole:
            reached, keeping = max(reached, trial.rate), limit
        else:
            losing = limit
    return reached


def raw_multicast(ground: Ground, file: Path, *, receive_buffer_bytes: int) -> float:
    """MB/s that a plain sender brings to plain receivers at all places of holders, nothing lost."""
    return highest_without_loss(
        lambda limit: _raw_trial(ground, file, limit, receive_buffer_bytes=receive_buffer_bytes)
    )


def stores_writing(folder: Path, file: Path, *, count: int) -> float:
    """MB/s of `count` stores together that write the file at the same time, each all of it, synced."""
    size = file.stat().st_size
    with ExitStack() as held:
        writers = [
            held.enter_context(worker("store_writer", folder / f"store-{number}", ample(size), file))
            for number in range(count)
        ]
        all_ready(writers)
        for each in writers:
            each.proceed()
        results = [each.result(_PATIENCE + count * size / _SLOWEST) for each in writers]
    seconds = max(each["ended"] for each in results) - min(each["started"] for each in results)
    return rate(count * size, seconds)


def plain_write(folder: Path, file: Path) -> float:
    """MB/s of one plain write of the file, synced."""
    with file.open("rb") as source, (folder / "copy").open("wb", buffering=0) as copy:
        started = monotonic()
        while piece := source.read(_PIECE_BYTES):
            copy.write(piece)
        os.fsync(copy.fileno())
        return rate(file.stat().st_size, monotonic() - started)


def ample(size: int) -> int:
    """A capacity, in bytes, with room for so many bytes of chunks and for some small ones."""
    return size + size // 20 + 100_000_000


def _raw_trial(ground: Ground, file: Path, limit: float, *, receive_buffer_bytes: int) -> Trial:
    size = file.stat().st_size
    count = -(-size // CHUNK_SIZE)
    with ExitStack() as held:
        receivers = [
            held.enter_context(
                worker(
                    *("raw_receiver", ground.mdb, place.address, receive_buffer_bytes, count),
                    inside=place.inside(),
                )
            )
            for place in ground.holders
        ]
        all_ready(receivers)
        sender = held.enter_context(
            worker(
                *("raw_sender", ground.mdb, ground.initiator.address, ground.ttl, file, limit),
                inside=ground.initiator.inside(),
            )
        )
        sender.await_ready()
        sender.proceed()
        sent = sender.result(_PATIENCE + size / _SLOWEST)
        for each in receivers:
            each.proceed()
        results = [each.result(_PATIENCE) for each in receivers]
    received = min(each["received"] for each in results)
    if received == 0:
        raise BenchFailure(f"nothing that is multicast to {ground.mdb} arrives on this {ground.network}")
    seconds = max(each["last"] for each in results) - sent["started"]
    return Trial(rate(size * received // count, seconds), is_whole=received == count)
