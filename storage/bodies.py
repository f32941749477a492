"""The bodies of the chunks, one file each; where they are is in ``storage.layout``.

A body is complete and on the disk before its file has its name, and only then may the index learn of it. So
a file that the index doesn't know is what a crash has left, and nobody was promised it (SPEC.md 9.8).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import count
from typing import Final

from attrs import define, field

from protocol.values import ChunkId
from storage.disk import IDisk, IFile
from storage.errors import DiskFailed
from storage.layout import BODY_FOLDERS, Layout, body_folder, body_name, body_owner

OPEN_FILES: Final = 64
"""Files that are open at a time while a batch is written: more would share little more of a sync, and a
process has only so many."""

_LOST: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO, errno.EBADMSG, errno.EUCLEAN})
"""What the system says of a file that is gone or can't be read any more. Anything else (too many open files,
say) is no reason to believe that the bytes are lost."""


@define(eq=False)
class Bodies:
    """The files below ``chunks/``."""

    _disk: IDisk
    _layout: Layout
    _folders: set[str] = field(factory=set, init=False)
    _numbers: count[int] = field(factory=count, init=False)
    leaves_orphans: bool = field(default=False, init=False)
    """Whether a file couldn't be removed that should have been: the next start has to look for it."""
    _folders_to_sync: set[str] = field(factory=set, init=False)

    def prepare(self) -> None:
        """Make the folders if they are missing and throw away what was being written when we went down."""
        self._disk.make_directory(self._layout.incoming)
        for name in self._disk.list_directory(self._layout.incoming):
            self._disk.remove(os.path.join(self._layout.incoming, name))
        self._folders.update(BODY_FOLDERS.intersection(self._disk.list_directory(self._layout.chunks)))

    def write(self, chunks: Sequence[tuple[ChunkId, bytes]]) -> list[bool]:
        """Put bodies on the disk; False for those that it refused, of which nothing is left.

        A file that has the name already is replaced. No chunk may stand in ``chunks`` twice.
        """
        renamed: dict[ChunkId, str] = {}
        for start in range(0, len(chunks), OPEN_FILES):
            for chunk_id in self._write_some(chunks[start : start + OPEN_FILES]):
                renamed[chunk_id] = body_folder(chunk_id.file_id)
        synced = {folder for folder in sorted(set(renamed.values())) if self._sync_folder(folder)}
        self.remove([chunk_id for chunk_id, folder in renamed.items() if folder not in synced])
        return [renamed.get(chunk_id) in synced for chunk_id, _ in chunks]

    def read(self, chunk_id: ChunkId, length: int) -> bytes | None:
        """The bytes of a body, whatever they are; None: they are lost. Raises DiskFailed."""
        path = self._path(chunk_id)
        try:
            file = self._disk.open(path, writable=False)
            try:
                return file.read_at(0, length)
            finally:
                file.close()
        except OSError as error:
            if error.errno in _LOST:
                return None
            raise DiskFailed(path, error.strerror or str(error)) from error

    def remove(self, chunk_ids: Iterable[ChunkId]) -> None:
        """Give the space of bodies back. One that the disk doesn't let go is left to the next start."""
        for chunk_id in chunk_ids:
            self._remove(self._path(chunk_id))

    def sync_removals(self) -> None:
        """Return when what was removed stays removed, whenever the power goes; or ``leaves_orphans`` is set."""
        for folder in sorted(self._folders_to_sync):
            try:
                self._disk.sync_directory(folder)
            except OSError:
                self.leaves_orphans = True
        self._folders_to_sync.clear()

    def remove_orphans(self, held_in: Callable[[str], set[str]]) -> None:
        """Remove the bodies that the index doesn't know; files that aren't ours are left alone.

        ``held_in``: the names of the bodies that the index knows in a folder.
        """
        for folder in sorted(self._folders):
            names = self._disk.list_directory(os.path.join(self._layout.chunks, folder))
            for name in sorted(set(names) - held_in(folder)):
                if body_owner(name) is not None:
                    self._remove(os.path.join(self._layout.chunks, folder, name))

    def is_empty(self) -> bool:
        """Whether there is no body, known to the index or not."""
        if not self._disk.exists(self._layout.chunks):
            return True
        return not any(
            self._disk.list_directory(os.path.join(self._layout.chunks, folder))
            for folder in BODY_FOLDERS.intersection(self._disk.list_directory(self._layout.chunks))
        )

    def _path(self, chunk_id: ChunkId) -> str:
        return os.path.join(self._layout.chunks, body_folder(chunk_id.file_id), body_name(chunk_id))

    def _remove(self, path: str) -> None:
        try:
            self._disk.remove(path)
            self._folders_to_sync.add(os.path.dirname(path))
        except FileNotFoundError:
            pass
        except OSError:
            self.leaves_orphans = True

    def _write_some(self, chunks: Sequence[tuple[ChunkId, bytes]]) -> list[ChunkId]:
        files: list[tuple[ChunkId, str, IFile]] = []
        for chunk_id, body in chunks:
            opened = self._write_incoming(body)
            if opened is not None:
                files.append((chunk_id, *opened))
        # All are on their way to the disk before the first is waited for: the syncs then share their work.
        for _, _, file in files:
            file.start_sync()
        return [chunk_id for chunk_id, path, file in files if self._finish(chunk_id, path, file)]

    def _write_incoming(self, body: bytes) -> tuple[str, IFile] | None:
        path = os.path.join(self._layout.incoming, str(next(self._numbers)))
        try:
            file = self._disk.open(path, create=True, exclusive=True)
        except OSError:
            return None
        try:
            file.write_at(0, body)
        except OSError:
            self._give_up(path, file)
            return None
        return path, file

    def _finish(self, chunk_id: ChunkId, path: str, file: IFile) -> bool:
        try:
            file.sync()
            file.close()
            folder = body_folder(chunk_id.file_id)
            if folder not in self._folders:
                self._disk.make_directory(os.path.join(self._layout.chunks, folder))
                self._folders.add(folder)
            self._disk.rename(path, self._path(chunk_id))
        except OSError:
            self._folders.discard(body_folder(chunk_id.file_id))
            self._give_up(path, file)
            return False
        return True

    def _sync_folder(self, folder: str) -> bool:
        try:
            self._disk.sync_directory(os.path.join(self._layout.chunks, folder))
        except OSError:
            return False
        return True

    def _give_up(self, path: str, file: IFile) -> None:
        with suppress(OSError):
            file.close()
        self._remove(path)
