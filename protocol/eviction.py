"""Which copies a full peer gives up to make room (SPEC.md 6.14)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from protocol.values import ChunkId


class EvictionCandidate(Protocol):
    """What has to be known of a copy held here to decide on its eviction."""

    @property
    def chunk_id(self) -> ChunkId:
        """The chunk that it is a copy of."""

    @property
    def desired(self) -> int:
        """The desired replication degree."""

    @property
    def perceived(self) -> int:
        """The perceived replication degree, this copy counted."""

    @property
    def charged_bytes(self) -> int:
        """The capacity that its eviction gives back."""


Candidate = TypeVar("Candidate", bound=EvictionCandidate)


def choose(candidates: Iterable[Candidate], bytes_needed: int) -> list[Candidate]:
    """The copies to evict so that at least ``bytes_needed`` of capacity come free, most superfluous first.

    Only copies whose perceived degree is above the desired one: without this copy it is still met. If these
    don't come to ``bytes_needed`` all of them are returned, and the caller decides whether that helps.
    """
    superfluous = [held for held in candidates if held.perceived > held.desired]
    superfluous.sort(key=lambda held: (held.desired - held.perceived, -held.charged_bytes, held.chunk_id))
    chosen: list[Candidate] = []
    bytes_found = 0
    for held in superfluous:
        if bytes_found >= bytes_needed:
            break
        chosen.append(held)
        bytes_found += held.charged_bytes
    return chosen
