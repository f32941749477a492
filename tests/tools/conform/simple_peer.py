"""A peer as others write them: it keeps what all peers share, and nothing of what SPEC.md marks *Ours*."""

from functools import partial
from pathlib import Path
from random import Random

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from peer.config import DEFAULT_GROUPS, GroupAddress
from peer.network import IGroupNetwork, SourceAddress
from protocol.codec import parse, serialize
from protocol.errors import ProtocolError
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.timing import ATTEMPT_WAITS, response_delay
from protocol.values import CHUNK_SIZE, VERSION_1_0, ChunkId, FileId, PeerId
from tests.tools.conform.street import MemoryFolder
from tools.conform.commands import Command

PEER = PeerId(7)


@define
class Copy:
    """A chunk that it holds."""

    body: bytes
    degree: int


@define
class OwnFile:
    """A file that it has backed up."""

    file_id: FileId
    chunks: list[bytes]
    degree: int
    got: dict[int, bytes] = field(factory=dict)


class SimplePeer:
    """Keeps every rule that conform holds others to. What is wrong with a peer is one method, overridden."""

    capacity_kbytes = 1_000_000
    known = frozenset(Command)
    chunk_size = CHUNK_SIZE

    def __init__(
        self, *, network: IGroupNetwork, clock: IReactorTime, random: Random, folder: MemoryFolder
    ) -> None:
        self.network = network
        self.clock = clock
        self.random = random
        self.folder = folder
        self.copies: dict[ChunkId, Copy] = {}
        self.holders: dict[ChunkId, list[PeerId]] = {}
        self.own: dict[Path, OwnFile] = {}
        self.overheard: dict[ChunkId, float] = {}
        self.putchunk_heard: dict[ChunkId, float] = {}
        self.capacity = self.capacity_kbytes
        for group in (DEFAULT_GROUPS.mc, DEFAULT_GROUPS.mdb, DEFAULT_GROUPS.mdr):
            self.network.join(group, self.came)

    # --- The wire --------------------------------------------------------------------------------------

    def came(self, datagram: bytes, source: SourceAddress) -> None:
        """Take a datagram."""
        if source == self.network.own_address:
            return
        try:
            message = self.read(datagram)
        except ProtocolError:
            return
        if message is not None:
            self.hear(message)

    def read(self, datagram: bytes) -> Message | None:
        """What the datagram says; None if it is to be dropped."""
        return parse(datagram)

    def hear(self, message: Message) -> None:
        """Take a message."""
        match message:
            case PutChunk():
                self.putchunk_heard[message.chunk_id] = self.clock.seconds()
                self.hear_putchunk(message)
            case Stored():
                self.count(message.chunk_id, message.sender_id)
            case GetChunk():
                self.hear_getchunk(message.chunk_id)
            case Chunk():
                self.overheard[message.chunk_id] = self.clock.seconds()
                self.hear_chunk(message)
            case Delete():
                self.hear_delete(message.file_id)
            case Removed():
                self.hear_removed(message.chunk_id, message.sender_id)

    def group_of(self, message: Message) -> GroupAddress:
        """Where a message goes."""
        if isinstance(message, PutChunk):
            return DEFAULT_GROUPS.mdb
        return DEFAULT_GROUPS.mdr if isinstance(message, Chunk) else DEFAULT_GROUPS.mc

    def write(self, message: Message) -> bytes:
        """The datagram that says it."""
        return serialize(message)

    def say(self, message: Message) -> None:
        """Multicast a message."""
        self.network.send(self.group_of(message), self.write(message))

    def delay(self) -> float:
        """How long to wait before an answer."""
        return response_delay(self.random)

    # --- As a holder -----------------------------------------------------------------------------------

    def is_own(self, file_id: FileId) -> bool:
        """Whether it is one of its own files."""
        return any(file.file_id == file_id for file in self.own.values())

    def has_room(self) -> bool:
        """Whether one more chunk may be stored."""
        return self.capacity > 0

    def hear_putchunk(self, message: PutChunk) -> None:
        """Store the chunk, and say so."""
        if self.is_own(message.file_id) or not self.has_room():
            return
        self.copies[message.chunk_id] = Copy(bytes(message.body), message.replication_degree)
        self.count(message.chunk_id, PEER)
        self.clock.callLater(self.delay(), self.say, Stored(VERSION_1_0, PEER, *message.chunk_id))

    def count(self, chunk_id: ChunkId, sender: PeerId) -> None:
        """Count a holder."""
        holders = self.holders.setdefault(chunk_id, [])
        if sender not in holders:
            holders.append(sender)

    def hear_getchunk(self, chunk_id: ChunkId) -> None:
        """Return the chunk, unless another does so first."""
        if chunk_id in self.copies:
            self.clock.callLater(self.delay(), self.answer, chunk_id, self.clock.seconds())

    def answer(self, chunk_id: ChunkId, asked_at: float) -> None:
        """Return the chunk now, if that is still needed."""
        copy = self.copies.get(chunk_id)
        if copy is not None and self.overheard.get(chunk_id, -1.0) < asked_at:
            self.say(Chunk(VERSION_1_0, PEER, *chunk_id, copy.body))

    def hear_delete(self, file_id: FileId) -> None:
        """Drop the file's chunks."""
        for chunk_id in [chunk_id for chunk_id in self.copies if chunk_id.file_id == file_id]:
            del self.copies[chunk_id]

    def hear_removed(self, chunk_id: ChunkId, sender: PeerId) -> None:
        """Repair the chunk if too few hold it now."""
        copy, holders = self.copies.get(chunk_id), self.holders.get(chunk_id, [])
        if copy is None or sender not in holders:
            return
        holders.remove(sender)
        if len(holders) < copy.degree:
            self.clock.callLater(self.delay(), self.repair, chunk_id, self.clock.seconds())

    def repair(self, chunk_id: ChunkId, removed_at: float) -> None:
        """Begin a chunk backup, unless another has done so."""
        copy = self.copies.get(chunk_id)
        if copy is not None and self.putchunk_heard.get(chunk_id, -1.0) < removed_at:
            self.attempt(chunk_id, copy.body, copy.degree, 0)

    # --- As an initiator -------------------------------------------------------------------------------

    async def backup(self, path: Path, degree: int) -> None:
        """Back the file up; returns at once."""
        content = self.folder.files[path]
        chunks = [
            content[start : start + self.chunk_size] for start in range(0, len(content) + 1, self.chunk_size)
        ]
        self.own[path] = OwnFile(self.new_file_id(path), chunks, degree)
        for number, body in enumerate(chunks):
            self.attempt(ChunkId(self.own[path].file_id, number), body, degree, 0)

    def new_file_id(self, path: Path) -> FileId:
        """The id of a file that is to be backed up."""
        return FileId(self.random.randbytes(32))

    def attempt(self, chunk_id: ChunkId, body: bytes, degree: int, number: int) -> None:
        """Send a PUTCHUNK unless enough hold the chunk; look again when its wait is over."""
        if len(self.holders.get(chunk_id, [])) >= degree:
            return
        if number == len(self.waits()):
            self.give_up(chunk_id)
            return
        self.say(PutChunk(VERSION_1_0, PEER, *chunk_id, degree, body))
        wait = self.waits()[number]
        self.clock.callLater(wait, self.attempt, chunk_id, body, degree, number + 1)

    def waits(self) -> tuple[float, ...]:
        """How long to wait after each PUTCHUNK."""
        return ATTEMPT_WAITS

    def give_up(self, chunk_id: ChunkId) -> None:
        """The degree could not be met."""

    async def restore(self, path: Path) -> Path | None:
        """Restore the file; returns at once."""
        file = self.own[path]
        file.got.clear()
        for number in range(len(file.chunks)):
            self.ask(file, number, 0)
        restored = path.with_suffix(".restored")
        self.folder.files.pop(restored, None)
        self.clock.callLater(1.5, self.restored, file, restored)
        return restored

    def ask(self, file: OwnFile, number: int, attempt: int) -> None:
        """Send a GETCHUNK unless the chunk is there."""
        if number not in file.got and attempt < len(ATTEMPT_WAITS):
            self.say(GetChunk(VERSION_1_0, PEER, file.file_id, number))
            self.clock.callLater(ATTEMPT_WAITS[attempt], self.ask, file, number, attempt + 1)

    def hear_chunk(self, message: Chunk) -> None:
        """Take a chunk of a file that is being restored."""
        for file in self.own.values():
            if file.file_id == message.file_id:
                file.got.setdefault(message.chunk_no, bytes(message.body))

    def restored(self, file: OwnFile, path: Path) -> None:
        """Write what came."""
        self.folder.files[path] = b"".join(file.got[number] for number in sorted(file.got))

    async def delete(self, path: Path) -> None:
        """Delete the file's backup."""
        if path in self.own:
            self.say(Delete(VERSION_1_0, PEER, self.own.pop(path).file_id))

    async def reclaim(self, kbytes: int) -> None:
        """Lend so much, and drop everything if that is nothing."""
        self.capacity = kbytes
        if not kbytes:
            for number, chunk_id in enumerate(list(self.copies)):
                self.clock.callLater(0.01 * number, partial(self.drop, chunk_id))

    def drop(self, chunk_id: ChunkId) -> None:
        """Drop a copy, and say so."""
        del self.copies[chunk_id]
        self.say(Removed(VERSION_1_0, PEER, *chunk_id))
