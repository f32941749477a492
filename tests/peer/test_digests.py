"""Digests made ahead are those made in turn, in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from peer.digests import GROUP, LEAST_BYTES, DigestsAhead, digest_thread
from protocol.digest import Digest
from protocol.values import CHUNK_SIZE


class CountingExecutor(Executor):
    """Makes each call at once, and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


@pytest.fixture
def thread() -> Iterator[Executor]:
    with digest_thread() as thread:
        yield thread


def bodies(count: int) -> list[bytes]:
    return [number.to_bytes(2, "big") * (CHUNK_SIZE // 2) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2 * GROUP, 2 * GROUP + 1, 256])
def test_each_body_has_its_own_digest(thread: Executor, count: int) -> None:
    assert list(DigestsAhead(thread)(bodies(count))) == [Digest.of(body) for body in bodies(count)]


def test_few_or_small_bodies_are_not_handed_over() -> None:
    executor = CountingExecutor()
    digests = DigestsAhead(executor)
    for some in (bodies(LEAST_BYTES // CHUNK_SIZE), [b"small"] * 256):
        assert list(digests(some)) == [Digest.of(body) for body in some]
    assert executor.calls == 0
    list(digests(bodies(256)))
    assert executor.calls == 256 // GROUP


def test_whoever_takes_no_more_waits_for_nothing(thread: Executor) -> None:
    digests = iter(DigestsAhead(thread)(bodies(256)))
    first = next(digests)
    del digests
    assert first == Digest.of(bodies(1)[0])
    assert list(DigestsAhead(thread)(bodies(64))) == [Digest.of(body) for body in bodies(64)]
