"""Ids, versions and the digest of a chunk."""

from __future__ import annotations

import pytest

from protocol.digest import Digest
from protocol.values import MAX_DRAWN_PEER_ID, MAX_PEER_ID, ChunkId, Edition, FileId, Version

HEX = "1a2b3c4d" * 8


class TestFileId:
    def test_either_case_of_its_digits_gives_the_same_id(self) -> None:
        """SPEC.md 1.5."""
        assert FileId.from_hex(HEX.upper()) == FileId.from_hex(HEX)
        assert len({FileId.from_hex(HEX.upper()), FileId.from_hex(HEX)}) == 1

    def test_it_is_written_in_lower_case(self) -> None:
        """SPEC.md 2.7."""
        assert str(FileId.from_hex(HEX.upper())) == HEX == FileId.from_hex(HEX.upper()).hex()

    @pytest.mark.parametrize("length", [0, 31, 33, 64])
    def test_it_has_32_bytes(self, length: int) -> None:
        """SPEC.md 1.5."""
        with pytest.raises(ValueError, match=f"this one {length}"):
            FileId(bytes(length))

    @pytest.mark.parametrize(
        "text", ["", HEX[:-1], HEX + "0", HEX[:-1] + "g", HEX[:-2] + " 1", "1a 2b " * 16]
    )
    def test_it_is_read_from_64_digits_and_nothing_else(self, text: str) -> None:
        """SPEC.md 2.5."""
        with pytest.raises(ValueError, match=r"\S"):
            FileId.from_hex(text)

    def test_it_is_the_same_key_as_its_bytes(self) -> None:
        assert {FileId.from_hex(HEX): 1}[FileId(bytes.fromhex(HEX))] == 1
        assert FileId.from_hex(HEX) == bytes.fromhex(HEX)

    def test_it_shows_what_it_is_made_from(self) -> None:
        assert repr(FileId.from_hex(HEX)) == f"FileId.from_hex('{HEX}')"


def test_a_chunk_id_is_short_in_the_log() -> None:
    assert str(ChunkId(FileId.from_hex(HEX), 17)) == "1a2b3c4d…/17"


def test_chunk_ids_sort_by_file_and_then_by_number() -> None:
    low, high = FileId(bytes(32)), FileId(bytes([1]) * 32)
    assert sorted([ChunkId(high, 0), ChunkId(low, 10), ChunkId(low, 9)]) == [
        ChunkId(low, 9),
        ChunkId(low, 10),
        ChunkId(high, 0),
    ]


def test_a_version_is_written_with_a_point() -> None:
    """SPEC.md 2.5."""
    assert str(Version(1, 0)) == "1.0"


def test_ids_that_we_draw_fit_a_signed_32_bit_integer() -> None:
    """SPEC.md 1.2 and 12.1; those of others may have 64 bits (2.5)."""
    assert MAX_DRAWN_PEER_ID == 2**31 - 1
    assert MAX_PEER_ID == 2**64 - 1


def test_editions_are_called_as_in_the_option() -> None:
    """SPEC.md 7.1."""
    assert [Edition("type-first"), Edition("version-first")] == [Edition.TYPE_FIRST, Edition.VERSION_FIRST]


class TestDigest:
    def test_it_tells_its_body_from_any_other(self) -> None:
        """SPEC.md 9.5."""
        digest = Digest.of(b"chunk")
        assert digest.matches(b"chunk")
        assert not digest.matches(b"chunk\0")

    def test_its_text_names_the_algorithm(self) -> None:
        """SPEC.md 9.5. The value is that of BLAKE3 as its authors' test vectors give it, here for no bytes."""
        text = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        assert str(Digest.of(b"")) == text
        assert Digest.from_text(text) == Digest.of(b"")

    def test_one_of_version_1_tells_its_body_too(self) -> None:
        """SPEC.md 9.5. The value is that of SHA-256 as FIPS 180-4 defines it, here for no bytes."""
        digest = Digest.from_text("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        assert digest.matches(b"")
        assert not digest.matches(b"\0")

    @pytest.mark.parametrize(
        "text", ["", "blake3", "blake3:", "blake3:00", "md5:" + "00" * 32, "sha256:" + "g" * 64]
    )
    def test_any_other_text_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"\S"):
            Digest.from_text(text)
