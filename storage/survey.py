"""Reading all slots of a store that nobody uses, as they are on the disk, whatever its index says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

from attrs import frozen

from storage.disk import IDisk, IFile
from storage.segments import all_slots, place_of, segment_name
from storage.slot import HEADER_BYTES, SLOT_BYTES, SlotDamaged, SlotHeader, body_of, taken_bytes


@frozen
class FoundSlot:
    """A slot that isn't empty."""

    place: int
    content: bytes
    """From its beginning up to where there is nothing but a hole; nothing, if it can't be read."""
    is_cut: bool
    """Whether the file ends within it."""

    def header(self) -> SlotHeader:
        """What it holds, if that is whole. Raises SlotDamaged, SlotNewer."""
        header = SlotHeader.parse(self.content)
        if body_of(self.content, header.digest, header.length) is None:
            raise SlotDamaged("its body isn't what it was")
        return header

    def ends_well(self, header: SlotHeader) -> bool:
        """Whether behind the body there are the zeros that were written, and nothing else."""
        is_cut = self.is_cut and len(self.content) < taken_bytes(header.length)
        return not is_cut and not any(self.content[HEADER_BYTES + header.length :])


def survey(disk: IDisk, folder: str, number: int) -> Iterator[FoundSlot]:
    """The slots of a segment that aren't empty, by place. Holes cost no reading. Raises OSError.

    One that can't be read isn't empty either.
    """
    with closing(disk.open(os.path.join(folder, segment_name(number)), writable=False)) as file:
        size = file.size()
        place = 0
        while (part := file.next_data(place)) is not None:
            slot = part[0] // SLOT_BYTES
            start, place = slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES
            content = _read(file, start, part[1])
            if content is None or any(content):
                yield FoundSlot(place_of(number, slot), content or b"", is_cut=place > size)


def is_overlong(disk: IDisk, folder: str, number: int) -> bool:
    """Whether there is anything behind the last slot of a segment. Raises OSError."""
    with closing(disk.open(os.path.join(folder, segment_name(number)), writable=False)) as file:
        return file.next_data(all_slots().bit_length() * SLOT_BYTES) is not None


def _read(file: IFile, start: int, data_end: int) -> bytes | None:
    end = start + SLOT_BYTES
    while data_end < end and (part := file.next_data(data_end)) is not None and part[0] < end:
        data_end = part[1]
    try:
        return file.read_at(start, min(data_end, end) - start)
    except OSError:
        return None
