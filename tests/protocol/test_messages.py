"""A message that breaks SPEC.md's rules can't be constructed."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from protocol.errors import DropReason, ProtocolError
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import MAX_PEER_ID, VERSION_1_0, ChunkId, FileId, PeerId, Version

FILE_ID = FileId(bytes(32))
ME = PeerId(7)


def refused(construct: Callable[[], object]) -> DropReason:
    """Why it can't be constructed."""
    with pytest.raises(ProtocolError) as error:
        construct()
    return error.value.reason


@pytest.mark.parametrize("message_class", [Stored, GetChunk, Removed])
class TestTheThreeAboutAChunk:
    def test_the_ends_of_the_ranges_are_within(
        self, message_class: type[Stored | GetChunk | Removed]
    ) -> None:
        """SPEC.md 2.5."""
        assert message_class(VERSION_1_0, PeerId(0), FILE_ID, 0).chunk_no == 0
        assert message_class(Version(9, 9), PeerId(MAX_PEER_ID), FILE_ID, 999_999).chunk_no == 999_999

    def test_what_is_outside_is_refused(self, message_class: type[Stored | GetChunk | Removed]) -> None:
        """SPEC.md 2.5."""
        assert refused(lambda: message_class(VERSION_1_0, ME, FILE_ID, 1_000_000)) is DropReason.BAD_CHUNK_NO
        assert refused(lambda: message_class(VERSION_1_0, ME, FILE_ID, -1)) is DropReason.BAD_CHUNK_NO
        assert refused(lambda: message_class(VERSION_1_0, PeerId(-1), FILE_ID, 0)) is DropReason.BAD_SENDER_ID
        too_high = PeerId(MAX_PEER_ID + 1)
        assert refused(lambda: message_class(VERSION_1_0, too_high, FILE_ID, 0)) is DropReason.BAD_SENDER_ID
        assert refused(lambda: message_class(Version(10, 0), ME, FILE_ID, 0)) is DropReason.BAD_VERSION
        assert refused(lambda: message_class(Version(1, -1), ME, FILE_ID, 0)) is DropReason.BAD_VERSION

    def test_it_names_its_chunk(self, message_class: type[Stored | GetChunk | Removed]) -> None:
        assert message_class(VERSION_1_0, ME, FILE_ID, 3).chunk_id == ChunkId(FILE_ID, 3)


def test_messages_of_different_types_are_never_equal() -> None:
    fields = (VERSION_1_0, ME, FILE_ID, 3)
    alike: list[Message] = [Stored(*fields), Removed(*fields), GetChunk(*fields), Chunk(*fields, b"")]
    assert [alike.index(message) for message in alike] == [0, 1, 2, 3]
    assert Stored(*fields) == Stored(*fields)


def test_bytes_of_any_length_are_no_file_id() -> None:
    """SPEC.md 1.5. They would be written with too few digits or too many."""
    short: FileId = b"short"  # type: ignore[assignment]
    assert refused(lambda: Delete(VERSION_1_0, ME, short)) is DropReason.BAD_FILE_ID


@pytest.mark.parametrize("degree", [0, 10, -1])
def test_a_degree_has_one_digit_and_is_not_zero(degree: int) -> None:
    """SPEC.md 1.8."""
    assert refused(lambda: PutChunk(VERSION_1_0, ME, FILE_ID, 0, degree, b"")) is DropReason.BAD_DEGREE


def test_a_body_has_at_most_64000_bytes() -> None:
    """SPEC.md 1.6 and 2.16."""
    full, too_long = bytes(64_000), bytes(64_001)
    assert PutChunk(VERSION_1_0, ME, FILE_ID, 0, 1, full).body == full
    assert Chunk(VERSION_1_0, ME, FILE_ID, 0, full).body == full
    assert refused(lambda: PutChunk(VERSION_1_0, ME, FILE_ID, 0, 1, too_long)) is DropReason.BODY_TOO_LONG
    assert refused(lambda: Chunk(VERSION_1_0, ME, FILE_ID, 0, too_long)) is DropReason.BODY_TOO_LONG


def test_an_empty_body_is_a_chunk_in_1_0_alone() -> None:
    """SPEC.md 2.17."""
    later = Version(2, 0)
    assert PutChunk(VERSION_1_0, ME, FILE_ID, 0, 1, b"").body == b""
    assert Chunk(Version(1, 0), ME, FILE_ID, 0, b"").body == b""
    assert refused(lambda: PutChunk(later, ME, FILE_ID, 0, 1, b"")) is DropReason.BODY_ELSEWHERE
    assert refused(lambda: Chunk(later, ME, FILE_ID, 0, b"")) is DropReason.BODY_ELSEWHERE


def test_a_message_never_changes() -> None:
    message = Stored(VERSION_1_0, ME, FILE_ID, 3)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        message.chunk_no = 4  # type: ignore[misc]


def test_a_log_shows_the_length_of_a_body_and_not_the_body() -> None:
    assert "body=<64000 bytes>" in repr(Chunk(VERSION_1_0, ME, FILE_ID, 0, bytes(64_000)))


def test_bodies_and_chunks_are_named_alike_in_both_messages_that_carry_them() -> None:
    put, returned = PutChunk(VERSION_1_0, ME, FILE_ID, 5, 1, b"x"), Chunk(VERSION_1_0, ME, FILE_ID, 5, b"x")
    assert put.chunk_id == returned.chunk_id == ChunkId(FILE_ID, 5)
