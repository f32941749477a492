"""A file that is being restored: written under a temporary name beside its place, and shown when complete."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Final

from attrs import define, field

from protocol.chunking import chunk_count, chunk_length, chunk_offset
from protocol.digest import Digest
from protocol.values import Body
from storage.disk import IDisk, IFile
from storage.errors import UnusableName, disk_trouble

TEMPORARY_PREFIX: Final = ".backup-peer-restoring-"
"""How the temporary files are called, by which a start knows those of the run before."""

START_SYNC_BYTES: Final = 16_777_216
"""Bytes after which the disk is told to write what it has: all of a large file would wait for the sync at its end."""

_LONGEST_NAME: Final = 255
"""Bytes of a name, on every usual file system."""


@define(eq=False)
class RestoredFile:
    """A file of known size that is filled chunk by chunk. Made by ``RestoredFile.create``.

    It ends in ``commit`` or ``abort``; after an error of either, nothing is left but what was there before. An
    ``abort`` after the end does nothing: the temporary name may be another file's by then.
    """

    _disk: IDisk
    _folder: str
    _name: str
    _size: int
    _path: str
    """Where it is: under a temporary name at first."""
    _file: IFile
    _is_written: bytearray = field(init=False)
    _untold_bytes: int = field(default=0, init=False)
    """Bytes written since the disk was last told to begin."""
    _is_over: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._is_written = bytearray(chunk_count(self._size))
        if not chunk_length(self._size, len(self._is_written) - 1):
            self._is_written[-1] = True

    @classmethod
    def create(cls, disk: IDisk, folder: str, name: str, size: int, *, first_number: int = 0) -> RestoredFile:
        """Begin a file of ``size`` bytes in the folder, called as the last part of the path ``name`` is.

        Its temporary name has the first free number from ``first_number`` on: to begin with one that is free spares to
        look at those of all files under way. Raises UnusableName, DiskFull, DiskFailed.
        """
        name = _usable(name)
        try:
            if not disk.exists(folder) and disk.exists(os.path.dirname(folder)):
                # Whoever takes his files out of the folder may take the folder too; but not the store around it.
                disk.make_directory(folder)
            for number in count(first_number):
                temporary = os.path.join(folder, f"{TEMPORARY_PREFIX}{number}")
                with suppress(FileExistsError):
                    file = disk.open(temporary, create=True, exclusive=True)
                    return cls(disk, folder, name, size, temporary, file)
        except OSError as error:
            raise disk_trouble(folder, error) from error
        raise AssertionError("count() ended")

    def write(self, items: Sequence[tuple[int, Body, Digest]]) -> list[bool]:
        """Write bodies that have the digest, and the length, that they must; False for those that haven't.

        Raises DiskFull, DiskFailed; it may be called again after that.
        """
        return [self._write(chunk_no, body, digest) for chunk_no, body, digest in items]

    def commit(self) -> str:
        """Give the file its name, or the first free one like it, and return the path: durable on return.

        ValueError: chunks are missing, the empty last one excepted. Raises DiskFull, DiskFailed.
        """
        missing = self._is_written.count(0)
        if missing:
            raise ValueError(f"{missing} chunks of {self._name!r} were never written")
        try:
            self._file.truncate(self._size)
            self._file.sync()
            self._file.close()
            self._path = self._rename()
            self._disk.sync_directory(self._folder)
        except OSError as error:
            self.abort()
            raise disk_trouble(os.path.join(self._folder, self._name), error) from error
        self._is_over = True
        return self._path

    def abort(self) -> None:
        """Give up: nothing is left. Never raises; what the disk doesn't let go is left to the next start."""
        if self._is_over:
            return
        self._is_over = True
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._disk.remove(self._path)

    def _write(self, chunk_no: int, body: Body, digest: Digest) -> bool:
        if len(body) != chunk_length(self._size, chunk_no) or not digest.matches(body):
            return False
        try:
            self._file.write_at(chunk_offset(chunk_no), body)
        except OSError as error:
            raise disk_trouble(self._path, error) from error
        self._is_written[chunk_no] = True
        self._untold_bytes += len(body)
        if self._untold_bytes >= START_SYNC_BYTES:
            self._untold_bytes = 0
            self._file.start_sync()
        return True

    def _rename(self) -> str:
        for number in count():
            path = os.path.join(self._folder, numbered(self._name, number))
            with suppress(FileExistsError):
                self._disk.rename_new(self._path, path)
                return path
        raise AssertionError("count() ended")


def remove_stale(disk: IDisk, folder: str) -> None:
    """Remove what restores of an earlier run have left unfinished. Raises OSError."""
    for name in disk.list_directory(folder):
        if name.startswith(TEMPORARY_PREFIX):
            disk.remove(os.path.join(folder, name))


def numbered(name: str, number: int) -> str:
    """The name to try after so many were taken.

    They are photo.jpg, photo (1).jpg, photo (2).jpg and so on. What is too long for a file system is shortened: the
    stem, and what looks like an extension when a single letter is left of the stem.
    """
    stem, extension = os.path.splitext(name)
    mark = f" ({number})" if number else ""
    while len(os.fsencode(stem + mark + extension)) > _LONGEST_NAME:
        if len(stem) > 1:
            stem = stem[:-1]
        else:
            extension = extension[:-1]
    return stem + mark + extension


def _usable(path: str) -> str:
    name = os.path.basename(path)
    if name in ("", ".", "..") or "\0" in name:
        raise UnusableName(path)
    # Under a name that looks like our temporaries' the file would be gone after the next start.
    return name.removeprefix(".") if name.startswith(TEMPORARY_PREFIX) else name
