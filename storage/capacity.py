"""How much of the disk is lent: what chunks are charged, and what the capacity is (SPEC.md 7.15 to 7.19)."""

from __future__ import annotations

from typing import Final

from storage.errors import CapacityTooLarge

CHARGE_UNIT = 4_000
"""Bytes. Bodies are charged in steps of 4 KByte, near to what a file system takes for them, so that ten full
chunks make 640 KByte to the byte; and an empty one isn't free, or 2**40 of them could be left with us."""

AUTO_SHARE = 0.2
"""The share of the free disk that a peer lends if nobody says how much: enough to be of use to the group, and
little enough that its owner doesn't miss it."""


RESERVE_BYTES: Final = 64_000_000
"""Of the disk, left free whatever the capacity is: a disk that others fill is noticed before a write fails, and
both databases can go on."""


def charged_bytes(length: int) -> int:
    """How many bytes of the capacity a body of ``length`` bytes takes."""
    return max(CHARGE_UNIT, -(-length // CHARGE_UNIT) * CHARGE_UNIT)


def require_fits(capacity_bytes: int, *, used_bytes: int, free_bytes: int) -> None:
    """Refuse a capacity that the file system couldn't hold, beside the reserve, even if nobody else wrote to it.

    Raises CapacityTooLarge. ``used_bytes`` is what our chunks take already, ``free_bytes`` what the file
    system has left.
    """
    possible_bytes = used_bytes + max(0, free_bytes - RESERVE_BYTES)
    if capacity_bytes > possible_bytes:
        raise CapacityTooLarge(capacity_bytes=capacity_bytes, possible_bytes=possible_bytes)


def new_capacity(
    *, option_bytes: int | None, option_before: str | None, used_bytes: int, free_bytes: int
) -> int | None:
    """The capacity that a starting peer is to set, in bytes, or None if the one it has stays.

    ``option_bytes`` is the option of this start (None: "auto"), ``option_before`` what ``option_text`` gave
    for that of the start before, None at the first one. Only an option that has changed is obeyed: a RECLAIM
    since then is the later word of the same owner. It is also only then that the option is compared
    with the disk, since a peer whose disk was filled by others must still start and serve what it holds.
    Raises CapacityTooLarge.
    """
    if option_text(option_bytes) == option_before:
        return None
    if option_bytes is None:
        share = int((used_bytes + free_bytes) * AUTO_SHARE)
        return share - share % CHARGE_UNIT
    require_fits(option_bytes, used_bytes=used_bytes, free_bytes=free_bytes)
    return option_bytes


def option_text(option_bytes: int | None) -> str:
    """The capacity option as it is kept among the settings, to be compared at the next start."""
    return "auto" if option_bytes is None else str(option_bytes)
