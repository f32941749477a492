"""Bugs to be planted one at a time, to see whether the simulator finds them (see ``planted``).

Each is one that programs of this kind have had. It is put into the production code while a run goes on, from here; the
production code knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from typing import Any, Final
from unittest.mock import patch

from attrs import frozen

from peer import home
from peer.backup import ChunkBackup
from peer.backup_responder import PutChunkResponder, StoredAnswers
from peer.delete import DeadFiles, DeleteResponder
from peer.repair import RemovedResponder
from peer.restore import ChunkRestore
from peer.restore_responder import GetChunkResponder
from peer.scrub import Scrub
from peer.withdrawal import Withdrawals
from protocol.digest import Digest
from protocol.messages import Chunk, Delete, GetChunk, PutChunk
from protocol.replication import Replication
from protocol.values import ChunkId, FileId, PeerId
from storage import opening
from storage.database import Database
from storage.interfaces import Fingerprint
from storage.restored import RestoredFile
from storage.segments import SegmentFiles
from storage.slot_rows import PlacedChunk
from storage.slot_store import SlotChunkStore
from storage.slot_writer import SlotWriter


@frozen
class Replacement:
    """A piece of the production code, and what makes a wrong one of the right one."""

    target: Any
    attribute: str
    spoil: Callable[[Any], Any]


@frozen
class Bug:
    """What is wrong, and where."""

    said: str
    replacements: tuple[Replacement, ...]
    is_found_soon: bool = False
    """Whether some dozen seeds find it."""

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Have the bug in the code for a while."""
        with ExitStack() as planted:
            for one in self.replacements:
                right = getattr(one.target, one.attribute)
                planted.enter_context(patch.object(one.target, one.attribute, one.spoil(right)))
            yield


def _stored_too_soon(respond: Any) -> Any:
    def wrong(self: PutChunkResponder, message: PutChunk) -> None:
        respond(self, message)
        self._answers.answer(message.chunk_id)

    return wrong


def _commit_not_synced(transaction: Any) -> Any:
    return lambda self, *, is_promise=True: transaction(self, is_promise=False)


def _sent_once(_wait_is_over: Any) -> Any:
    def wrong(self: ChunkBackup) -> None:
        self._timer = None
        self._finish()

    return wrong


def _messages_counted(add: Any) -> Any:
    def wrong(self: Replication, peer_id: PeerId) -> bool:
        return bool(add(self, peer_id) or add(self, PeerId(10**6 + len(self.holders))))

    return wrong


def _suppressed_for_ever(respond: Any) -> Any:
    def wrong(self: GetChunkResponder, message: GetChunk) -> None:
        if message.chunk_id not in self.__dict__.setdefault("planted", set()):
            respond(self, message)

    return wrong


def _overheard_for_ever(overheard: Any) -> Any:
    def wrong(self: GetChunkResponder, message: Chunk) -> None:
        self.__dict__.setdefault("planted", set()).add(message.chunk_id)
        overheard(self, message)

    return wrong


def _damage_passed_over(read: Any) -> Any:
    async def wrong(self: Scrub, *arguments: Any) -> Any:
        with patch.object(self, "_drop_damaged", lambda chunk_id: None):
            return await read(self, *arguments)

    return wrong


def _id_without_salt(_new_file_id: Any) -> Any:
    def wrong(_salt: bytes, path: str, fingerprint: Fingerprint) -> FileId:
        return FileId(sha256(f"{path} {fingerprint.size}".encode()).digest())

    return wrong


def _row_before_bytes(store: Any) -> Any:
    def say_synced(writer: SlotWriter) -> tuple[list[PlacedChunk], list[PlacedChunk]]:
        writer._given_up.clear()
        return writer._written, []

    def wrong(self: SlotChunkStore, *arguments: Any) -> Any:
        with patch.object(SlotWriter, "sync", say_synced):
            failed = store(self, *arguments)
        for number in self._space._segments:
            self._files.sync(number)
        return failed

    return wrong


def _dropped_unconfirmed(settle: Any) -> Any:
    def wrong(self: Withdrawals, chunk_id: ChunkId, withdrawal: Any, held: Any, **_threshold: int) -> Any:
        withdrawal.given_up = None
        return settle(self, chunk_id, withdrawal, held, threshold=0)

    return wrong


def _queue_left(respond: Any) -> Any:
    def wrong(self: DeleteResponder, message: Delete) -> None:
        self._forget_file = ()
        respond(self, message)

    return wrong


def _nothing_announced(_start: Any) -> Any:
    async def wrong(self: DeadFiles) -> None:
        for file in await self._catalog_lane.run(self._catalog.dead):
            self._last_sent[file.file_id] = float("-inf")

    return wrong


def _nothing_forgotten(_stop: Any) -> Any:
    return lambda self: None


def _vouched_for_all_the_same(_vouch: Any) -> Any:
    def wrong(self: StoredAnswers, chunk_id: ChunkId) -> None:
        self._speaker.stored(chunk_id)

    return wrong


def _asked_once(_wait_is_over: Any) -> Any:
    def wrong(self: ChunkRestore) -> None:
        self._timer = None
        self._finish(False)

    return wrong


def _not_synced_before_its_name(commit: Any) -> Any:
    def wrong(self: RestoredFile) -> Any:
        with patch.object(type(self._file), "sync", lambda _file: None):
            return commit(self)

    return wrong


BUGS: Final = (
    Bug(
        "STORED goes out before the chunk is stored",
        (Replacement(PutChunkResponder, "respond", _stored_too_soon),),
        is_found_soon=True,
    ),
    Bug(
        "a slot is never synced",
        (Replacement(SegmentFiles, "sync", lambda _right: lambda self, number: None),),
        is_found_soon=True,
    ),
    Bug(
        "a commit that is a promise is not synced",
        (Replacement(Database, "transaction", _commit_not_synced),),
        is_found_soon=True,
    ),
    Bug(
        "an index row is written before its bytes",
        (Replacement(SlotChunkStore, "_store", _row_before_bytes),),
    ),
    Bug("a PUTCHUNK is never sent again", (Replacement(ChunkBackup, "_wait_is_over", _sent_once),)),
    Bug(
        "messages are counted, not senders",
        (Replacement(Replication, "add", _messages_counted),),
        is_found_soon=True,
    ),
    Bug(
        "a CHUNK overheard once silences its holder for ever",
        (
            Replacement(GetChunkResponder, "overheard", _overheard_for_ever),
            Replacement(GetChunkResponder, "respond", _suppressed_for_ever),
        ),
        is_found_soon=True,
    ),
    Bug(
        "an id is used again after a delete",
        (Replacement(home, "new_file_id", _id_without_salt),),
        is_found_soon=True,
    ),
    Bug(
        "holders evict at once, without a confirmation",
        (Replacement(Withdrawals, "_settle", _dropped_unconfirmed),),
    ),
    Bug(
        "DELETE cancels nothing that is queued",
        (
            Replacement(DeleteResponder, "respond", _queue_left),
            Replacement(DeleteResponder, "is_refused", lambda _right: lambda self, file_id: False),
        ),
        is_found_soon=True,
    ),
    Bug(
        "a REMOVED sets off no repair",
        (Replacement(RemovedResponder, "respond", lambda _right: lambda self, message: None),),
        is_found_soon=True,
    ),
    Bug(
        "what a disk or a peer gives is not checked by its digest",
        (Replacement(Digest, "matches", lambda _right: lambda self, body: True),),
    ),
    Bug(
        "a capacity set by RECLAIM is forgotten at a restart",
        (
            Replacement(
                opening, "new_capacity", lambda _right: lambda *, option_bytes, **_others: option_bytes
            ),
        ),
    ),
    Bug(
        "a deletion is not announced again after a crash",
        (Replacement(DeadFiles, "start", _nothing_announced),),
    ),
    Bug(
        "a copy is vouched for while it is being withdrawn",
        (Replacement(StoredAnswers, "vouch", _vouched_for_all_the_same),),
    ),
    Bug(
        "a GETCHUNK is never sent again",
        (Replacement(ChunkRestore, "_wait_is_over", _asked_once),),
    ),
    Bug(
        "a restored file gets its name before its bytes are synced",
        (Replacement(RestoredFile, "commit", _not_synced_before_its_name),),
    ),
    Bug(
        "a stop leaves the STOREDs that are due",
        (Replacement(StoredAnswers, "stop", _nothing_forgotten),),
        is_found_soon=True,
    ),
    Bug(
        "the scrub passes damage over",
        (Replacement(Scrub, "_read", _damage_passed_over),),
        is_found_soon=True,
    ),
)
