"""What can go wrong with what a user asked of the peer: a code for programs, a sentence for people."""

from enum import Enum


class ErrorCode(Enum):
    """Why an operation was not done. The value is the name that goes over the control protocol (SPEC.md 10).

    The storage's errors have members of the same meaning here, so that what a disk refused reaches the user
    under its own name.
    """

    USAGE = "USAGE"
    """What was asked for makes no sense, whatever the peer's condition: a degree of 10, say."""

    PATH_NOT_ABSOLUTE = "PATH_NOT_ABSOLUTE"
    """The peer has a working folder of its own, so that a relative path names nothing in particular."""

    PATH_MISSING = "PATH_MISSING"
    """Nothing is at the path."""

    PATH_UNREADABLE = "PATH_UNREADABLE"
    """The peer may not read what is at the path."""

    NOT_A_REGULAR_FILE = "NOT_A_REGULAR_FILE"
    """A folder, a device or something else that has no bytes to back up is at the path."""

    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    """The file has more than 1,000,000 chunks."""

    SOURCE_CHANGED = "SOURCE_CHANGED"
    """The file was written to while it was being read."""

    NEVER_BACKED_UP = "NEVER_BACKED_UP"
    """No version of the path is in this peer's catalog."""

    NOT_YET_COMPLETE = "NOT_YET_COMPLETE"
    """The path's first backup has not come to its end: there is no complete version to restore."""

    NO_COPIES = "NO_COPIES"
    """A backup ended with chunks that no peer has stored."""

    CHUNKS_MISSING = "CHUNKS_MISSING"
    """A restore ended with chunks that no peer has given."""

    CANCELLED = "CANCELLED"
    """A DELETE of the same path ended the operation."""

    CAPACITY_TOO_LARGE = "CAPACITY_TOO_LARGE"
    """The disk can't hold what the peer was told to lend."""

    DISK_FULL = "DISK_FULL"
    """The peer's disk had no room for what it had to write."""

    STORAGE_FAILED = "STORAGE_FAILED"
    """The peer's disk refused for another reason than being full."""

    STORE_LOCKED = "STORE_LOCKED"
    """Another peer is running on the same store."""

    STORE_IDENTITY = "STORE_IDENTITY"
    """The store belongs to a peer with another id."""

    STORE_NEWER = "STORE_NEWER"
    """A newer version of this program has written the store."""

    CATALOG_DAMAGED = "CATALOG_DAMAGED"
    """The catalog on disk can't be read as one."""

    NETWORK_FAILED = "NETWORK_FAILED"
    """The operating system refused the groups, the interface or the access point."""

    NOT_ENHANCED = "NOT_ENHANCED"
    """An enhanced subprotocol was asked of a peer that speaks version 1.0 only."""

    STOPPING = "STOPPING"
    """The peer was stopped before the operation came to its end."""

    INTERNAL = "INTERNAL"
    """A mistake in the peer itself; its log has the details."""

    UNREACHABLE = "UNREACHABLE"
    """No peer answers at the access point."""

    CONNECTION_LOST = "CONNECTION_LOST"
    """The connection to the peer was lost before it said how the operation ended."""

    REFUSED = "REFUSED"
    """A side didn't prove that it knows the secret, or they share no version of the control protocol."""

    @property
    def exit_status(self) -> int:
        """What a command ends with: 2 for wrong usage, 4 when no peer answers or it refuses us, else 1."""
        if self is ErrorCode.USAGE:
            return 2
        if self in (ErrorCode.UNREACHABLE, ErrorCode.REFUSED):
            return 4
        return 1


class OperationError(Exception):
    """An operation was not done.

    `code` says why to a program; `sentence`, one line, says why to a person, and what to do.
    """

    def __init__(self, code: ErrorCode, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class CopyLost(Exception):
    """The copy that was to be sent is gone, by a deletion or by damage. No user is told of it."""
