"""How a file is cut into chunks of 64,000 bytes and a last one that is always shorter (SPEC.md 1.6, 1.7)."""

from __future__ import annotations

from typing import Final

from protocol.values import CHUNK_SIZE, MAX_CHUNK_NO, MAX_CHUNKS

MAX_FILE_SIZE: Final = MAX_CHUNKS * CHUNK_SIZE - 1
"""Bytes of the largest file that can be backed up: its last chunk has to be shorter than the others."""


class FileTooLarge(ValueError):
    """The file would need more chunks than a chunk number of six digits can count."""


def chunk_count(size: int) -> int:
    """How many chunks a file of ``size`` bytes has, an empty last one included.

    Raises FileTooLarge for more than 1,000,000 chunks.
    """
    if size < 0:
        raise ValueError(f"a file has no {size} bytes")
    if size > MAX_FILE_SIZE:
        raise FileTooLarge(f"a file of {size} bytes is too large: {MAX_FILE_SIZE} bytes are the most")
    return size // CHUNK_SIZE + 1


def chunk_offset(chunk_no: int) -> int:
    """Where chunk ``chunk_no`` starts in its file, in bytes."""
    if not 0 <= chunk_no <= MAX_CHUNK_NO:
        raise ValueError(f"no chunk has the number {chunk_no}")
    return chunk_no * CHUNK_SIZE


def chunk_length(size: int, chunk_no: int) -> int:
    """How many bytes chunk ``chunk_no`` of a file of ``size`` bytes has; ValueError if it has none such."""
    if not 0 <= chunk_no < chunk_count(size):
        raise ValueError(f"a file of {size} bytes has no chunk {chunk_no}")
    return min(CHUNK_SIZE, size - chunk_offset(chunk_no))
