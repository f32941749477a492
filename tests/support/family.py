"""The ways of a family of real peers (SPEC.md 12), put together from single quirks: how it writes, reads and acts.

Families are named by the letters of docs/interop.md. What is here is what was seen from outside, in our own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Self

from attrs import frozen

from peer.config import GroupAddress
from protocol.values import CHUNK_SIZE

SIX_TYPES: Final = frozenset({b"PUTCHUNK", b"STORED", b"GETCHUNK", b"CHUNK", b"DELETE", b"REMOVED"})


@frozen
class Reading:
    """A datagram as a simple parser sees it."""

    first_line: bytes
    other_lines: tuple[bytes, ...]
    body: bytes

    @classmethod
    def of(cls, datagram: bytes) -> Self | None:
        """Read a datagram; None if it has no header."""
        header, end, body = datagram.partition(b"\r\n\r\n")
        if not end:
            return None
        first, *others = header.split(b"\r\n")
        return cls(first, tuple(others), body)

    @property
    def fields(self) -> list[bytes]:
        """Those of the first line."""
        return self.first_line.split()

    @property
    def message_type(self) -> bytes:
        """The first field."""
        return (self.fields or [b""])[0]

    @property
    def version(self) -> bytes:
        """The second field."""
        return [*self.fields, b"", b""][1]


# --- What some don't take -------------------------------------------------------------------------------

Shock = Callable[[Reading], bool]
"""Whether a datagram is of the kind that a family drops, or dies of."""


def no_final_space(reading: Reading) -> bool:
    """Nothing stands between the last field and the CR LF."""
    return not reading.first_line.endswith(b" ")


def two_spaces(reading: Reading) -> bool:
    """More than one space stands somewhere."""
    return b"  " in reading.first_line


def upper_case_id(reading: Reading) -> bool:
    """The fileId has a capital letter."""
    fields = reading.fields
    return len(fields) > 3 and fields[3] != fields[3].lower()


def short_unknown_type(reading: Reading) -> bool:
    """The type is none of the six, and only two fields follow it."""
    return reading.message_type not in SIX_TYPES and len(reading.fields) <= 3


def getchunk_with_second_line(reading: Reading) -> bool:
    """A GETCHUNK says more than its first line."""
    return reading.message_type == b"GETCHUNK" and bool(reading.other_lines)


def getchunk_1_1_without_address(reading: Reading) -> bool:
    """A GETCHUNK of version 1.1 doesn't say where the answer is to go."""
    return reading.message_type == b"GETCHUNK" and reading.version == b"1.1" and not reading.other_lines


def putchunk_with_second_line(reading: Reading) -> bool:
    """A PUTCHUNK says more than its first line."""
    return reading.message_type == b"PUTCHUNK" and bool(reading.other_lines)


# --- What some send again after a REMOVED ---------------------------------------------------------------


def as_it_was(body: bytes) -> bytes:
    """The copy that is held."""
    return body


def zeros(body: bytes) -> bytes:
    """Nothing of the copy."""
    return bytes(CHUNK_SIZE)


def padded(body: bytes) -> bytes:
    """The copy, filled up to the size of a whole chunk."""
    return body.ljust(CHUNK_SIZE, b"\0")


# --- All together ---------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Family:
    """How the peers of one family behave; by default, as the protocol says."""

    letter: str = "-"

    # How it writes.
    final_spaces: int = 1
    own_ids_are_upper_case: bool = False
    greeting: bytes = b""
    """What it multicasts on MC when it starts, `%d` being its id."""
    other_groups: Mapping[str, GroupAddress] = {}
    """Where it sends messages of a type, if not where they belong."""
    sends_from_group_port: bool = False
    """Its datagrams come from the port of their group, so that all peers of a host have one address."""
    names_others: bool = False
    """REMOVEDs, and the PUTCHUNKs that follow one, have the id of the peer that it answers, or of the home."""

    # How it reads.
    drops: tuple[Shock, ...] = ()
    dies_of: tuple[Shock, ...] = ()
    takes_second_line_for_body: bool = False

    # How it acts as home.
    first_chunk_no: int = 0
    puts_empty_last_chunk: bool = True
    wants_empty_last_chunk: bool = True
    stores_its_own_files: bool = False

    # How it acts as holder.
    stored_after: float = 0.0
    """Seconds added to the random delay."""
    repeats_stored: bool = True
    answers_unheard: float = 0.0
    """Probability that it sends its CHUNK though another has answered."""
    waits_for_silence: bool = False
    """Its delay before a CHUNK begins anew with every CHUNK that it hears, of whatever file, its own too."""
    empty_chunk_becomes: bytes | None = b""
    """What it returns of an empty chunk; None: it doesn't."""
    repair_body: Callable[[bytes], bytes] = as_it_was
    repair_degree: int | None = None
    """The degree of its PUTCHUNK after a REMOVED; None: the one that the chunk has."""
