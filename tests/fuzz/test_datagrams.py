"""The fuzz target itself, without the fuzzer: its seeds pass, and it sees a parser that is wrong."""

from __future__ import annotations

import pytest

from protocol.codec import parse, serialize
from protocol.messages import Delete, Message
from protocol.values import VERSION_1_0, FileId, PeerId
from tests.fuzz import datagrams


def test_every_seed_passes() -> None:
    """SPEC.md 2.15, on each wire vector cut off at every byte of its header too."""
    for seed in datagrams.seeds():
        header_length = seed.find(b"\r\n\r\n") + 4
        datagrams.one_input(seed)
        for length in range(min(header_length, 200)):
            datagrams.one_input(seed[:length])


def test_a_parser_that_raises_anything_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse_badly(datagram: bytes) -> Message:
        raise IndexError(datagram)

    monkeypatch.setattr(datagrams, "parse", parse_badly)
    with pytest.raises(IndexError):
        datagrams.one_input(b"x")


def test_a_message_that_comes_back_changed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Delete(VERSION_1_0, PeerId(1), FileId(bytes(32)))
    outcomes: list[Message] = [first, Delete(VERSION_1_0, PeerId(2), FileId(bytes(32)))]
    monkeypatch.setattr(datagrams, "parse", lambda _datagram: outcomes.pop(0))
    with pytest.raises(AssertionError, match="otherwise"):
        datagrams.one_input(b"x")
    assert parse(serialize(first)) == first
