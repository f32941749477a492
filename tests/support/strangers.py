"""The ten families of real peers that version 1.0 has to live with (SPEC.md 12), each as the sum of its quirks."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from peer.config import DEFAULT_GROUPS
from tests.support.family import (
    Family,
    getchunk_1_1_without_address,
    getchunk_with_second_line,
    no_final_space,
    padded,
    putchunk_with_second_line,
    short_unknown_type,
    two_spaces,
    upper_case_id,
    zeros,
)
from tests.support.foreign_peer import ForeignPeer
from tests.support.lan import MemoryLan

FAMILIES: Final[Mapping[str, Family]] = {
    family.letter: family
    for family in (
        Family(
            letter="A",
            greeting=b"QUERYDELETED 1.0 %d \r\n43409 \r\n\r\n",
            sends_from_group_port=True,
            drops=(two_spaces,),
            answers_unheard=0.4,
        ),
        Family(
            letter="B",
            own_ids_are_upper_case=True,
            stores_its_own_files=True,
            answers_unheard=1.0,
            waits_for_silence=True,
            empty_chunk_becomes=bytes(4),
            repair_body=zeros,
            repair_degree=1,
        ),
        Family(
            letter="C",
            own_ids_are_upper_case=True,
            sends_from_group_port=True,
            takes_second_line_for_body=True,
            repeats_stored=False,
            answers_unheard=0.5,
        ),
        Family(
            letter="D",
            drops=(no_final_space, upper_case_id, putchunk_with_second_line),
            puts_empty_last_chunk=False,
            wants_empty_last_chunk=False,
            stored_after=4.0,
        ),
        Family(letter="E", final_spaces=0, dies_of=(short_unknown_type, getchunk_with_second_line)),
        Family(
            letter="F",
            final_spaces=0,
            drops=(two_spaces,),
            first_chunk_no=1,
            puts_empty_last_chunk=False,
            wants_empty_last_chunk=False,
            repeats_stored=False,
        ),
        Family(
            letter="G",
            other_groups={"GETCHUNK": DEFAULT_GROUPS.mdr},
            names_others=True,
            puts_empty_last_chunk=False,
            repeats_stored=False,
            answers_unheard=0.5,
            empty_chunk_becomes=None,
        ),
        Family(
            letter="H",
            own_ids_are_upper_case=True,
            greeting=b"ONLINE 1.1 %d \r\n\r\n",
            dies_of=(no_final_space, two_spaces, getchunk_1_1_without_address),
            repeats_stored=False,
            answers_unheard=0.5,
        ),
        Family(letter="I", final_spaces=0, dies_of=(two_spaces, short_unknown_type)),
        Family(
            letter="J",
            greeting=b"NEWPEER 1.0 %d \r\n\r\n",
            first_chunk_no=1,
            puts_empty_last_chunk=False,
            wants_empty_last_chunk=False,
            repair_body=padded,
        ),
    )
}
"""By letter. Where two families were seen to do a thing and it isn't known which else, one of them does it here."""

LETTERS: Final = tuple(FAMILIES)

POLITE: Final[Mapping[str, Family]] = {
    letter: evolve(family, greeting=b"", final_spaces=1) for letter, family in FAMILIES.items()
}
"""The same families with what harms others of them left out: a real group of all ten is one in which some die of
the others, whatever we do."""


def stranger(
    family: Family,
    peer_id: int,
    *,
    lan: MemoryLan,
    clock: IReactorTime,
    random: Random,
    host: str | None = None,
) -> ForeignPeer:
    """A peer of the family, started, by default on a computer of its own."""
    peer = ForeignPeer(
        family,
        peer_id,
        network=lan.network(host or f"10.0.0.{peer_id}"),
        lan=lan,
        clock=clock,
        random=random,
    )
    peer.start()
    return peer
