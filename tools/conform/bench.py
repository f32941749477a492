"""What a probe works with: the wire, ids that nobody else has, chunks that the peer holds, and its commands."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from protocol.codec import serialize
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import MAX_DRAWN_PEER_ID, VERSION_1_0, ChunkId, Edition, FileId, PeerId
from tools.conform.commands import Command, CommandFailure, Commands
from tools.conform.files import Folder
from tools.conform.findings import Findings
from tools.conform.forms import with_file_id
from tools.conform.wire import Entry, Wire, usual_group

if TYPE_CHECKING:
    from tools.conform.backups import WatchedBackup

ASK_WAITS = (1.0, 2.0, 2.0)
"""How long the probe waits after each time that it asks for something: as an initiator would, who gives up early."""

SILENCE = 1.0
"""Seconds after which a peer that has not answered does not answer: the longest delay, and more than as much again."""

TOLD_WITHIN = 60.0
"""Seconds in which a command has reached the peer, whatever else the machine does."""

BEGINS_WITHIN = 8.0
"""Seconds after the end of a command in which the peer begins what it was told."""

SPACING = 0.01
"""Seconds between datagrams of a series: no receive buffer is ever full of them."""


@frozen(kw_only=True)
class Held:
    """A chunk that the peer holds, since it said so."""

    chunk_id: ChunkId
    body: bytes
    delay: float | None
    """Seconds from the PUTCHUNK to the STORED; None if several PUTCHUNKs were sent."""
    stored: Entry


@define(kw_only=True, eq=False)
class Bench:
    """Everything that a probe works with. The probe has several voices: peer ids in which it speaks."""

    wire: Wire
    clock: IReactorTime
    random: Random
    findings: Findings
    commands: Commands
    folder: Folder
    edition: Edition = Edition.TYPE_FIRST
    subject: PeerId = field(default=PeerId(0))
    """The id of the peer that is probed."""
    voices: tuple[PeerId, ...] = ()
    home: "WatchedBackup | None" = None
    """The file that the peer has backed up and not deleted, if there is one."""
    deaf_since: str = ""
    """What was sent to the peer last before it heard nothing any more."""
    spelling: dict[FileId, bytes] = field(factory=dict)
    """How the peer writes the ids of its own files, if not in lower case: it may know them in no other way."""
    used: dict[FileId, None] = field(factory=dict)
    """The ids of the files made up so far, of which the peer may hold chunks."""

    def draw_voices(self) -> None:
        """Choose the ids that the probe speaks as: none of them the peer's."""
        drawn: dict[PeerId, None] = {}
        while len(drawn) < 4:
            voice = PeerId(self.random.randrange(1, MAX_DRAWN_PEER_ID))
            if voice != self.subject:
                drawn[voice] = None
        self.voices = tuple(drawn)

    # --- Making things up ------------------------------------------------------------------------------

    def file_id(self) -> FileId:
        """The id of a file that nobody has heard of."""
        file_id = FileId(self.random.randbytes(32))
        self.used[file_id] = None
        return file_id

    def body(self, size: int = 100) -> bytes:
        """Bytes that no other chunk has."""
        return self.random.randbytes(size)

    def putchunk(self, chunk_id: ChunkId, body: bytes, *, degree: int = 1, voice: int = 0) -> PutChunk:
        """A PUTCHUNK in one of the probe's voices."""
        return PutChunk(VERSION_1_0, self.voices[voice], *chunk_id, degree, body)

    def stored(self, chunk_id: ChunkId, *, voice: int = 0) -> Stored:
        """A STORED in one of the probe's voices."""
        return Stored(VERSION_1_0, self.voices[voice], *chunk_id)

    def getchunk(self, chunk_id: ChunkId, *, voice: int = 0) -> GetChunk:
        """A GETCHUNK in one of the probe's voices."""
        return GetChunk(VERSION_1_0, self.voices[voice], *chunk_id)

    def chunk(self, chunk_id: ChunkId, body: bytes, *, voice: int = 1) -> Chunk:
        """A CHUNK in one of the probe's voices."""
        return Chunk(VERSION_1_0, self.voices[voice], *chunk_id, body)

    def removed(self, chunk_id: ChunkId, *, voice: int = 1) -> Removed:
        """A REMOVED in one of the probe's voices."""
        return Removed(VERSION_1_0, self.voices[voice], *chunk_id)

    def delete(self, file_id: FileId, *, voice: int = 0) -> Delete:
        """A DELETE in one of the probe's voices."""
        return Delete(VERSION_1_0, self.voices[voice], file_id)

    # --- Speaking --------------------------------------------------------------------------------------

    def datagram(self, message: Message) -> bytes:
        """The message in the one form that everybody understands, of the peer's edition."""
        datagram = serialize(message, self.edition)
        text = self.spelling.get(message.file_id)
        return datagram if text is None else with_file_id(datagram, message.file_id, text)

    def say(self, message: Message, group: str | None = None) -> Entry:
        """Multicast a message, in the group of its type unless another is named."""
        return self.wire.send(group or usual_group(message), self.datagram(message))

    def say_later(self, delay: float, message: Message) -> None:
        """Multicast a message after so many seconds."""
        self.clock.callLater(delay, self.say, message)

    async def begun(self, is_begun: Callable[[], bool], is_told: Callable[[], bool]) -> None:
        """Wait until the peer has begun what it was told, or doesn't.

        A command that starts a program on a busy machine takes long; once it has ended, the peer has to begin.
        """
        told_at: float | None = None
        deadline = self.wire.now() + TOLD_WITHIN
        while not is_begun() and self.wire.now() < deadline:
            if is_told():
                told_at = self.wire.now() if told_at is None else told_at
                if self.wire.now() - told_at > BEGINS_WITHIN:
                    return
            await self.pause(0.05)

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await deferLater(self.clock, seconds)

    async def say_each(self, messages: Iterable[Message], spacing: float = SPACING) -> list[Entry]:
        """Multicast messages one after the other."""
        entries = []
        for message in messages:
            entries.append(self.say(message))
            await self.pause(spacing)
        return entries

    # --- Hearing ---------------------------------------------------------------------------------------

    def heard_about(self, message_type: type[Message], chunk_id: ChunkId, *, since: int = 0) -> list[Entry]:
        """What the peer said of this type about the chunk, from the mark `since` on."""
        return [
            entry
            for entry in self.wire.since(since)
            if not entry.is_sent and about(entry, message_type, chunk_id)
        ]

    async def hear(
        self, message_type: type[Message], chunk_id: ChunkId, *, within: float, since: int | None = None
    ) -> Entry | None:
        """The first thing that the peer says of this type about the chunk, or None after so many seconds."""
        return await self.wire.heard(
            lambda entry: about(entry, message_type, chunk_id), within=within, since=since
        )

    def story(self, *chunk_ids: ChunkId, since: int = 0) -> list[Entry]:
        """Everything that both sides said about these chunks, or their files."""
        files = {chunk_id.file_id for chunk_id in chunk_ids}
        return [
            entry
            for entry in self.wire.since(since)
            if (chunk_of(entry) in chunk_ids)
            or (isinstance(entry.content, Delete) and entry.content.file_id in files)
        ]

    # --- Playing initiator and restorer -----------------------------------------------------------------

    async def put(
        self,
        chunk_id: ChunkId,
        body: bytes,
        *,
        form: bytes | None = None,
        group: str = "MDB",
        degree: int = 1,
        waits: Sequence[float] = ASK_WAITS,
    ) -> Held | None:
        """Have the peer store a chunk; None if it never said STORED.

        `form` is the datagram to send, if not the usual one.
        """
        datagram = form if form is not None else self.datagram(self.putchunk(chunk_id, body, degree=degree))
        for number, wait in enumerate(waits):
            sent = self.wire.send(group, datagram)
            stored = await self.hear(Stored, chunk_id, within=wait, since=sent.number)
            if stored is not None:
                delay = stored.at - sent.at if number == 0 else None
                return Held(chunk_id=chunk_id, body=body, delay=delay, stored=stored)
        return None

    async def get(
        self,
        chunk_id: ChunkId,
        *,
        form: bytes | None = None,
        group: str = "MC",
        waits: Sequence[float] = ASK_WAITS,
    ) -> Entry | None:
        """Ask for a chunk; the entry of the CHUNK, or None if none came."""
        datagram = form if form is not None else self.datagram(self.getchunk(chunk_id))
        for wait in waits:
            sent = self.wire.send(group, datagram)
            entry = await self.hear(Chunk, chunk_id, within=wait, since=sent.number)
            if entry is not None:
                return entry
        return None

    async def hold(
        self, count: int, *, size: int = 100, degree: int = 1, apart: float = SPACING
    ) -> list[Held]:
        """Have the peer store `count` chunks of one file; those that it said STORED for, in order."""
        file_id = self.file_id()
        bodies = {ChunkId(file_id, number): self.body(size) for number in range(count)}
        held: dict[ChunkId, Held] = {}
        for attempt, wait in enumerate(ASK_WAITS):
            sent: dict[ChunkId, Entry] = {}
            for chunk_id, body in bodies.items():
                if chunk_id not in held:
                    sent[chunk_id] = self.say(self.putchunk(chunk_id, body, degree=degree))
                    await self.pause(apart)
            if not sent:
                break
            await self.pause(wait)
            for chunk_id, asked in sent.items():
                answers = self.heard_about(Stored, chunk_id, since=asked.number)
                if answers:
                    delay = answers[0].at - asked.at if attempt == 0 else None
                    held[chunk_id] = Held(
                        chunk_id=chunk_id, body=bodies[chunk_id], delay=delay, stored=answers[0]
                    )
        return [held[chunk_id] for chunk_id in bodies if chunk_id in held]

    async def is_alive(self) -> bool:
        """Whether the peer still stores a plain chunk."""
        chunk_id = ChunkId(self.file_id(), 0)
        return await self.put(chunk_id, self.body(), waits=(1.0, 2.0, 4.0)) is not None

    async def tidy(self) -> None:
        """Have the peer drop what it holds of the files that were made up."""
        for file_id in list(self.used):
            self.say(self.delete(file_id))
            await self.pause(SPACING)
        self.used.clear()

    async def delete_files(self) -> None:
        """Have the peer delete what it was told to back up."""
        if Command.DELETE in self.commands.known:
            for path in self.folder.made:
                # One that was deleted already, or never backed up, is no matter.
                with suppress(CommandFailure):
                    await self.commands.delete(path)


def chunk_of(entry: Entry) -> ChunkId | None:
    """The chunk that a datagram is about, if it is about one."""
    content = entry.content
    if isinstance(content, PutChunk | Stored | GetChunk | Chunk | Removed):
        return content.chunk_id
    return None


def about(entry: Entry, message_type: type[Message], chunk_id: ChunkId) -> bool:
    """Whether the datagram is a message of this type about this chunk."""
    return isinstance(entry.content, message_type) and chunk_of(entry) == chunk_id
