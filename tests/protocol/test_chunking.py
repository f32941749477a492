"""How a file is cut into chunks (SPEC.md 1.6 and 1.7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.chunking import MAX_FILE_SIZE, FileTooLarge, chunk_count, chunk_length, chunk_offset
from protocol.values import CHUNK_SIZE


@pytest.mark.parametrize(
    ("size", "lengths"),
    [
        (0, [0]),
        (1, [1]),
        (63_999, [63_999]),
        (64_000, [64_000, 0]),
        (64_001, [64_000, 1]),
        (128_000, [64_000, 64_000, 0]),
        (300_001, [64_000] * 4 + [44_001]),
    ],
)
def test_the_last_chunk_is_always_shorter(size: int, lengths: list[int]) -> None:
    """SPEC.md 1.6: where the size is a multiple of 64,000, also 0, the last chunk is an empty one."""
    assert [chunk_length(size, number) for number in range(chunk_count(size))] == lengths


@given(st.integers(0, 50 * CHUNK_SIZE))
def test_the_chunks_cover_the_file_without_a_gap(size: int) -> None:
    """SPEC.md 1.6."""
    end = 0
    for number in range(chunk_count(size)):
        assert chunk_offset(number) == end
        end += chunk_length(size, number)
    assert end == size


def test_a_file_has_at_most_a_million_chunks() -> None:
    """SPEC.md 1.7."""
    assert MAX_FILE_SIZE == 63_999_999_999
    assert chunk_count(MAX_FILE_SIZE) == 1_000_000
    assert chunk_length(MAX_FILE_SIZE, 999_999) == CHUNK_SIZE - 1
    with pytest.raises(FileTooLarge, match="63999999999 bytes are the most"):
        chunk_count(MAX_FILE_SIZE + 1)


def test_a_chunk_that_is_not_there_has_no_length_and_no_place() -> None:
    for size, number in ((0, 1), (64_000, 2), (64_000, -1)):
        with pytest.raises(ValueError, match="no chunk"):
            chunk_length(size, number)
    for number in (-1, 1_000_000):
        with pytest.raises(ValueError, match="no chunk"):
            chunk_offset(number)
    with pytest.raises(ValueError, match="no -1 bytes"):
        chunk_count(-1)
