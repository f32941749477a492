"""A file of the user's that is read to be backed up."""

from __future__ import annotations

from attrs import define

from protocol.chunking import MAX_FILE_SIZE, chunk_count, chunk_length, chunk_offset
from storage.disk import FileKind, FileStat, IDisk, IFile
from storage.errors import (
    FileTooLarge,
    NotARegularFile,
    PathMissing,
    PathUnreadable,
    SourceChanged,
    StorageError,
)
from storage.interfaces import Fingerprint


@define(eq=False)
class SourceFile:
    """An ordinary file, open for reading. Made by ``SourceFile.open``, to be closed in the end."""

    _disk: IDisk
    path: str
    fingerprint: Fingerprint
    """What the file was when it was opened."""
    _file: IFile

    @classmethod
    def open(cls, disk: IDisk, path: str) -> SourceFile:
        """Open a file, or a symbolic link to one; nothing is read yet and nothing is waited for.

        Raises PathMissing, PathUnreadable, NotARegularFile, FileTooLarge.
        """
        try:
            # Looked at before it is opened, since opening a device may already do something.
            _check(path, disk.stat(path))
            file = disk.open(path, writable=False)
        except (OSError, ValueError) as error:
            raise _reason(path, error) from error
        try:
            stat = file.stat()
            _check(path, stat)
            if stat.size > MAX_FILE_SIZE:
                raise FileTooLarge(path, stat.size, MAX_FILE_SIZE)
        except BaseException:
            file.close()
            raise
        return cls(disk, path, Fingerprint.of(stat), file)

    @property
    def size(self) -> int:
        """Bytes of the file when it was opened."""
        return self.fingerprint.size

    @property
    def chunk_count(self) -> int:
        """How many chunks that makes, the last one, shorter or empty, included."""
        return chunk_count(self.size)

    def read_chunks(self, first_no: int, count: int) -> list[bytes]:
        """The bodies of so many chunks from number ``first_no`` on, fewer at the end of the file.

        Raises SourceChanged if the file is shorter, or longer, by now; PathUnreadable.
        """
        return [self._read(no) for no in range(first_no, min(first_no + count, self.chunk_count))]

    def close_unchanged(self) -> None:
        """Let go of the file, and raise SourceChanged unless it, and the one at the path, are what was opened."""
        try:
            now = (Fingerprint.of(self._file.stat()), Fingerprint.of(self._disk.stat(self.path)))
        except OSError as error:
            raise SourceChanged(self.path) from error
        finally:
            self.close()
        if now != (self.fingerprint, self.fingerprint):
            raise SourceChanged(self.path)

    def close(self) -> None:
        """Let go of the file. Closing again does nothing."""
        self._file.close()

    def _read(self, chunk_no: int) -> bytes:
        length = chunk_length(self.size, chunk_no)
        # Files like those of /proc say that they are empty, and are not.
        asked = length + (chunk_no == self.chunk_count - 1)
        try:
            body = self._file.read_at(chunk_offset(chunk_no), asked)
        except OSError as error:
            raise PathUnreadable(self.path, error) from error
        if len(body) != length:
            raise NotARegularFile(self.path) if self._is_as_it_was() else SourceChanged(self.path)
        return body

    def _is_as_it_was(self) -> bool:
        """Whether nobody has written to it: then it gives other than the bytes that it says, as those of /proc do."""
        try:
            return Fingerprint.of(self._file.stat()) == self.fingerprint
        except OSError:
            return False


def _check(path: str, stat: FileStat) -> None:
    if stat.kind is not FileKind.REGULAR:
        raise NotARegularFile(path)


def _reason(path: str, error: OSError | ValueError) -> StorageError:
    # ValueError: a NUL, or what can't be written in the file system's encoding. No file has such a name.
    if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError):
        return PathMissing(path)
    return PathUnreadable(path, error)
