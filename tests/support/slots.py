"""What is in the slots of a store, seen past the store itself."""

from __future__ import annotations

import os
from contextlib import suppress

from attrs import frozen

from protocol.values import ChunkId
from storage.disk import IDisk
from storage.layout import Layout
from storage.segments import segment_name, segment_numbers
from storage.slot import HEADER_BYTES, SLOT_BYTES, SlotDamaged, SlotHeader


@frozen
class Slot:
    """A slot that isn't empty."""

    path: str
    offset: int
    """Where it begins in its file."""
    content: bytes

    @property
    def chunk_id(self) -> ChunkId:
        """The chunk that it says it holds. Raises SlotDamaged."""
        return SlotHeader.parse(self.content).chunk_id

    @property
    def length(self) -> int:
        """Bytes of header and body. Raises SlotDamaged."""
        return HEADER_BYTES + SlotHeader.parse(self.content).length


def slots_on(disk: IDisk, root: str) -> list[Slot]:
    """Every slot of a store that isn't empty, by its place."""
    folder = Layout(root).chunks
    found: list[Slot] = []
    for number in segment_numbers(disk, folder) if disk.exists(folder) else ():
        path = os.path.join(folder, segment_name(number))
        file = disk.open(path, writable=False)
        for offset in range(0, file.size(), SLOT_BYTES):
            content = file.read_at(offset, SLOT_BYTES)
            if any(content):
                found.append(Slot(path, offset, content))
        file.close()
    return found


def chunks_on(disk: IDisk, root: str) -> list[ChunkId]:
    """The chunks in all slots, whether the index knows them or not, sorted. Raises SlotDamaged."""
    return sorted(slot.chunk_id for slot in slots_on(disk, root))


def chunk_slots_on(disk: IDisk, root: str) -> list[Slot]:
    """The slots that say which chunk they hold, in the order of the chunks."""
    found: list[Slot] = []
    for slot in slots_on(disk, root):
        with suppress(SlotDamaged):
            SlotHeader.parse(slot.content)
            found.append(slot)
    return sorted(found, key=lambda slot: slot.chunk_id)


def slot_of(disk: IDisk, root: str, chunk_id: ChunkId) -> Slot:
    """The slot that says that it holds a chunk."""
    (slot,) = (slot for slot in chunk_slots_on(disk, root) if slot.chunk_id == chunk_id)
    return slot
