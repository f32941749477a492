"""Small values as bytes of a database."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from protocol.values import PeerId
from storage.holders import pack_holders, unpack_holders, with_note
from tests.storage.examples import peers

HOLDERS = st.frozensets(st.integers(0, 2**64 - 1).map(PeerId), max_size=9)


class TestHolders:
    """SPEC.md 9.13."""

    @given(HOLDERS)
    def test_a_set_is_itself_again(self, holders: frozenset[PeerId]) -> None:
        assert unpack_holders(pack_holders(holders)) == holders

    def test_ids_stand_in_rising_order_with_8_bytes_each(self) -> None:
        assert pack_holders(peers(258, 1)) == bytes(7) + b"\1" + bytes(6) + b"\1\2"
        assert pack_holders(peers()) == b""

    @given(st.binary(max_size=40))
    def test_other_bytes_are_a_set_or_a_value_error(self, packed: bytes) -> None:
        try:
            holders = unpack_holders(packed)
        except ValueError:
            assert len(packed) % 8
        else:
            assert holders == set(struct.unpack(f">{len(packed) // 8}Q", packed))

    def test_no_news_gives_the_same_set(self) -> None:
        known = peers(1, 2)
        assert with_note(known, PeerId(1), holds=True) is known
        assert with_note(known, PeerId(3), holds=False) is known
        assert with_note(known, PeerId(3), holds=True) == peers(1, 2, 3)
        assert with_note(known, PeerId(1), holds=False) == peers(2)
