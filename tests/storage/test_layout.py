"""The names on the disk."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.values import MAX_CHUNK_NO, ChunkId, FileId, PeerId
from storage.holders import pack_holders, unpack_holders, with_note
from storage.index_rows import ids_in_folder
from storage.layout import BODY_FOLDERS, body_folder, body_name, body_owner
from tests.storage.examples import chunk_id, peers

CHUNK_IDS = st.builds(ChunkId, st.binary(min_size=32, max_size=32).map(FileId), st.integers(0, MAX_CHUNK_NO))
HOLDERS = st.frozensets(st.integers(0, 2**64 - 1).map(PeerId), max_size=9)


@given(CHUNK_IDS)
def test_the_name_of_a_body_tells_whose_it_is(which: ChunkId) -> None:
    assert body_owner(body_name(which)) == which
    assert body_folder(which.file_id) in BODY_FOLDERS


@given(CHUNK_IDS)
def test_the_chunks_of_a_folder_are_one_stretch_of_the_index(which: ChunkId) -> None:
    lowest, highest = ids_in_folder(body_folder(which.file_id))
    assert lowest <= which.file_id <= highest


def test_the_folders_are_one_for_each_first_byte() -> None:
    assert len(BODY_FOLDERS) == 256
    assert {ids_in_folder(folder)[0][0] for folder in BODY_FOLDERS} == set(range(256))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "notes.txt",
        body_name(chunk_id("a")) + "~",
        body_name(chunk_id("a", 7)).replace("-7", "-07"),
        body_name(chunk_id("a")).upper(),
        body_name(chunk_id("a"))[1:],
        chunk_id("a").file_id.hex(),
        chunk_id("a").file_id.hex() + "-",
    ],
)
def test_any_other_name_is_nobodys(name: str) -> None:
    """Only what we would have named so ourselves is ever removed as ours."""
    assert body_owner(name) is None


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
