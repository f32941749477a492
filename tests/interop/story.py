"""A day in a mixed group on which ours do everything that they can: what is said in it is judged by the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, field

from protocol.values import ChunkId, FileId
from tests.interop.street import BODY, FIVE_TRIES, PATH, content_of
from tests.support.foreign_peer import ForeignPeer
from tests.support.group import Group
from tests.support.lan import Datagram
from tests.support.stranger import Stranger

OURS: Final = 3
OTHER_PATH: Final = "/home/film"


@define
class Day:
    """What ours have sent, and which ids strangers have spelled in upper case."""

    sent: list[Datagram] = field(factory=list)
    upper_case_ids: set[bytes] = field(factory=set)


def live(group: Group, strangers: Sequence[ForeignPeer]) -> Day:
    """Live through the day with three of ours: all that is asked of ours is done, and restores."""
    day = Day()
    ours = {f"10.0.0.{number}" for number in range(1, OURS + 1)}
    group.lan.tap(lambda datagram: day.sent.append(datagram) if datagram.source[0] in ours else None)

    _strangers_back_up(group, strangers, day)
    old = _everybody_backs_up(group)
    assert group[1].restore(PATH) == content_of(300_001)
    assert group[2].restore(OTHER_PATH) == content_of(128_000)

    # A new version of a file, so that the old one is deleted.
    group[1].write(PATH, content_of(200_000))
    assert group[1].backup(PATH, 2).below_degree == 0
    group.pass_time(5.0)

    # What somebody says of a dead file is answered with DELETE again.
    Stranger(group).stored(ChunkId(old, 0))

    # Copies that are placed elsewhere, or that others are asked about.
    group[3].reclaim(0)
    group[3].reclaim(1_000_000)

    # Copies that are lost, and made good.
    for stranger in strangers:
        for place in list(stranger.held):
            stranger.give_up(place)
        group.pass_time(1.0)
    group.pass_time(FIVE_TRIES)
    assert group[1].restore(PATH) == content_of(200_000)
    assert group[2].restore(OTHER_PATH) == content_of(128_000)

    _strangers_restore(group, strangers)
    group[1].delete(PATH)
    group[2].delete(OTHER_PATH)
    group.pass_time(FIVE_TRIES)
    group.errors[:] = [error for error in group.errors if "with our id" not in error]
    return day


def _strangers_back_up(group: Group, strangers: Sequence[ForeignPeer], day: Day) -> None:
    for stranger in strangers:
        file_id = stranger.backup("photo", BODY * 4_000, 2).encode()
        if file_id != file_id.lower():
            day.upper_case_ids.add(file_id)
    group.pass_time(5.0)


def _everybody_backs_up(group: Group) -> FileId:
    group[1].write(PATH, content_of(300_001))
    group[2].write(OTHER_PATH, content_of(128_000))
    both = group[1].begin_backup(PATH, 3), group[2].begin_backup(OTHER_PATH, 2)
    first, second = (group.run(backup) for backup in both)
    assert (first.below_degree, second.below_degree) == (0, 0)
    group.pass_time(5.0)
    return FileId.from_hex(first.file_id)


def _strangers_restore(group: Group, strangers: Sequence[ForeignPeer]) -> None:
    for stranger in strangers:
        stranger.restore("photo")
    group.pass_time(FIVE_TRIES)
    for stranger in strangers:
        assert stranger.restored("photo") == BODY * 4_000, stranger.family.letter
