"""This peer's own files: their versions in the catalog, and their bytes on disk."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from random import Random

from peer.blocking import Lane
from peer.delete import DeadFiles
from peer.waiting import Turnstile, uninterrupted
from protocol.digest import Digest
from protocol.limits import MAX_FILES_READ, MAX_FILES_RESTORED, MAX_READ_AHEAD_BYTES
from protocol.values import ChunkId, FileId
from protocol.window import Window
from storage.disk import IDisk
from storage.errors import FileTooLarge, NotARegularFile, PathMissing, SourceChanged
from storage.interfaces import FileVersion, Fingerprint, HomeChunk, ICatalog, VersionState
from storage.source import SourceFile

READ_AHEAD = 16
"""Chunks read from the original at once (1 MB)."""

SALT_BYTES = 32

ReadChunk = tuple[bytes, Digest]


def new_file_id(salt: bytes, path: str, fingerprint: Fingerprint) -> FileId:
    """The fileId of a new version: never used twice, since its salt is random (SPEC.md 3.30)."""
    described = f"{path}\0{fingerprint.size}\0{fingerprint.mtime_ns}".encode(errors="surrogateescape")
    return FileId(sha256(salt + described).digest())


def is_of(recorded: Digest | None, chunk: ReadChunk) -> bool:
    """Whether a chunk that was read has the digest that was recorded, by whichever algorithm."""
    body, digest = chunk
    return recorded is not None and (recorded == digest or recorded.matches(body))


def batches(count: int) -> Iterator[range]:
    """The numbers from 0 below *count*, in ranges of READ_AHEAD."""
    for first in range(0, count, READ_AHEAD):
        yield range(first, min(first + READ_AHEAD, count))


class Home:
    """The home peer's side of every file: which version a content is, what is known of its chunks, and reading it.

    ``file_ids`` are the fileIds of all versions in the catalog; this peer stores no chunk of these.
    ``restore_numbers`` are those of the RESTOREs since the start.
    """

    def __init__(
        self,
        *,
        disk: IDisk,
        catalog: ICatalog,
        catalog_lane: Lane,
        file_lane: Lane,
        dead_files: DeadFiles,
        random: Random,
    ) -> None:
        self.disk = disk
        self.catalog = catalog
        self.catalog_lane = catalog_lane
        self.file_lane = file_lane
        self.file_ids: set[FileId] = set()
        self.restore_numbers = count()
        self.reads_at_once = Turnstile(Window(MAX_FILES_READ))
        self.restores_at_once = Turnstile(Window(MAX_FILES_RESTORED))
        self.read_ahead = Turnstile(Window(MAX_READ_AHEAD_BYTES))
        self._dead_files = dead_files
        self._random = random

    async def start(self) -> None:
        """Recall the fileIds of this peer's files."""
        self.file_ids.update(await self.catalog_lane.run(self.catalog.home_file_ids))

    def is_ours(self, file_id: FileId) -> bool:
        """Whether the file is one of this peer's own."""
        return file_id in self.file_ids

    async def read(self, source: SourceFile, numbers: range) -> list[ReadChunk]:
        """Read some chunks of the original, each with its digest."""

        def read_and_digest() -> list[ReadChunk]:
            bodies = source.read_chunks(numbers.start, len(numbers))
            return [(body, Digest.of(body)) for body in bodies]

        read: list[ReadChunk] = await self.file_lane.run(read_and_digest)
        return read

    async def read_again(self, version: FileVersion, chunk_no: int, digest: Digest) -> bytes:
        """Read one chunk of the original; SourceChanged if it isn't what it was when it was first read."""
        body: bytes = await self.file_lane.run(_read_again, self.disk, version, chunk_no, digest)
        return body

    async def has_changed(self, version: FileVersion) -> bool:
        """Whether the file that the version was read from is another by now, as its fingerprint tells."""
        has_changed: bool = await self.file_lane.run(_has_changed, self.disk, version)
        return has_changed

    async def versions(self, path: str) -> list[FileVersion]:
        """All versions of *path*, newest first."""
        versions: list[FileVersion] = await self.catalog_lane.run(self.catalog.versions, path)
        return versions

    async def known_chunks(self, version: FileVersion, numbers: range) -> dict[int, HomeChunk]:
        """What the catalog has of the chunks with these numbers."""
        chunks: list[HomeChunk] = await self.catalog_lane.run(
            self.catalog.chunks, version.version_id, numbers.start, len(numbers)
        )
        return {chunk.chunk_no: chunk for chunk in chunks if chunk.chunk_no in numbers}

    async def find(self, chunk_id: ChunkId) -> tuple[FileVersion, HomeChunk] | None:
        """The version that a chunk belongs to, and what is known of it; None if it isn't ours or was never read."""
        version: FileVersion | None = await self.catalog_lane.run(self.catalog.version_of, chunk_id.file_id)
        if version is None:
            return None
        no = chunk_id.chunk_no
        chunk = (await self.known_chunks(version, range(no, no + 1))).get(no)
        return None if chunk is None else (version, chunk)

    async def version_for(self, source: SourceFile, path: str, desired: int) -> tuple[FileVersion, bool]:
        """The version that the file's content belongs to: the newest one while it is unchanged, else a new one.

        True with it: it is new, and nothing is known of its chunks.

        An unfinished version of other content is buried: nobody can ever restore it.
        """
        versions = await self.versions(path)
        if versions and await self._is_unchanged(source, versions[0]):
            return await self._kept(versions[0], source.fingerprint, desired), False
        salt = self._random.randbytes(SALT_BYTES)
        file_id = new_file_id(salt, path, source.fingerprint)
        self.file_ids.add(file_id)
        version: FileVersion = await self.catalog_lane.run(
            self.catalog.begin_version, path, file_id, salt, desired, source.fingerprint
        )
        await self.bury([old for old in versions if old.state is VersionState.UNDER_WAY])
        return version, True

    async def bury(self, versions: list[FileVersion]) -> None:
        """Forget these versions for good, and have the group delete their chunks.

        What is begun is done: whoever is cancelled while he waits for it has buried them all the same.
        """
        if versions:
            await uninterrupted(self._bury(versions))

    async def _bury(self, versions: list[FileVersion]) -> None:
        file_ids = [version.file_id for version in versions]
        await self._dead_files.bury([version.version_id for version in versions], file_ids)
        self.file_ids.difference_update(file_ids)

    async def _kept(self, version: FileVersion, fingerprint: Fingerprint, desired: int) -> FileVersion:
        if version.fingerprint != fingerprint:
            await self.catalog_lane.run(self.catalog.set_fingerprint, version.version_id, fingerprint)
        if version.desired < desired:
            await self.catalog_lane.run(self.catalog.set_desired, version.version_id, desired)
        kept: FileVersion | None = await self.catalog_lane.run(self.catalog.version_of, version.file_id)
        return kept or version

    async def _is_unchanged(self, source: SourceFile, version: FileVersion) -> bool:
        """By the fingerprint, or else by every chunk's digest: times and places change where contents don't."""
        if source.fingerprint == version.fingerprint:
            return True
        if source.fingerprint.size != version.size:
            return False
        for numbers in batches(version.chunk_count):
            known = await self.known_chunks(version, numbers)
            if len(known) < len(numbers):
                return False
            read = await self.read(source, numbers)
            if not all(is_of(known[no].digest, chunk) for no, chunk in zip(numbers, read, strict=True)):
                return False
        return True


def _has_changed(disk: IDisk, version: FileVersion) -> bool:
    try:
        return Fingerprint.of(disk.stat(version.path)) != version.fingerprint
    except OSError:
        # The run that follows says what is wrong.
        return True


def _read_again(disk: IDisk, version: FileVersion, chunk_no: int, digest: Digest) -> bytes:
    try:
        source = SourceFile.open(disk, version.path)
    except (PathMissing, NotARegularFile, FileTooLarge) as error:
        raise SourceChanged(version.path) from error
    try:
        # Not by its times: a file that was only touched is unchanged, and the digest tells more than they do.
        if source.size != version.size:
            raise SourceChanged(version.path)
        [body] = source.read_chunks(chunk_no, 1)
    finally:
        source.close()
    if not digest.matches(body):
        raise SourceChanged(version.path)
    return body
