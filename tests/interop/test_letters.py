"""The table of families: each as home with ours as holders, each as holders of ours, and its enhanced version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from peer.config import DEFAULT_GROUPS
from protocol.errors import DropReason
from protocol.messages import Chunk
from tests.interop.street import FIVE_TRIES, SIZES, content_of, dropped, perceived, received, send, street
from tests.support.group import Group
from tests.support.strangers import LETTERS

PATH = "/home/photo"

RESTORES_ITS_OWN = {(letter, size): (letter, size) != ("G", 128_000) for letter in LETTERS for size in SIZES}

ID = b"ab" * 32


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("letter", LETTERS)
def test_its_files_come_back_from_ours(letter: str, size: int) -> None:
    """G asks for an empty chunk that it never gave; all others get everything back."""
    with street(2, letter) as (group, [home]):
        content = content_of(size)
        home.backup("photo", content, 2)
        group.pass_time(2.0)
        assert set(map(frozenset, home.answered.values())) == {frozenset({1, 2})}
        home.restore("photo")
        group.pass_time(FIVE_TRIES)
        assert (home.restored("photo") == content) is RESTORES_ITS_OWN[letter, size]
        assert len(group.messages(Chunk)) <= 2 * len(home.answered)
        home.delete("photo")
        group.pass_time(1.0)
        assert group[1].held() == group[2].held() == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("letter", LETTERS)
def test_our_files_come_back_from_it(letter: str, size: int) -> None:
    with street(1, letter, letter) as (group, holders):
        content = content_of(size)
        group[1].write(PATH, content)
        assert group[1].backup(PATH, 2).below_degree == 0
        assert all(known == {11, 12} for known in perceived(group[1], PATH))
        assert group[1].restore(PATH) == content
        group[1].delete(PATH)
        group.pass_time(5.0)
        assert [holder.held for holder in holders] == [{}, {}]


@pytest.mark.parametrize("letter", LETTERS)
def test_ours_gives_its_copies_up_for_those_of_who_says_again_that_he_has_them(letter: str) -> None:
    """SPEC.md 6.10 to 6.13: C, F, G and H say STORED once, and never again; then ours keeps what may be the last."""
    with street(2, letter) as (group, [holder]):
        content = content_of(300_001)
        group[1].write(PATH, content)
        assert group[1].backup(PATH, 1).below_degree == 0
        # D answers seconds late, and only then is it known as a holder.
        group.pass_time(6.0)
        assert len(holder.held) == 5
        report = group[2].reclaim(0)
        says_it_again = letter not in "CFGH"
        assert report.removed_chunks == (5 if says_it_again else 0)
        assert report.unplaced_chunks == (0 if says_it_again else 5)
        assert len(holder.held) == 5
        assert group[1].restore(PATH) == content


ENHANCED: Mapping[str, Sequence[tuple[bytes, DropReason | str]]] = {
    "A": [
        (b"PUTCHUNK 2.1 11 " + ID + b" 0 1 \r\n64000 \r\n\r\n", DropReason.BODY_ELSEWHERE),
        (b"CHUNK 2.1 11 " + ID + b" 0 \r\n\r\n", DropReason.BODY_ELSEWHERE),
        (b"STORED 2.1 11 " + ID + b" 0 \r\n\r\n", "STORED"),
    ],
    "B": [(b"GETCHUNK 2.0 11 " + ID + b" 0 \r\n\r\n", "GETCHUNK")],
    "C": [
        (b"CHUNK 2.0 11 " + ID + b" 0 \r\n\r\n", DropReason.BODY_ELSEWHERE),
        (b"GETCHUNK 2.0 11 " + ID + b" 0 \r\n43409 \r\n\r\n", "GETCHUNK"),
    ],
    "D": [(b"DELETE 2.0 11 " + ID + b" \r\n\r\n", "DELETE")],
    "E": [
        (b"CHUNK 1.1 11 " + ID + b" 0\r\n\r\n", DropReason.BODY_ELSEWHERE),
        (b"PUTCHUNK 1.1 11 " + ID + b" 0 1\r\n\r\nbody", "PUTCHUNK"),
    ],
    "F": [],
    # It says 1.0 whatever it means: an empty body is one.
    "G": [(b"CHUNK 1.0 11 " + ID + b" 0 \r\n\r\n", "CHUNK")],
    "H": [(b"GETCHUNK 1.1 11 " + ID.upper() + b" 0 \r\n10.0.0.11:43409 \r\n\r\n", "GETCHUNK")],
    "I": [
        (b"CHUNK 2.0 11 " + ID + b" 0\r\n10.0.0.11 43409\r\n\r\n", DropReason.BODY_ELSEWHERE),
        (b"PUTCHUNK 2.0 11 " + ID + b" 0 1\r\n\r\nbody", "PUTCHUNK"),
    ],
    "J": [],
}


@pytest.mark.parametrize("letter", LETTERS)
def test_its_enhanced_version_is_read_by_the_first_line_or_dropped(letter: str) -> None:
    """SPEC.md 2.17, 12.6: a header alone is no empty chunk, unless its version is 1.0."""
    with street(1) as (group, []):
        for datagram, outcome in ENHANCED[letter]:
            was_dropped, was_received = dropped(group[1]), _received(group)
            send(group, datagram, DEFAULT_GROUPS.mdb)
            if isinstance(outcome, DropReason):
                assert dropped(group[1])[outcome] == was_dropped.get(outcome, 0) + 1
                assert _received(group) == was_received
                assert group[1].held() == []
            else:
                assert dropped(group[1]) == was_dropped
                assert received(group[1], outcome) == was_received.get(outcome, 0) + 1


def _received(group: Group) -> dict[str, int]:
    """What the only one of ours has taken, by type."""
    assert group[1].peer is not None
    return dict(group[1].peer.counters.messages_received)
