"""Damage on the disk of a real peer is found and healed with nobody asking for anything (SPEC.md 9.29)."""

from pathlib import Path

import pytest

from protocol.values import ChunkId, FileId
from storage.disk import PosixDisk
from storage.slot import HEADER_BYTES, SlotHeader, body_of
from tests.functional.group import Group, eventually, local_group, made_file
from tests.support.slots import chunk_slots_on, slot_of

pytestmark = pytest.mark.functional

TEN_SECONDS = 0.0001
"""In days."""


def whole_copies(group: Group) -> dict[ChunkId, int]:
    """How often each chunk is on the peers' disks, with the bytes that its slot speaks of."""
    copies: dict[ChunkId, int] = {}
    for peer in group.others:
        for slot in chunk_slots_on(PosixDisk(), str(peer.folder / "store")):
            header = SlotHeader.parse(slot.content)
            is_whole = body_of(slot.content, header.digest, header.length) is not None
            copies[slot.chunk_id] = copies.get(slot.chunk_id, 0) + is_whole
    return copies


def test_a_flipped_byte_is_found_by_the_scrub_and_healed_from_the_other_copy(tmp_path: Path) -> None:
    with local_group(tmp_path / "group", 3, f"--option=--scrub-days={TEN_SECONDS}") as group:
        file = made_file(tmp_path, 1_000_000)
        told = group[0].do("BACKUP", str(file), "2")
        assert told["below_degree"] == 0
        chunk = ChunkId(FileId.from_hex(told["file_id"]), 7)
        eventually(lambda: set(whole_copies(group).values()) == {2}, "both have all of it")
        # Nobody has the original any more: what heals is the other copy.
        group[0].kill()
        slot = slot_of(PosixDisk(), str(group[1].folder / "store"), chunk)
        with Path(slot.path).open("r+b") as segment:
            segment.seek(slot.offset + HEADER_BYTES + 31_999)
            segment.write(bytes([slot.content[HEADER_BYTES + 31_999] ^ 1]))
        assert whole_copies(group)[chunk] == 1
        log = group[1].folder / "log"
        eventually(lambda: "is damaged and was dropped" in log.read_text(), "the scrub has found it", 60.0)
        eventually(lambda: set(whole_copies(group).values()) == {2}, "both have all of it again", 60.0)
        eventually(
            lambda: all(chunk["perceived"] == 2 for peer in group.others for chunk in peer.stored),
            "both know of both",
        )
        assert all(len(peer.stored) == told["chunks"] for peer in group.others)
