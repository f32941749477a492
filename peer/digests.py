"""Digests of many bodies, made by a thread beside the one that writes them: each takes about as long as the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

from attrs import frozen

from protocol.digest import Digest
from protocol.values import Body

GROUP: Final = 16
"""Bodies that are handed over at a time: smaller groups cost more in handing over than they gain."""

LEAST_BYTES: Final = 2_000_000
"""Of all bodies together, 31 full ones: what hands fewer over, or small ones, waits longer than it would hash."""


def digest_thread() -> Executor:
    """Where a peer makes its digests. On a machine of two processors one thread gained more than two."""
    return ThreadPoolExecutor(1, thread_name_prefix="digests")


@frozen
class DigestsAhead:
    """Makes digests in an executor, ahead of whoever takes them, in the order of the bodies.

    Python lets go of its lock while it hashes and while it writes, so that the two go on at once.
    """

    _executor: Executor

    def __call__(self, bodies: Sequence[Body]) -> Iterable[Digest]:
        """The digests of the bodies; those of few bytes are made when they are asked for."""
        if sum(map(len, bodies)) < LEAST_BYTES:
            return map(Digest.of, bodies)
        return self._ahead(bodies)

    def _ahead(self, bodies: Sequence[Body]) -> Iterator[Digest]:
        groups = [bodies[first : first + GROUP] for first in range(0, len(bodies), GROUP)]
        for digests in self._executor.map(_digests_of, groups):
            yield from digests


def _digests_of(bodies: Sequence[Body]) -> list[Digest]:
    return [Digest.of(body) for body in bodies]
