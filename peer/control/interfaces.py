"""What a peer does for its user, as values and one interface: the remote interface without the wire."""

from collections.abc import Awaitable, Callable

from attrs import frozen
from zope.interface import Interface

from peer.errors import ErrorCode, OperationError

__all__ = [
    "BackupReport",
    "ChunkState",
    "DeleteReport",
    "ErrorCode",
    "FileState",
    "IOperations",
    "OperationError",
    "Progress",
    "ProgressListener",
    "ReclaimReport",
    "RestoreReport",
    "StatePage",
    "StateSummary",
]

# SPEC.md 10: a page is one answer on the wire, held in memory whole by both sides.
MAX_PAGE_ENTRIES = 500


@frozen(kw_only=True)
class Progress:
    """How far a long operation has come: `done` of `total`, counted in `unit` (a plural: "chunks")."""

    done: int
    total: int
    unit: str = "chunks"


ProgressListener = Callable[[Progress], None]
"""Is told how far an operation has come, as often as the operation likes; returns at once, never raises."""


@frozen(kw_only=True)
class BackupReport:
    """A backup that came to its end: `file_id` is 64 hex digits, `bytes` the file's size, `chunks` how many.

    `perceived_min` is the perceived replication degree of the worst chunk, `below_degree` how many chunks are
    below the degree that was asked for, `desired`. `seconds` is how long it took.
    """

    file_id: str
    bytes: int
    chunks: int
    desired: int
    perceived_min: int
    below_degree: int
    seconds: float


@frozen(kw_only=True)
class RestoreReport:
    """A file that was restored: `path` is where the peer wrote it, `seconds` how long it took."""

    file_id: str
    path: str
    bytes: int
    chunks: int
    seconds: float


@frozen(kw_only=True)
class DeleteReport:
    """A path that is no longer backed up; `file_id` is that of its newest version."""

    file_id: str


@frozen(kw_only=True)
class ReclaimReport:
    """The space that the peer lends now, in KByte (1000 bytes).

    `removed_chunks` is how many copies were dropped, and `unplaced_chunks` how many of those are now below
    their degree since no other peer took them.
    """

    capacity_kbytes: int
    used_kbytes: int
    removed_chunks: int
    unplaced_chunks: int


@frozen(kw_only=True)
class StateSummary:
    """What the peer is and has, in numbers: `peer` is its id, `version` the protocol version that it speaks.

    `files` counts the files whose backup it initiated, `chunks` the copies that it stores for others.
    """

    peer: int
    version: str
    capacity_kbytes: int
    used_kbytes: int
    files: int
    chunks: int


@frozen(kw_only=True)
class FileState:
    """A file whose backup this peer initiated, or a part of one: `chunks` pairs number and perceived degree.

    The parts of one file follow each other, in one page or over several, in the order of the chunks' numbers.
    ``chunk_count`` is how many the file has; those of a backup under way (SPEC.md 3.35) may not all be recorded yet.
    """

    path: str
    file_id: str
    desired: int
    chunk_count: int
    is_complete: bool
    chunks: tuple[tuple[int, int], ...]


@frozen(kw_only=True)
class ChunkState:
    """A copy that this peer stores: chunk `no` of the file `file_id`, a body of `length` bytes."""

    file_id: str
    no: int
    length: int
    desired: int
    perceived: int


@frozen(kw_only=True)
class StatePage:
    """A part of the state; `cursor` asks for the next one, and is empty when there is none."""

    files: tuple[FileState, ...]
    chunks: tuple[ChunkState, ...]
    cursor: str


class IOperations(Interface):
    """What a user can have the peer do. Each may also be a coroutine; each fails with an OperationError.

    Operations go on to their end whether or not somebody still waits for them.
    """

    def backup(path: str, degree: int, progress: ProgressListener) -> Awaitable[BackupReport]:
        """Keep `degree` (1 to 9) copies of the file at `path` (absolute) on other peers.

        The report may say that fewer copies were kept: that is no error.
        """

    def restore(path: str, progress: ProgressListener) -> Awaitable[RestoreReport]:
        """Get the newest complete version of `path` back, into the peer's restore folder."""

    def delete(path: str) -> Awaitable[DeleteReport]:
        """Have every peer give up every version of `path`."""

    def reclaim(kbytes: int, progress: ProgressListener) -> Awaitable[ReclaimReport]:
        """Lend at most `kbytes` KByte from now on, dropping copies as needed."""

    def limit_sending(bytes_per_second: int) -> Awaitable[None]:
        """Send chunks at so many bytes a second at the most from now on, until the peer stops; 0 for no limit."""

    def state_summary() -> Awaitable[StateSummary]:
        """What the peer is and has, in numbers."""

    def state_page(cursor: str) -> Awaitable[StatePage]:
        """The part of the state that `cursor` stands for: empty for the first, else as the page before says.

        A page has at most MAX_PAGE_ENTRIES entries, a chunk of either kind and a file being one each. A
        cursor that this peer never gave is an OperationError with the code USAGE.
        """
