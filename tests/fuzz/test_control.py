"""The control protocol's server against whatever comes, and that the target sees a server that is wrong."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.protocols.amp import Command, parseString

from peer.control import commands, responders, server
from peer.control.interfaces import ErrorCode
from tests.fuzz import control
from tests.support.group import Group

pieces = st.binary(max_size=40) | st.sampled_from([seed[2:] for seed in control.seeds()])
texts = st.text(max_size=20) | st.sampled_from(
    ["/", "/photo", "/a\0b", "/\udcff", "/" + "x" * 5_000, "", "/..", "//"]
)
numbers = st.integers(0, 10**18) | st.sampled_from([0, 1, 2, 9, 10, 64, 10**9, 10**15])
cursors = texts | st.sampled_from(["f:1:0", "c:" + "00" * 32 + ":0", "9", "-1", "c:"])


@st.composite
def asked(draw: st.DrawFn) -> tuple[type[Command], dict[str, Any]]:
    """A command with any arguments that a client can send."""
    command, arguments = draw(st.sampled_from(control.ASKED))
    kinds = {"path": texts, "cursor": cursors, "enhanced": st.just(False)}
    return command, {name: draw(kinds.get(name, numbers)) for name in arguments}


def test_every_seed_passes() -> None:
    """SPEC.md 10.2, 10.3, each command cut off at every byte too."""
    for seed in control.seeds():
        control.one_input(seed)
    for length in range(2, 400):
        control.one_input((b"\3\0" + control.seeds()[-1][2:])[:length])
    gc.collect()


@given(how=st.integers(0, 3), piece=st.integers(0, 255), said=st.lists(pieces, max_size=5))
@settings(max_examples=400, deadline=None)
def test_a_server_survives_whatever_it_is_sent(how: int, piece: int, said: list[bytes]) -> None:
    """SPEC.md 10.2, 10.3."""
    control.one_input(bytes([how, piece]) + b"".join(said))


@given(said=st.lists(asked(), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_whole_peer_answers_whatever_it_is_asked(said: list[tuple[type[Command], dict[str, Any]]]) -> None:
    """SPEC.md 10.3, 7.21: with a result or one of the declared errors, and never a mistake of its own."""
    with Group(20) as group:
        peer = group[20].peer
        assert peer is not None
        conversation = control.Conversation(peer.operations, secret=None, clock=group.clock)
        conversation.say(control.hello())
        for number, (command, arguments) in enumerate(said):
            conversation.say(control.box(command, arguments, ask=b"%d" % number))
        group.pass_time(100.0)
        boxes = parseString(bytes(conversation.wire.said))
        answered = {box.get(b"_answer", box.get(b"_error")) for box in boxes} - {None}
        assert {b"%d" % number for number in range(len(said))} <= answered
        codes = {box[b"_error_code"] for box in boxes if b"_error_code" in box}
        assert codes <= {code.value.encode() for code in ErrorCode if code is not ErrorCode.INTERNAL}
        conversation.end()


def test_a_server_that_lets_a_stranger_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "Greeting", lambda _connection, *, then, **_others: then)
    with pytest.raises(AssertionError, match="a stranger"):
        control.one_input(b"\0\0" + control.box(commands.Summary, {}))


def test_a_path_that_is_not_looked_at_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responders, "_check_path", lambda path: None)
    with pytest.raises(AssertionError):
        control.one_input(b"\3\0" + control.box(commands.Delete, {"path": "a", "enhanced": False}))
