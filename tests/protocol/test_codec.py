"""Datagrams to messages and back (SPEC.md section 2)."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.codec import parse, serialize, serialize_parts
from protocol.errors import DropReason, ProtocolError
from protocol.limits import MAX_DATAGRAM_BYTES, MAX_QUOTED_BYTES
from protocol.messages import Delete, Message, PutChunk
from protocol.values import VERSION_1_0, Edition, FileId, PeerId
from tests.protocol.strategies import messages, mutated_datagrams, near_datagrams

FILE_ID = FileId(bytes(range(32)))
EXACT = re.compile(rb"[A-Z]+ [0-9]\.[0-9] (0|[1-9][0-9]*) [0-9a-f]{64}( (0|[1-9][0-9]*)( [1-9])?)? \r\n\r\n")


def a_value_or_a_protocol_error(datagram: bytes) -> Message | ProtocolError:
    """What `parse` makes of it; anything but the two ends the test."""
    try:
        return parse(datagram)
    except ProtocolError as error:
        return error


@given(messages(), st.sampled_from(Edition))
def test_what_is_sent_is_read_as_what_was_meant(message: Message, edition: Edition) -> None:
    """SPEC.md 2.3: both editions are parsed at all times."""
    assert parse(serialize(message, edition)) == message


@given(messages())
def test_what_is_sent_has_the_one_form_that_every_peer_understands(message: Message) -> None:
    """SPEC.md 2.7: single spaces, one before the end, lower case, no leading zeros, one line."""
    body = getattr(message, "body", b"")
    datagram = serialize(message)
    assert datagram.endswith(body)
    assert EXACT.fullmatch(datagram.removesuffix(body))


@given(messages())
def test_the_editions_differ_in_the_order_of_two_fields_only(message: Message) -> None:
    """SPEC.md 2.3."""
    first, second, rest = serialize(message, Edition.TYPE_FIRST).split(b" ", 2)
    assert serialize(message, Edition.VERSION_FIRST) == b" ".join([second, first, rest])


@given(st.binary(max_size=200) | mutated_datagrams() | near_datagrams())
@example(b"")
@example(b"\r\n\r\n")
@example(b" \r\n\r\n")
@example(b"\r\n" * 30_000)
@example(b" " * MAX_DATAGRAM_BYTES)
@example(b"PUTCHUNK 1.0 " + b"9" * 60_000 + b"\r\n\r\n")
def test_any_bytes_give_a_message_or_a_protocol_error(datagram: bytes) -> None:
    """SPEC.md 2.15. A message so read can be sent again, and its error can be logged whatever was in it."""
    outcome = a_value_or_a_protocol_error(datagram)
    if isinstance(outcome, ProtocolError):
        assert isinstance(outcome.reason, DropReason)
        assert str(outcome).isprintable()
        assert len(str(outcome)) <= 100 + 4 * MAX_QUOTED_BYTES
    else:
        assert parse(serialize(outcome)) == outcome


@given(messages(), st.binary(max_size=100))
def test_a_body_behind_a_type_that_has_none_changes_nothing(message: Message, body: bytes) -> None:
    """SPEC.md 2.4: `ignored`."""
    if not hasattr(message, "body"):
        assert parse(serialize(message) + body) == message


@given(
    messages(),
    st.lists(st.text(st.characters(max_codepoint=127, exclude_characters="\r"), min_size=1), max_size=4),
)
def test_further_header_lines_are_passed_over(message: Message, lines: list[str]) -> None:
    """SPEC.md 2.20."""
    header, end, body = serialize(message).partition(b"\r\n\r\n")
    further = b"".join(b"\r\n" + line.encode("ascii") for line in lines)
    assert parse(header + further + end + body) == message


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("other", [b"\t", b"\x0b", b"\x0c", b"\xa0", b"\0", b"\r", b"\n", b","])
def test_nothing_but_spaces_separates_fields(position: int, other: bytes) -> None:
    """SPEC.md 2.2, at each of the six gaps by itself."""
    header, end, body = serialize(PutChunk(VERSION_1_0, PeerId(7), FILE_ID, 0, 1, b"x")).partition(
        b"\r\n\r\n"
    )
    fields = header.split(b" ")
    datagram = b" ".join(fields[: position + 1]) + other + b" ".join(fields[position + 1 :]) + end + body
    with pytest.raises(ProtocolError):
        parse(datagram)


@pytest.mark.parametrize(
    ("start", "filling", "end"),
    [
        (b"PUTCHUNK", b" ", b"x\r\n\r\n"),
        (b"STORED 1.0", b" ", b"\r\n\r\n"),
        (b"STORED 1.0 ", b"0", b"x\r\n\r\n"),
        (b"STORED 1.0 7 " + b"a" * 64, b" ", b"\t\r\n\r\n"),
        (b"DELETE 1.0 7 " + b"a" * 64 + b" \r\n", b"a\r\n", b"\r\r\n\r\n"),
        (b"", b"a ", b"\r\n\r\n"),
        (b"", b"A", b"\r\n\r\n"),
    ],
)
def test_no_datagram_takes_long_to_refuse(start: bytes, filling: bytes, end: bytes) -> None:
    """SPEC.md 11.1. A pattern that tries again from every byte would take minutes here, and time out."""
    room = MAX_DATAGRAM_BYTES - len(start) - len(end)
    datagram = start + filling * (room // len(filling)) + end
    for _ in range(200):
        with pytest.raises(ProtocolError):
            parse(datagram)


def test_a_full_body_is_not_copied() -> None:
    body = bytes(64_000)
    message = PutChunk(VERSION_1_0, PeerId(7), FILE_ID, 0, 1, body)
    datagram = serialize(message)
    # What is remembered of its ids may make a table grow; that is no copy of the body.
    parse(datagram)
    tracemalloc.start()
    try:
        parsed, parts = parse(datagram), serialize_parts(message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parsed == message
    assert b"".join(parts) == datagram
    assert peak < 0.1 * len(body)


def test_a_small_body_keeps_no_large_datagram_in_memory() -> None:
    """SPEC.md 11.1: what waits to be stored is counted by its body, and other lines may be long."""
    header = serialize(PutChunk(VERSION_1_0, PeerId(7), FILE_ID, 0, 1, b""))[:-2]
    datagram = header + b"x" * 64_000 + b"\r\n\r\n" + b"body"
    tracemalloc.start()
    try:
        kept = [parse(bytes(bytearray(datagram))) for _ in range(3)]
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [message.body for message in kept if isinstance(message, PutChunk)] == [b"body"] * 3
    assert current < 64_000


def test_the_edition_sent_is_type_first_unless_told_otherwise() -> None:
    """SPEC.md 2.3."""
    assert serialize(Delete(VERSION_1_0, PeerId(7), FILE_ID)).startswith(b"DELETE 1.0 7 ")
