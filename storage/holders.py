"""Sets of holders as bytes, for a column of a database: 8 bytes an id, big-endian, rising."""

from __future__ import annotations

import struct
from collections.abc import Set as AbstractSet

from protocol.limits import MAX_HOLDERS_PER_CHUNK
from protocol.values import PeerId


def pack_holders(holders: AbstractSet[PeerId]) -> bytes:
    """The bytes of a set; equal sets give equal bytes."""
    return struct.pack(f">{len(holders)}Q", *sorted(holders))


def unpack_holders(packed: bytes) -> frozenset[PeerId]:
    """The set of the bytes. ValueError: no set packs to them."""
    if len(packed) % 8:
        raise ValueError(f"{len(packed)} bytes are no list of ids of 8 bytes each")
    return frozenset(struct.unpack(f">{len(packed) // 8}Q", packed))


def with_note(holders: frozenset[PeerId], peer_id: PeerId, *, holds: bool) -> frozenset[PeerId]:
    """The set with the peer in it or not. It is the same object if that is no news.

    Past MAX_HOLDERS_PER_CHUNK nobody is added: no degree needs more, and senders can be invented.
    """
    if (peer_id in holders) == holds or (holds and len(holders) >= MAX_HOLDERS_PER_CHUNK):
        return holders
    return holders | {peer_id} if holds else holders - {peer_id}


def with_all(holders: frozenset[PeerId], peers: AbstractSet[PeerId]) -> frozenset[PeerId]:
    """The set with the peers in it, up to the same bound."""
    room = max(0, MAX_HOLDERS_PER_CHUNK - len(holders))
    return holders.union(sorted(peers - holders)[:room])
