"""What can go wrong with the disk, as errors that a user can act on.

Each class has a ``code`` of SPEC.md 10.10, for programs, and makes one sentence out of the facts that it is
given, for people: what is wrong, and what to do. ``str(error)`` is that sentence. Paths stand in it as Python
writes them in quotes, so that a name with a line break or with bytes that aren't text stays one line.
"""

from __future__ import annotations

import errno
import os
import shlex
from typing import ClassVar, Final


class StorageError(Exception):
    """The disk, or what is on it, doesn't allow what was asked. ``sentence`` says why and what to do."""

    code: ClassVar[str] = "STORAGE_FAILED"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class PathMissing(StorageError):
    """There is nothing at the path."""

    code = "PATH_MISSING"

    def __init__(self, path: str) -> None:
        super().__init__(f"There is no file {path!r}: check the path, which is taken as the peer sees it.")


class PathUnreadable(StorageError):
    """The operating system doesn't let the peer read the path."""

    code = "PATH_UNREADABLE"

    def __init__(self, path: str, reason: OSError) -> None:
        super().__init__(
            f"The peer can't read {path!r} ({_said(reason)}): let the user that the peer runs as read it."
        )


class NotARegularFile(StorageError):
    """The path is a folder, a device, a pipe or a socket, or a file that hasn't the bytes that it says."""

    code = "NOT_A_REGULAR_FILE"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path!r} is a folder, a device, a pipe, a socket, or made by the system as it is read: "
            "only ordinary files can be backed up."
        )


class FileTooLarge(StorageError):
    """The file has more chunks than SPEC.md allows."""

    code = "FILE_TOO_LARGE"

    def __init__(self, path: str, size: int, most: int) -> None:
        super().__init__(
            f"{path!r} has {size:,} bytes and {most:,} is the most for one: split it and back up the parts."
        )


class SourceChanged(StorageError):
    """The file isn't any more what it was when it was opened."""

    code = "SOURCE_CHANGED"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path!r} changed while it was being read: back it up again when nothing writes to it."
        )


class UnusableName(StorageError):
    """No file can be made under the name."""

    code = "STORAGE_FAILED"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} doesn't end in a name that a file can have: give the path of a file.")


class StoreUnusable(StorageError):
    """The store's folder can't be made or opened, or something in it that isn't ours stands in the way."""

    code = "STORAGE_FAILED"

    def __init__(self, path: str, reason: OSError) -> None:
        super().__init__(
            f"The peer can't use {path!r} for its store ({_said(reason)}):"
            " make it a folder of the user that the peer runs as, or choose another with --store."
        )


class StoreMissing(StorageError):
    """There is no store in the folder."""

    code = "STORAGE_FAILED"

    def __init__(self, root: str) -> None:
        super().__init__(
            f"{root!r} holds no store of a peer: give the folder that a peer has as its --store."
        )


class StoreLocked(StorageError):
    """Another peer is running on the store."""

    code = "STORE_LOCKED"

    def __init__(self, root: str) -> None:
        super().__init__(
            f"Another peer is using the store {root!r}: stop that one, or give this one another --store."
        )


class StoreIdentity(StorageError):
    """The store belongs to a peer with another id."""

    code = "STORE_IDENTITY"

    def __init__(self, root: str, *, owner: int, asked: int) -> None:
        super().__init__(
            f"The store {root!r} belongs to peer {owner}, not to peer {asked}:"
            f" leave --id out, or give peer {asked} another --store."
        )


class StoreNewer(StorageError):
    """A newer version of the program has written the store."""

    code = "STORE_NEWER"

    def __init__(self, path: str, *, found: int, known: int) -> None:
        super().__init__(
            f"{path!r} is of version {found} and this program knows versions up to {known}:"
            " run the newer program on it; nothing was changed."
        )


class CatalogDamaged(StorageError):
    """The catalog or the index can't be read as what it should be."""

    code = "CATALOG_DAMAGED"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path!r} is damaged or missing ({printable(reason)}): stop the peer and put this file back from a copy,"
            " or choose another --store."
        )


class IndexDamaged(CatalogDamaged):
    """The index can't be read as what it should be. Unlike the catalog it can be made anew."""

    def __init__(self, path: str, reason: str) -> None:
        StorageError.__init__(
            self,
            f"{path!r} is damaged or missing ({printable(reason)}): stop the peer and run"
            f" python -m tools.store rebuild {printable(shlex.quote(os.path.dirname(path)))}",
        )


class DiskFull(StorageError):
    """The file system has no room left."""

    code = "DISK_FULL"

    def __init__(self, path: str) -> None:
        super().__init__(f"The disk that holds {path!r} is full: free some space on it and try again.")


class DiskFailed(StorageError):
    """The disk refuses to write or read, for a reason other than being full."""

    code = "STORAGE_FAILED"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The disk fails at {path!r} ({reason}): look into the system's log and mend or replace it."
        )


class DiskForbidden(DiskFailed):
    """What the peer has to write to isn't there for it; the disk itself is well."""

    def __init__(self, path: str, reason: str, advice: str) -> None:
        StorageError.__init__(self, f"The peer can't use {path!r} ({reason}): {advice}.")


class CapacityTooLarge(StorageError):
    """More space was promised to others than the file system has."""

    code = "CAPACITY_TOO_LARGE"

    def __init__(self, *, capacity_bytes: int, possible_bytes: int) -> None:
        super().__init__(
            f"A capacity of {capacity_bytes // 1000:,} KByte doesn't fit the disk, which has room for"
            f" {possible_bytes // 1000:,}: choose a smaller one, or free some space."
        )


def printable(text: str) -> str:
    """The text on one line, whatever a damaged file has put into it."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _said(reason: OSError) -> str:
    return os.strerror(reason.errno) if reason.errno else str(reason)


_FORBIDDEN: Final = {
    errno.EACCES: "let the user that it runs as write there",
    errno.EPERM: "let the user that it runs as write there",
    errno.ENOENT: "what the peer made there was moved or removed, so put it back",
    errno.ENOTDIR: "what the peer made there was replaced by a file, so put it back",
}


def disk_trouble(path: str, reason: OSError) -> StorageError:
    """What a call that writes to the path failed of: a full disk, or another."""
    if reason.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(path)
    if reason.errno in _FORBIDDEN:
        return DiskForbidden(path, _said(reason), _FORBIDDEN[reason.errno])
    return DiskFailed(path, _said(reason))
