"""The doors of a simulated peer: the production code behind them can't tell, and all that passes is noted.

A process of a peer has its own view of the clock, so that it can be killed: what it had pending never runs.
Nothing that a killed process held is let go of before the run ends: a coroutine that Python's collector finds
is resumed by it once more, and would speak from the grave.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from peer.config import GroupAddress
from peer.network import IGroupNetwork, Receive, SourceAddress
from protocol.values import Body, ChunkId, FileId
from storage.interfaces import ChunkToStore, FileVersion, Fingerprint, ICatalog, IChunkStore, PutOutcome
from tests.support.clock import SimClock
from tests.support.executor import ClockExecutor
from tests.support.lan import MemoryNetwork


@implementer(IReactorTime)
class ProcessClock:
    """The clock of everybody, as one process sees it: what is pending here goes when the process does."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._calls: list[IDelayedCall] = []
        self._prune_at = 64
        self._buried: list[object] = []
        self._is_dead = False

    def seconds(self) -> float:
        return self._clock.seconds()

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        call = self._clock.callLater(delay, callable, *args, **kw)
        if self._is_dead:
            self._bury(call)
            return call
        self._calls.append(call)
        if len(self._calls) >= self._prune_at:
            self._calls = self.pending()
            self._prune_at = 2 * len(self._calls) + 64
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        return self.pending()

    def pending(self) -> list[IDelayedCall]:
        """What has still to run."""
        return [call for call in self._calls if call.active()]

    def pending_names(self) -> list[str]:
        """What has still to run, in words that are the same in every run."""
        functions = [cast(Any, call).func for call in self.pending()]
        return [getattr(function, "__qualname__", type(function).__name__) for function in functions]

    def kill(self) -> None:
        """Let nothing run any more."""
        self._is_dead = True
        for call in self.pending():
            self._bury(call)
        self._calls.clear()

    def _bury(self, call: Any) -> None:
        self._buried.append((call, call.func, call.args, call.kw))
        call.cancel()


class SimExecutor(ClockExecutor):
    """An executor whose disk can be slow for a while."""

    def __init__(self, *, clock: IReactorTime, random: Random, max_delay: float) -> None:
        super().__init__(clock=clock, random=random, max_delay=max_delay)

    def set_slowness(self, max_delay: float) -> None:
        """Have calls take up to *max_delay* seconds from now on."""
        self._max_delay = max_delay


@implementer(IGroupNetwork)
class HeardNetwork:
    """A MemoryNetwork that tells what its peer gets to hear."""

    def __init__(self, network: MemoryNetwork, hear: Callable[[bytes, SourceAddress], None]) -> None:
        self._network = network
        self._hear = hear
        self.own_address = network.own_address

    @property
    def receive_buffer_bytes(self) -> int:
        return self._network.receive_buffer_bytes

    @property
    def failed_sends(self) -> int:
        return self._network.failed_sends

    def join(self, group: GroupAddress, receive: Receive) -> None:
        def heard(datagram: bytes, source: SourceAddress) -> None:
            if source != self.own_address:
                self._hear(datagram, source)
            receive(datagram, source)

        self._network.join(group, heard)

    def send(self, group: GroupAddress, *parts: Body) -> None:
        self._network.send(group, *parts)

    def close(self) -> Deferred[None]:
        return self._network.close()


class StorageWatcher:
    """Is told what a peer does to its copies, and which versions of its own files it begins and buries."""

    def stored(self, chunk: ChunkToStore, outcome: PutOutcome) -> None: ...

    def put_ended(self, used_before: int) -> None: ...

    def drop_begins(self, chunk_id: ChunkId) -> None: ...

    def dropped(self, chunk_id: ChunkId) -> None: ...

    def deletion_begins(self, file_id: FileId) -> None: ...

    def deleted(self, file_id: FileId) -> None: ...

    def version_begun(self, version: FileVersion) -> None: ...

    def buried(self, version_ids: Collection[int]) -> None: ...


def watched_store(store: IChunkStore, watcher: StorageWatcher) -> IChunkStore:
    """A chunk store that tells what is done to it."""
    return cast(IChunkStore, _WatchedStore(store, watcher))


def watched_catalog(catalog: ICatalog, watcher: StorageWatcher) -> ICatalog:
    """A catalog that tells of the versions that are begun and buried."""
    return cast(ICatalog, _WatchedCatalog(catalog, watcher))


class _WatchedStore:
    def __init__(self, store: IChunkStore, watcher: StorageWatcher) -> None:
        self._store = store
        self._watcher = watcher
        for name in IChunkStore.names():
            if name not in ("put", "delete", "delete_files"):
                setattr(self, name, getattr(store, name))

    def put(self, chunks: Sequence[ChunkToStore]) -> list[PutOutcome]:
        used_before: int = self._store.usage().used_bytes
        outcomes: list[PutOutcome] = self._store.put(chunks)
        for chunk, outcome in zip(chunks, outcomes, strict=True):
            self._watcher.stored(chunk, outcome)
        self._watcher.put_ended(used_before)
        return outcomes

    def delete(self, chunk_ids: Sequence[ChunkId]) -> list[bool]:
        for chunk_id in chunk_ids:
            self._watcher.drop_begins(chunk_id)
        held: list[bool] = self._store.delete(chunk_ids)
        for chunk_id, was_held in zip(chunk_ids, held, strict=True):
            if was_held:
                self._watcher.dropped(chunk_id)
        return held

    def delete_files(self, file_ids: Sequence[FileId]) -> list[bool]:
        for file_id in file_ids:
            self._watcher.deletion_begins(file_id)
        are_gone: list[bool] = self._store.delete_files(file_ids)
        for file_id, is_gone in zip(file_ids, are_gone, strict=True):
            if is_gone:
                self._watcher.deleted(file_id)
        return are_gone


class _WatchedCatalog:
    def __init__(self, catalog: ICatalog, watcher: StorageWatcher) -> None:
        for name in ICatalog.names():
            if name not in ("begin_version", "bury"):
                setattr(self, name, getattr(catalog, name))
        self._catalog = catalog
        self._watcher = watcher

    def begin_version(
        self, path: str, file_id: FileId, salt: bytes, desired: int, fingerprint: Fingerprint
    ) -> FileVersion:
        version: FileVersion = self._catalog.begin_version(path, file_id, salt, desired, fingerprint)
        self._watcher.version_begun(version)
        return version

    def bury(self, version_ids: Collection[int], now: float) -> None:
        self._watcher.buried(version_ids)
        self._catalog.bury(version_ids, now)
