"""What to send, and what never: each datagram of ours in a day with all ten families (SPEC.md 2.7, 12.1, 12.2)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from peer.config import DEFAULT_GROUPS, PeerConfig
from peer.tap import Options
from protocol.values import CHUNK_SIZE, MAX_DRAWN_PEER_ID
from tests.interop.story import OURS, Day, live
from tests.interop.street import street
from tests.support.foreign_peer import ForeignPeer
from tests.support.strangers import LETTERS, POLITE

_NUMBER = rb"(?:0|[1-9][0-9]*)"
_ID = rb"(?:[0-9a-f]{64}|[0-9A-F]{64})"
_PLACE = _NUMBER + rb" " + _ID + rb" (?:0|[1-9][0-9]{0,5})"

FORM: Final = re.compile(
    rb"(?s)(?:"
    rb"(?:STORED|GETCHUNK|REMOVED) 1\.0 " + _PLACE + rb" \r\n\r\n"
    rb"|DELETE 1\.0 " + _NUMBER + rb" " + _ID + rb" \r\n\r\n"
    rb"|PUTCHUNK 1\.0 " + _PLACE + rb" [1-9] \r\n\r\n.{0,64000}"
    rb"|CHUNK 1\.0 " + _PLACE + rb" \r\n\r\n.{0,64000}"
    rb")"
)
"""All that a 1.0 peer may send, byte by byte; written apart from the program's own grammar."""


def header(datagram: bytes) -> bytes:
    """All before the CRLF CRLF."""
    return datagram.partition(b"\r\n\r\n")[0]


def fields(datagram: bytes) -> list[bytes]:
    """Of the first line, split where there is exactly one space."""
    return header(datagram).split(b" ")


RULES: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "type first, in upper case": lambda said: (
        fields(said)[0] in {b"PUTCHUNK", b"STORED", b"GETCHUNK", b"CHUNK", b"DELETE", b"REMOVED"}
    ),
    "version 1.0": lambda said: fields(said)[1] == b"1.0",
    "a senderId within a signed 32-bit integer": lambda said: int(fields(said)[2]) < 2**31,
    "one space between two fields": lambda said: b"  " not in header(said) and b"\t" not in header(said),
    "exactly one space before the CRLF CRLF": lambda said: (
        header(said).endswith(b" ") and not header(said).endswith(b"  ")
    ),
    "one header line": lambda said: b"\r" not in header(said) and b"\n" not in header(said),
    "the whole form": lambda said: FORM.fullmatch(said) is not None,
}


@pytest.fixture(scope="module")
def day_and_strangers() -> tuple[Day, list[ForeignPeer]]:
    # The families alone kill some of each other; these are they, without that.
    with street(OURS, *(POLITE[letter] for letter in LETTERS)) as (group, strangers):
        return live(group, strangers), strangers


@pytest.fixture
def day(day_and_strangers: tuple[Day, list[ForeignPeer]]) -> Day:
    return day_and_strangers[0]


def test_the_day_had_all_six_messages_of_ours_in_it(day: Day) -> None:
    said = Counter(fields(datagram.payload)[0] for datagram in day.sent)
    assert set(said) == {b"PUTCHUNK", b"STORED", b"GETCHUNK", b"CHUNK", b"DELETE", b"REMOVED"}
    # Three for each of three files, and one more since somebody spoke of a dead one.
    assert said[b"DELETE"] > 9


@pytest.mark.parametrize("rule", RULES)
def test_every_datagram_of_ours_keeps_the_form(day: Day, rule: str) -> None:
    assert [datagram.payload[:120] for datagram in day.sent if not RULES[rule](datagram.payload)] == []


def test_each_goes_by_the_group_of_its_type(day: Day) -> None:
    where = {b"PUTCHUNK": DEFAULT_GROUPS.mdb, b"CHUNK": DEFAULT_GROUPS.mdr}
    for datagram in day.sent:
        assert datagram.group == where.get(fields(datagram.payload)[0], DEFAULT_GROUPS.mc)


def test_a_file_id_is_in_lower_case_unless_its_home_has_it_in_upper_case(day: Day) -> None:
    """SPEC.md 2.7, 12.13."""
    assert day.upper_case_ids
    said = {fields(datagram.payload)[3] for datagram in day.sent}
    assert {each for each in said if each != each.lower()} == day.upper_case_ids
    assert said.isdisjoint({each.lower() for each in day.upper_case_ids})


def test_a_body_is_no_longer_than_a_chunk(day: Day) -> None:
    for datagram in day.sent:
        assert len(datagram.payload.partition(b"\r\n\r\n")[2]) <= CHUNK_SIZE


@pytest.mark.parametrize("letter", LETTERS)
def test_no_datagram_of_ours_harms_it_or_is_lost_on_it(
    day_and_strangers: tuple[Day, list[ForeignPeer]], letter: str
) -> None:
    """SPEC.md 12.2: but that D doesn't read the ids of files whose homes spell them in upper case."""
    day, strangers = day_and_strangers
    [stranger] = [each for each in strangers if each.family.letter == letter]
    assert stranger.killed_by is None
    sent = {datagram.payload for datagram in day.sent}
    lost = {fields(datagram)[3] for datagram in stranger.dropped if datagram in sent}
    assert lost <= (day.upper_case_ids if letter == "D" else set())


def test_ids_are_drawn_and_taken_within_a_signed_32_bit_integer() -> None:
    """SPEC.md 1.2, 12.1."""
    assert MAX_DRAWN_PEER_ID == 2**31 - 1
    with pytest.raises(SystemExit):
        Options().parseOptions([f"--id={2**31}"])


def test_the_multicast_ttl_is_1_unless_it_is_set() -> None:
    """SPEC.md 2.14."""
    assert PeerConfig(store="/store").ttl == 1
