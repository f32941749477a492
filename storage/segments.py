"""The segment files: large sparse files of slots, by the place of a slot.

A *place* numbers the slots of all segments: segment n has those from n × SLOTS_IN_SEGMENT on. The number of a
segment that is gone is never used again, so an old file that somebody still has open can't be taken for a new
one.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from contextlib import suppress
from typing import Final

from attrs import define, field

from protocol.values import Body
from storage.disk import IDisk, IFile
from storage.errors import DiskFailed
from storage.slot import SLOT_BYTES

SLOTS_IN_SEGMENT: Final = 4_096
"""Slots of a segment file: 268 MB. In smaller ones a batch would have to sync more files; larger ones would
take longer until they are wholly free, which is when a disk that can't punch holes has its space back."""

OPEN_FILES: Final = 128
"""Segment files that are kept open by each of writer and reader: a process has only so many (usually 1,024)."""

_SUFFIX = ".slots"

_LOST: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO, errno.EBADMSG, errno.EUCLEAN})
"""What the system says of bytes that are gone or can't be read any more. Anything else (too many open files,
say) is no reason to believe that they are lost."""


def locate(place: int) -> tuple[int, int]:
    """The segment of a place, and the slot in it."""
    return divmod(place, SLOTS_IN_SEGMENT)


def place_of(number: int, slot: int) -> int:
    """The place of a segment's slot."""
    return number * SLOTS_IN_SEGMENT + slot


def all_slots() -> int:
    """The set (see ``storage.bits``) of every slot of a segment."""
    return (1 << SLOTS_IN_SEGMENT) - 1


def segment_name(number: int) -> str:
    """The name of a segment's file."""
    return f"{number:08d}{_SUFFIX}"


def segment_number(name: str) -> int | None:
    """Which segment's file has the name; None: ``segment_name`` gives no such name."""
    digits = name.removesuffix(_SUFFIX)
    if not digits.isdecimal() or not digits.isascii() or segment_name(int(digits)) != name:
        return None
    return int(digits)


def segment_numbers(disk: IDisk, folder: str) -> list[int]:
    """The segments that have a file in the folder, rising; others' files are passed over."""
    numbers = map(segment_number, disk.list_directory(folder))
    return sorted(number for number in numbers if number is not None)


@define(eq=False)
class SegmentFiles:
    """The files in a folder. OSErrors pass through, but for those of ``read``."""

    _disk: IDisk
    _folder: str
    _is_writable: bool = field(kw_only=True)
    _open: OrderedDict[int, IFile] = field(factory=OrderedDict, init=False)
    _has_new_names: bool = field(default=False, init=False)

    def write(self, place: int, *parts: Body) -> None:
        """Write the parts one behind the other from the beginning of a slot on. A missing file is made."""
        number, slot = locate(place)
        self._file(number).write_at(slot * SLOT_BYTES, *parts)

    def start_sync(self, place: int, count: int) -> None:
        """Have the disk begin to write so many slots of one segment."""
        number, slot = locate(place)
        self._file(number).start_sync(slot * SLOT_BYTES, count * SLOT_BYTES)

    def sync(self, number: int) -> None:
        """Return when a segment's content, and its name, are on the disk."""
        self._file(number).sync()
        if self._has_new_names:
            self._disk.sync_directory(self._folder)
            self._has_new_names = False

    def read(self, place: int, length: int) -> bytes | None:
        """The first bytes of a slot, fewer at the end of the file; None: they are lost. Raises DiskFailed."""
        number, slot = locate(place)
        try:
            return self._file(number, is_created=False).read_at(slot * SLOT_BYTES, length)
        except OSError as error:
            self._forget(number)
            if error.errno in _LOST:
                return None
            raise DiskFailed(self._path(number), error.strerror or str(error)) from error

    def drop_cached(self, place: int) -> None:
        """Have what the system remembers of a slot forgotten, so that it is read from the disk. Only a hint."""
        number, slot = locate(place)
        with suppress(OSError):
            self._file(number).drop_cached(slot * SLOT_BYTES, SLOT_BYTES)

    def punch(self, number: int, slot: int, count: int) -> None:
        """Give the space of so many slots back; they read as zeros."""
        self._file(number).punch(slot * SLOT_BYTES, count * SLOT_BYTES)

    def cut(self, number: int, count: int) -> None:
        """Let a segment have the first so many slots only, where it has more."""
        file = self._file(number)
        if file.size() > count * SLOT_BYTES:
            file.truncate(count * SLOT_BYTES)

    def remove(self, number: int) -> None:
        """Remove a segment's file, durably."""
        # Cut first: whoever has it open, to read, would keep the space.
        self.cut(number, 0)
        self._forget(number)
        self._disk.remove(self._path(number))
        self._disk.sync_directory(self._folder)

    def close(self) -> None:
        """Let go of all files."""
        for number in tuple(self._open):
            self._forget(number)

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, segment_name(number))

    def _file(self, number: int, *, is_created: bool = True) -> IFile:
        file = self._open.get(number)
        if file is not None:
            self._open.move_to_end(number)
            return file
        path = self._path(number)
        is_created = is_created and self._is_writable
        if is_created and not self._disk.exists(path):
            self._has_new_names = True
        file = self._disk.open(path, create=is_created, writable=self._is_writable)
        self._open[number] = file
        if len(self._open) > OPEN_FILES:
            self._forget(next(iter(self._open)))
        return file

    def _forget(self, number: int) -> None:
        file = self._open.pop(number, None)
        if file is not None:
            with suppress(OSError):
                file.close()
