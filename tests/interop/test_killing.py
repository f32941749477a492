"""What kills them: the doubles die of it, as the real ones do, and ours takes it as one more drop (SPEC.md 12.2)."""

from __future__ import annotations

from typing import Final

import pytest

from tests.interop.street import ANSWERED, BODY, FIRST_STRANGER, ID, PATH, back_up, join, perceived, send
from tests.support.group import Group
from tests.support.strangers import FAMILIES, LETTERS

DEADLY: Final = {
    "an unknown type with only 3 fields": ([b"ONLINE 1.1 99 \r\n\r\n", b"NEWPEER 1.0 99 \r\n\r\n"], "EI"),
    "a GETCHUNK with a second header line": ([b"GETCHUNK 2.0 99 " + ID + b" 0 \r\n43409 \r\n\r\n"], "E"),
    "a GETCHUNK of version 1.1 without an address line": ([b"GETCHUNK 1.1 99 " + ID + b" 0 \r\n\r\n"], "H"),
    "a header without the one trailing space": ([b"STORED 1.0 99 " + ID + b" 0\r\n\r\n"], "H"),
    "two spaces": (
        [b"STORED 1.0 99 " + ID + b" 0  \r\n\r\n", b"STORED 1.0  99 " + ID + b" 0 \r\n\r\n"],
        "HI",
    ),
}
"""What is sent, and who goes deaf of it."""

LOST: Final = {
    "two spaces": (b"PUTCHUNK 1.0 99 " + ID + b" 0 1  \r\n\r\n" + BODY, "AF"),
    "no space at the end": (b"PUTCHUNK 1.0 99 " + ID + b" 0 1\r\n\r\n" + BODY, "D"),
    "upper case": (b"PUTCHUNK 1.0 99 " + ID.upper() + b" 0 1 \r\n\r\n" + BODY, "D"),
    "a second header line on PUTCHUNK": (
        b"PUTCHUNK 1.0 99 " + ID + b" 0 1 \r\nanother line\r\n\r\n" + BODY,
        "D",
    ),
}
"""What is sent, and who drops it."""


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("what", DEADLY)
def test_whom_it_kills_and_that_it_doesn_t_kill_ours(what: str, letter: str) -> None:
    datagrams, kills = DEADLY[what]
    for datagram in datagrams:
        with Group(1, 2) as group:
            stranger = join(group, letter)
            send(group, datagram)
            assert stranger.killed_by == (datagram if letter in kills else None)
            back_up(group, BODY, 1)
            group.pass_time(5.0)
            # The deaf one isn't counted on, and keeps nobody from anything.
            assert perceived(group[1], PATH) == [{2} if letter in kills else {2, FIRST_STRANGER}]
            assert group[1].restore(PATH) == BODY
            stranger.stop()


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("what", LOST)
def test_who_drops_it_and_that_ours_takes_it(what: str, letter: str) -> None:
    """SPEC.md 2.2, 2.20, 12.1, 12.3."""
    datagram, drops = LOST[what]
    with Group(1) as group:
        stranger = join(group, letter)
        send(group, datagram)
        group.pass_time(ANSWERED)
        assert (datagram in stranger.dropped) is (letter in drops)
        [held] = group[1].held()
        assert held.length == len(BODY)
        stranger.stop()


def test_c_takes_a_second_header_line_for_the_beginning_of_the_body() -> None:
    """SPEC.md 2.20, 12.2: ours doesn't."""
    datagram, _drops = LOST["a second header line on PUTCHUNK"]
    with Group(1) as group:
        stranger = join(group, FAMILIES["C"])
        send(group, datagram)
        [copy] = stranger.held.values()
        assert copy.body == b"another line\r\n" + BODY
        group.pass_time(ANSWERED)
        assert group[1].held()[0].length == len(BODY)
        stranger.stop()
