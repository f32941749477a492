"""Messages, and datagrams that nearly are, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from protocol.codec import serialize
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import (
    CHUNK_SIZE,
    MAX_CHUNK_NO,
    MAX_DEGREE,
    MAX_PEER_ID,
    MIN_DEGREE,
    VERSION_1_0,
    Edition,
    FileId,
    PeerId,
    Version,
)

DIGITS = st.integers(0, 9)
VERSIONS = st.just(VERSION_1_0) | st.builds(Version, DIGITS, DIGITS)
PEER_IDS = st.builds(PeerId, st.integers(0, MAX_PEER_ID))
FILE_IDS = st.builds(FileId, st.binary(min_size=32, max_size=32))
CHUNK_NOS = st.integers(0, MAX_CHUNK_NO)
DEGREES = st.integers(MIN_DEGREE, MAX_DEGREE)

# Long bodies of one byte, since hypothesis draws long random ones too slowly to be of use.
BODIES = st.binary(max_size=300) | st.builds(
    lambda byte, length: byte * length, st.binary(min_size=1, max_size=1), st.integers(1, CHUNK_SIZE)
)


@st.composite
def versions_and_bodies(draw: st.DrawFn) -> tuple[Version, bytes]:
    """A version and a body that it may have: an empty one is for 1.0 alone."""
    version = draw(VERSIONS)
    return version, draw(BODIES.filter(bool) if version != VERSION_1_0 else BODIES)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Any message that can be constructed."""
    sender_id, file_id, chunk_no = draw(PEER_IDS), draw(FILE_IDS), draw(CHUNK_NOS)
    carries = draw(st.sampled_from(["a chunk to store", "a chunk", "a file id", "a chunk id"]))
    if carries == "a chunk to store":
        version, body = draw(versions_and_bodies())
        return PutChunk(version, sender_id, file_id, chunk_no, draw(DEGREES), body)
    if carries == "a chunk":
        version, body = draw(versions_and_bodies())
        return Chunk(version, sender_id, file_id, chunk_no, body)
    if carries == "a file id":
        return Delete(draw(VERSIONS), sender_id, file_id)
    about_chunk: list[type[Stored | GetChunk | Removed]] = [Stored, GetChunk, Removed]
    return draw(st.sampled_from(about_chunk))(draw(VERSIONS), sender_id, file_id, chunk_no)


@st.composite
def mutated_datagrams(draw: st.DrawFn) -> bytes:
    """A valid datagram with a few bytes changed, put in or taken out, mostly in its header."""
    datagram = bytearray(serialize(draw(messages()), draw(st.sampled_from(Edition))))
    header_length = datagram.index(b"\r\n\r\n") + 4
    interesting = st.sampled_from(
        [b" ", b"\t", b"\r\n", b"\r", b"\n", b"0", b"9", b"-", b".", b"\0", b"\xff", b"G"]
    )
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, header_length))
        width = draw(st.integers(0, 3))
        datagram[at : at + width] = draw(interesting | st.binary(max_size=3))
    return bytes(datagram)


@st.composite
def near_datagrams(draw: st.DrawFn) -> bytes:
    """Fields that are often right, in numbers and with separators that are often right."""
    field = st.sampled_from(
        [
            b"PUTCHUNK",
            b"STORED",
            b"CHUNK",
            b"DELETE",
            b"ONLINE",
            b"1.0",
            b"2.0",
            b"1",
            b"7",
            b"999999",
            b"1000000",
            b"ab" * 32,
            b"AB" * 32,
            b"null",
            b"-1",
            b"18446744073709551616",
        ]
    )
    fields = draw(st.lists(field, max_size=8))
    separator = draw(st.sampled_from([b" ", b"  ", b"\t", b" \r\n"]))
    end = draw(
        st.sampled_from([b"\r\n\r\n", b" \r\n\r\n", b"   \r\n\r\n", b" \r\nmore\r\n\r\n", b"\n\n", b"\r\n"])
    )
    return separator.join(fields) + end + draw(BODIES)
