"""The contracts of the chunk store and of the catalog, and the values that go through them.

All calls block and take batches; the results stand in the order of the items. Whoever calls makes one call at
a time, except that ``IChunkStore.get`` and ``scrub``, one of them at a time, may run beside any other call of the
same store, in another thread.
Errors are those of ``storage.errors``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from enum import Enum

from attrs import frozen
from zope.interface import Interface

from protocol.digest import Digest
from protocol.values import Body, ChunkId, FileId, PeerId
from storage.capacity import charged_bytes
from storage.disk import FileStat
from storage.scrub import ScrubBatch, ScrubMark


@frozen
class ChunkToStore:
    """A chunk to be kept for another peer, with the holders that are known so far (this peer among them)."""

    chunk_id: ChunkId
    desired: int
    body: Body
    holders: frozenset[PeerId]


class PutOutcome(Enum):
    """What became of a chunk that was to be stored. Only STORED, HELD and MENDED allow a STORED to be sent."""

    STORED = "stored"
    """It is on the disk now and stays there, whatever happens."""

    HELD = "held"
    """It is there with the same body: the two were compared. A higher desired degree and new holders were taken
    over, durably."""

    MENDED = "mended"
    """It was there, damaged, and is whole now: the body took its place, as durably as one that is STORED."""

    CONFLICT = "conflict"
    """It was there with another body. Nothing was changed."""

    NO_ROOM = "no room"
    """It would go beyond the capacity, or take of the disk what must stay free on it."""

    FAILED = "failed"
    """The disk refused it: full, or an error; or its file is being deleted. The store goes on serving."""


@frozen
class HeldChunk:
    """What is known about a chunk that this peer keeps for another."""

    chunk_id: ChunkId
    length: int
    """Bytes of the body."""
    desired: int
    digest: Digest
    holders: frozenset[PeerId]

    @property
    def perceived(self) -> int:
        """How many distinct peers are known to hold it."""
        return len(self.holders)

    @property
    def charged_bytes(self) -> int:
        """What it takes of the capacity."""
        return charged_bytes(self.length)


@frozen
class HolderNote:
    """News of one peer that holds a chunk (a STORED, a CHUNK), or doesn't any more (a REMOVED)."""

    chunk_id: ChunkId
    peer_id: PeerId
    holds: bool


@frozen
class HolderChange:
    """What a HolderNote did. ``was_news``: the peer wasn't counted before and is now, or vice versa."""

    chunk_id: ChunkId
    was_news: bool
    perceived: int
    desired: int


@frozen
class ReadOutcome:
    """A body that was read. None: not held or, if ``is_damaged``, its bytes aren't what they were."""

    body: Body | None
    is_damaged: bool = False


@frozen
class StoreUsage:
    """How full the store is. ``used_bytes`` counts charged bytes; the disk's own figure stands beside it."""

    capacity_bytes: int
    used_bytes: int
    chunks: int
    disk_free_bytes: int


class IChunkStore(Interface):
    """The chunks that this peer keeps for others. One bad item of a batch never fails the others."""

    def put(chunks: Sequence[ChunkToStore]) -> list[PutOutcome]:
        """Store bodies; they are durable on return. A chunk may stand in the batch more than once."""

    def get(chunk_ids: Sequence[ChunkId]) -> list[ReadOutcome]:
        """Read bodies, each compared with its digest. May run at the same time as any other call."""

    def describe(chunk_ids: Sequence[ChunkId]) -> list[HeldChunk | None]:
        """What is known about each; None: not held."""

    def delete(chunk_ids: Sequence[ChunkId]) -> list[bool]:
        """Drop chunks, durably, and give their space back to the file system. False: wasn't held."""

    def delete_files(file_ids: Sequence[FileId]) -> list[bool]:
        """Drop chunks of each file, as ``delete`` does, but no more in one call than a put can wait for.

        True: nothing of the file is left. False: call again. Meanwhile, durably, what is left takes its part of
        the capacity, but nothing else of it is seen, and no chunk of the file can be put.
        """

    def deletions() -> list[FileId]:
        """The files that ``delete_files`` has yet to be called for again, in the order of the fileIds."""

    def note_holders(notes: Sequence[HolderNote]) -> list[HolderChange | None]:
        """Count holders; None: the chunk isn't held. Not synced: a crash may lose it, it is learned again."""

    def page(after: ChunkId | None, limit: int) -> list[HeldChunk]:
        """The next chunks in the order of their ids, from the first one if ``after`` is None."""

    def over_replicated(after: ChunkId | None, limit: int) -> list[HeldChunk]:
        """As ``page``, of those chunks alone whose perceived degree is above the desired one."""

    def unconfirmed(after: FileId | None, limit: int) -> list[ChunkId]:
        """One chunk of each file that was found on the disk without an index, in the order of the fileIds.

        It may have been deleted. Until it is confirmed nothing of it is given by ``get``, ``describe`` or a
        page, but it takes its part of the capacity. To put a chunk of it confirms it: its home still wants it.
        """

    def confirm(file_ids: Sequence[FileId]) -> None:
        """These files have not been deleted, as far as anybody knows."""

    def scrub(after: ChunkId | None, limit: int) -> ScrubBatch:
        """Read the next chunks in the order of their ids, as they are on the disk, and tell the damaged ones.

        A chunk whose row can't be trusted is one of them. May run beside any other call, as ``get`` may, but
        not beside that.
        """

    def keep_scrub_mark(mark: ScrubMark) -> None:
        """Keep how far the scrub has come. Not synced: a crash may lose it."""

    def scrub_mark() -> ScrubMark | None:
        """How far it had come; None: it never began."""

    def usage() -> StoreUsage:
        """How full the store is. Raises DiskFailed."""

    def set_capacity(capacity_bytes: int) -> None:
        """Allow so many charged bytes from now on, durably. What is over stays until somebody deletes it."""

    def close() -> None:
        """Let go of the disk. No other call may follow."""


class VersionState(Enum):
    """How far the backup of a version of a file has come."""

    UNDER_WAY = "under way"
    """Its run has not ended. After a restart it resumes."""

    COMPLETE = "complete"
    """Its run has ended and each chunk has a holder at least: it can be restored. That the desired degree was
    reached is told by ``FileVersion.degree_met``."""


@frozen
class Fingerprint:
    """By what an unchanged file is told from a changed one without reading it."""

    size: int
    mtime_ns: int
    ctime_ns: int
    device: int
    inode: int

    @classmethod
    def of(cls, stat: FileStat) -> Fingerprint:
        """The fingerprint of the file that the disk describes so."""
        return cls(stat.size, stat.mtime_ns, stat.ctime_ns, stat.device, stat.inode)


@frozen
class FileVersion:
    """One content that a path of ours had when it was backed up."""

    version_id: int
    """Numbers the versions of all paths in the order in which they were begun; never used again."""
    path: str
    file_id: FileId
    desired: int
    size: int
    chunk_count: int
    fingerprint: Fingerprint
    state: VersionState
    degree_met: bool
    """Whether every chunk had its desired degree when the run ended. False while it is under way."""
    salt: bytes
    """The random part of what ``file_id`` is the hash of."""


@frozen
class HomeChunk:
    """A chunk of a file of ours: what its bytes must be, and who is known to hold it."""

    chunk_no: int
    digest: Digest | None
    holders: frozenset[PeerId]


@frozen
class DeadFile:
    """A fileId of ours that was deleted and never comes back. ``buried_at``: seconds of the wall clock."""

    file_id: FileId
    buried_at: float
    is_announced: bool
    """Whether its DELETE has been sent as often as it has to be."""


class ICatalog(Interface):
    """The files of this peer's own. What a call has done is durable on return, but for ``note_holders``.

    A call about a version that isn't there (any more) raises KeyError and changes nothing.
    """

    def together() -> AbstractContextManager[None]:
        """What calls in the block have done is durable at its end, all in one, and not before.

        Each can fail by itself. If the end raises, none of them has done anything.
        """

    def setting(name: str) -> str | None:
        """What was last set under the name, or None."""

    def set_setting(name: str, value: str) -> None:
        """Keep a value under a name."""

    def begin_version(
        path: str, file_id: FileId, salt: bytes, desired: int, fingerprint: Fingerprint
    ) -> FileVersion:
        """A new version of the path, UNDER_WAY. ValueError: the fileId is in use or dead."""

    def record_chunks(version_id: int, chunks: Sequence[HomeChunk]) -> None:
        """Write down chunks as they are given here. A digest of None leaves the one that is known."""

    def finish_version(version_id: int, *, degree_met: bool) -> list[FileVersion]:
        """The version is COMPLETE: those that are of no more use, newest first.

        They are the older ones of its path, once its degree is met.
        """

    def set_desired(version_id: int, desired: int) -> None:
        """Another degree is asked for; a higher one isn't met yet."""

    def set_fingerprint(version_id: int, fingerprint: Fingerprint) -> None:
        """The file was touched, its content is the same."""

    def reopen_version(version_id: int) -> None:
        """Back to UNDER_WAY, its degree not met."""

    def versions(path: str) -> list[FileVersion]:
        """The versions of a path, newest first."""

    def version_of(file_id: FileId) -> FileVersion | None:
        """The version that has the fileId."""

    def unmet() -> list[FileVersion]:
        """The versions whose degree isn't met, oldest first: those under way are among them."""

    def page_versions(after_version_id: int, limit: int) -> list[FileVersion]:
        """The next versions of all paths, by number; from the first one after 0."""

    def chunks(version_id: int, first_no: int, limit: int) -> list[HomeChunk]:
        """The next recorded chunks from number ``first_no`` on; those never recorded are left out."""

    def note_holders(notes: Sequence[HolderNote]) -> list[HolderChange | None]:
        """Count holders; None: no such chunk is recorded. Not synced, as ``IChunkStore.note_holders``."""

    def bury(version_ids: Collection[int], now: float) -> None:
        """Forget versions and put their fileIds among the dead, all in one. Unknown ones are passed over."""

    def dead() -> list[DeadFile]:
        """The dead fileIds, longest dead first."""

    def set_announced(file_ids: Collection[FileId]) -> None:
        """Their DELETEs have been sent as often as they have to be."""

    def forget_dead(before: float) -> None:
        """Forget the dead that were buried before that time."""

    def home_file_ids() -> list[FileId]:
        """The fileIds of all versions: chunks of them are never stored here."""

    def close() -> None:
        """Let go of the disk. No other call may follow."""
