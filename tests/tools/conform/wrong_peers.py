"""Peers with one fault each, as they were seen in real ones, and what conform has to find wrong with them."""

from pathlib import Path

from attrs import frozen

from peer.config import DEFAULT_GROUPS, GroupAddress
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.timing import ATTEMPT_WAITS
from protocol.values import VERSION_1_0, ChunkId, FileId, PeerId, Version
from tests.tools.conform.simple_peer import PEER, Copy, OwnFile, SimplePeer


@frozen
class Wrong:
    """A wrong peer, and the beginnings of the checks that it has to fail; no other may be failed."""

    peer: type[SimplePeer]
    fails: tuple[str, ...]
    is_slow: bool = False
    """Whether it shows only in the runs of 31 s."""
    is_harsh: bool = False


class CountsMessages(SimplePeer):
    def count(self, chunk_id: ChunkId, sender: PeerId) -> None:
        self.holders.setdefault(chunk_id, []).append(sender)


class AnswersAtOnce(SimplePeer):
    def delay(self) -> float:
        return 0.0


class AnswersLate(SimplePeer):
    def delay(self) -> float:
        return self.random.uniform(0.0, 4.0) if self.random.random() < 0.2 else 0.9


class AlwaysWaitsTheSame(SimplePeer):
    def delay(self) -> float:
        return 0.2


class NeverRepeats(SimplePeer):
    def waits(self) -> tuple[float, ...]:
        return (31.0,)


class WaitsTheSame(SimplePeer):
    def waits(self) -> tuple[float, ...]:
        return (1.0,) * 5


class RepeatsForEver(SimplePeer):
    def waits(self) -> tuple[float, ...]:
        return (*ATTEMPT_WAITS, 1.0)


class GivesUpEarly(SimplePeer):
    def waits(self) -> tuple[float, ...]:
        return ATTEMPT_WAITS[:4]


class DeletesWhatFailed(SimplePeer):
    def give_up(self, chunk_id: ChunkId) -> None:
        self.say(Delete(VERSION_1_0, PEER, chunk_id.file_id))


class IgnoresUpperCase(SimplePeer):
    def read(self, datagram: bytes) -> Message | None:
        header = datagram.partition(b"\r\n\r\n")[0]
        return None if any(sign in header[20:] for sign in b"ABCDEF") else super().read(datagram)


class LosesEmptyChunks(SimplePeer):
    def hear_putchunk(self, message: PutChunk) -> None:
        if message.body:
            super().hear_putchunk(message)


class ReturnsNull(SimplePeer):
    """An empty body becomes a null, and that its four letters."""

    def answer(self, chunk_id: ChunkId, asked_at: float) -> None:
        copy = self.copies.get(chunk_id)
        if copy is not None and not copy.body:
            self.say(Chunk(VERSION_1_0, PEER, *chunk_id, b"null"))
        else:
            super().answer(chunk_id, asked_at)


class AnswersOnce(SimplePeer):
    def hear_putchunk(self, message: PutChunk) -> None:
        if message.chunk_id not in self.copies:
            super().hear_putchunk(message)


class StoresItsOwn(SimplePeer):
    def is_own(self, file_id: FileId) -> bool:
        return False


class IsNotSuppressed(SimplePeer):
    def answer(self, chunk_id: ChunkId, asked_at: float) -> None:
        super().answer(chunk_id, float("inf") if chunk_id not in self.overheard else -1.0)
        if chunk_id in self.overheard and chunk_id in self.copies:
            self.say(Chunk(VERSION_1_0, PEER, *chunk_id, self.copies[chunk_id].body))


class ReturnsWhatItHasNot(SimplePeer):
    def hear_getchunk(self, chunk_id: ChunkId) -> None:
        if chunk_id not in self.copies:
            self.say(Chunk(VERSION_1_0, PEER, *chunk_id, b""))
        super().hear_getchunk(chunk_id)


class KeepsWhatIsDeleted(SimplePeer):
    def hear_delete(self, file_id: FileId) -> None:
        pass


class NeverRepairs(SimplePeer):
    def hear_removed(self, chunk_id: ChunkId, sender: PeerId) -> None:
        pass


class RepairsWithZeros(SimplePeer):
    def repair(self, chunk_id: ChunkId, removed_at: float) -> None:
        copy = self.copies.get(chunk_id)
        if copy is not None and self.putchunk_heard.get(chunk_id, -1.0) < removed_at:
            self.attempt(chunk_id, bytes(len(copy.body)), copy.degree, 0)


class RepairsAllTheSame(SimplePeer):
    def repair(self, chunk_id: ChunkId, removed_at: float) -> None:
        super().repair(chunk_id, float("inf"))


class RepairsNeedlessly(SimplePeer):
    def hear_removed(self, chunk_id: ChunkId, sender: PeerId) -> None:
        copy = self.copies.get(chunk_id)
        if copy is not None:
            holders = self.holders.get(chunk_id, [])
            if sender in holders:
                holders.remove(sender)
            self.clock.callLater(self.delay(), self.say, PutChunk(VERSION_1_0, PEER, *chunk_id, 2, copy.body))


class DoesNotCountItself(SimplePeer):
    def repair(self, chunk_id: ChunkId, removed_at: float) -> None:
        if PEER in self.holders.get(chunk_id, []):
            self.holders[chunk_id].remove(PEER)
        super().repair(chunk_id, removed_at)


class PutsTwoSpaces(SimplePeer):
    def write(self, message: Message) -> bytes:
        return super().write(message).replace(b" \r\n\r\n", b"  \r\n\r\n", 1)


class WritesUpperCase(SimplePeer):
    def write(self, message: Message) -> bytes:
        lower = message.file_id.hex().encode("ascii")
        return super().write(message).replace(lower, lower.upper(), 1)


class SaysStoredInUnknownWords(SimplePeer):
    def say(self, message: Message) -> None:
        super().say(message)
        if isinstance(message, GetChunk):
            self.network.send(DEFAULT_GROUPS.mc, b"HELLO 1.0 7 \r\n\r\n")


class SpeaksAnotherVersion(SimplePeer):
    def write(self, message: Message) -> bytes:
        return super().write(message).replace(b"1.0", b"1.1", 1)


class AsksOnMdb(SimplePeer):
    def group_of(self, message: Message) -> GroupAddress:
        return DEFAULT_GROUPS.mdb if isinstance(message, GetChunk) else super().group_of(message)


class RemovesInAnotherName(SimplePeer):
    def say(self, message: Message) -> None:
        if isinstance(message, Removed):
            message = Removed(VERSION_1_0, PeerId(8), *message.chunk_id)
        super().say(message)


class DiesOfGarbage(SimplePeer):
    is_dead = False

    def came(self, datagram: bytes, source: tuple[str, int]) -> None:
        if b"\r\n\r\n" not in datagram:
            self.is_dead = True
        if not self.is_dead:
            super().came(datagram, source)


class DiesOfFewFields(SimplePeer):
    is_dead = False

    def came(self, datagram: bytes, source: tuple[str, int]) -> None:
        line = datagram.partition(b"\r\n")[0].split()
        if len(line) == 3:
            self.is_dead = True
        if not self.is_dead:
            super().came(datagram, source)


class WantsOneSpace(SimplePeer):
    def read(self, datagram: bytes) -> Message | None:
        header = datagram.partition(b"\r\n\r\n")[0]
        return super().read(datagram) if header.endswith(b" ") and b"  " not in header else None


class TakesWhatIsTooLong(SimplePeer):
    def read(self, datagram: bytes) -> Message | None:
        header, _, body = datagram.partition(b"\r\n\r\n")
        return super().read(header + b"\r\n\r\n" + body[:64_000])


class TakesAnyDegree(SimplePeer):
    def read(self, datagram: bytes) -> Message | None:
        return super().read(datagram.replace(b" 0 0 \r\n", b" 0 1 \r\n", 1))


class CutsElsewhere(SimplePeer):
    chunk_size = 60_000


class OmitsTheEmptyChunk(SimplePeer):
    async def backup(self, path: Path, degree: int) -> None:
        content = self.folder.files[path]
        if content and len(content) % self.chunk_size == 0:
            chunks = [content[at : at + self.chunk_size] for at in range(0, len(content), self.chunk_size)]
            self.own[path] = OwnFile(self.new_file_id(path), chunks, degree)
            for number, body in enumerate(chunks):
                self.attempt(ChunkId(self.own[path].file_id, number), body, degree, 0)
        else:
            await super().backup(path, degree)


class KeepsTheFileId(SimplePeer):
    def new_file_id(self, path: Path) -> FileId:
        file_id = FileId(path.name.encode("ascii").ljust(32, b"\0"))
        for number in range(3):
            self.holders.pop(ChunkId(file_id, number), None)
        return file_id


class ForgetsChanges(SimplePeer):
    async def backup(self, path: Path, degree: int) -> None:
        if path not in self.own:
            await super().backup(path, degree)


class AsksForTooFew(SimplePeer):
    def say(self, message: Message) -> None:
        if isinstance(message, PutChunk) and self.is_own(message.file_id) and message.replication_degree > 1:
            message = PutChunk(VERSION_1_0, PEER, *message.chunk_id, 1, message.body)
        super().say(message)


class HomeSaysStored(SimplePeer):
    async def backup(self, path: Path, degree: int) -> None:
        await super().backup(path, degree)
        self.say(Stored(VERSION_1_0, PEER, self.own[path].file_id, 0))


class ForgetsWhatIsLate(SimplePeer):
    def attempt(self, chunk_id: ChunkId, body: bytes, degree: int, number: int) -> None:
        if number and len(self.holders.get(chunk_id, [])) < degree:
            self.holders.pop(chunk_id, None)
        super().attempt(chunk_id, body, degree, number)

    def count(self, chunk_id: ChunkId, sender: PeerId) -> None:
        if self.clock.seconds() - self.first_sent.get(chunk_id, self.clock.seconds()) < 1.0:
            super().count(chunk_id, sender)

    def say(self, message: Message) -> None:
        if isinstance(message, PutChunk):
            self.first_sent.setdefault(message.chunk_id, self.clock.seconds())
        super().say(message)

    @property
    def first_sent(self) -> dict[ChunkId, float]:
        sent: dict[ChunkId, float] = self.__dict__.setdefault("_first_sent", {})
        return sent


class SaysNoDelete(SimplePeer):
    async def delete(self, path: Path) -> None:
        self.own.pop(path, None)


class SaysNoRemoved(SimplePeer):
    def drop(self, chunk_id: ChunkId) -> None:
        del self.copies[chunk_id]


class ReturnsWhatItDropped(SimplePeer):
    def drop(self, chunk_id: ChunkId) -> None:
        self.say(Removed(VERSION_1_0, PEER, *chunk_id))


class StoresWithoutRoom(SimplePeer):
    def has_room(self) -> bool:
        return True


class NeverAsks(SimplePeer):
    def ask(self, file: OwnFile, number: int, attempt: int) -> None:
        pass


class ForgetsBodies(SimplePeer):
    def hear_putchunk(self, message: PutChunk) -> None:
        super().hear_putchunk(message)
        if message.chunk_id in self.copies:
            self.copies[message.chunk_id] = Copy(bytes(message.body[:-1]), message.replication_degree)


class IgnoresTrailingBytes(SimplePeer):
    """Drops a GETCHUNK that has bytes behind its header."""

    def read(self, datagram: bytes) -> Message | None:
        message = super().read(datagram)
        has_body = not datagram.endswith(b"\r\n\r\n")
        return None if isinstance(message, GetChunk) and has_body else message


class ReadsFiveDigits(SimplePeer):
    def hear_putchunk(self, message: PutChunk) -> None:
        if message.chunk_no < 100_000:
            super().hear_putchunk(message)


class AnswersOneGetChunk(SimplePeer):
    def hear_getchunk(self, chunk_id: ChunkId) -> None:
        if chunk_id not in self.__dict__.setdefault("_asked", set()):
            self.__dict__["_asked"].add(chunk_id)
            super().hear_getchunk(chunk_id)


class LowersTheVersion(SimplePeer):
    """Says everything in a version of its own making, but only now and then."""

    def write(self, message: Message) -> bytes:
        if isinstance(message, Removed):
            message = Removed(Version(2, 0), PEER, *message.chunk_id)
        return super().write(message)


WRONG = (
    Wrong(CountsMessages, ("3.3 counts distinct senders",)),
    Wrong(AnswersAtOnce, ("3.2 waits", "4.2 waits", "4.2 stays silent", "6.2 waits", "6.2 leaves")),
    Wrong(AnswersLate, ("3.2 waits", "4.2 ", "6.2 waits")),
    Wrong(AlwaysWaitsTheSame, ("3.2 waits", "4.2 waits")),
    Wrong(NeverRepeats, ("3.3 repeats",), is_slow=True),
    Wrong(WaitsTheSame, ("3.3 repeats",), is_slow=True),
    Wrong(RepeatsForEver, ("3.3 sends a PUTCHUNK five times",), is_slow=True),
    Wrong(GivesUpEarly, ("3.3 repeats",), is_slow=True),
    Wrong(DeletesWhatFailed, ("3.6 ",), is_slow=True),
    Wrong(IgnoresUpperCase, ("2.5 counts a STORED", "2.5 stores a chunk whose fileId is in upper case")),
    Wrong(LosesEmptyChunks, ("1.6 stores an empty chunk",)),
    Wrong(ReturnsNull, ("1.6 stores an empty chunk",)),
    Wrong(AnswersOnce, ("3.16 ",)),
    Wrong(StoresItsOwn, ("3.15 ",)),
    Wrong(IsNotSuppressed, ("4.2 stays silent",)),
    Wrong(ReturnsWhatItHasNot, ("4.11 ", "5.2 ", "6.1 doesn't return")),
    Wrong(KeepsWhatIsDeleted, ("5.2 ",)),
    Wrong(NeverRepairs, ("6.2 begins a chunk backup",)),
    Wrong(RepairsWithZeros, ("6.2 sends the chunk",)),
    Wrong(RepairsAllTheSame, ("6.2 leaves",)),
    Wrong(RepairsNeedlessly, ("6.2 begins no chunk backup", "6.2 leaves")),
    Wrong(DoesNotCountItself, ("6.3 ",)),
    Wrong(PutsTwoSpaces, ("2.7 sends headers",)),
    Wrong(WritesUpperCase, ("2.7 sends headers",)),
    Wrong(SaysStoredInUnknownWords, ("2.7 sends nothing but",)),
    Wrong(SpeaksAnotherVersion, ("1.6 ", "2.7 sends nothing but", "2.22 ")),
    Wrong(LowersTheVersion, ("2.22 ",)),
    Wrong(AsksOnMdb, ("2.6 ", "4.1 ")),
    Wrong(RemovesInAnotherName, ("2.5 gives its own id",)),
    Wrong(DiesOfGarbage, ("2.15 outlives an empty datagram on MC",)),
    Wrong(DiesOfFewFields, ("2.15 outlives an unknown type with three fields",), is_harsh=True),
    Wrong(
        WantsOneSpace,
        ("2.2 stores a chunk whose header has no", "2.2 stores a chunk whose header has several"),
        is_harsh=True,
    ),
    Wrong(TakesWhatIsTooLong, ("2.16 drops a PUTCHUNK with more",)),
    Wrong(TakesAnyDegree, ("2.16 drops a PUTCHUNK of degree 0",)),
    Wrong(CutsElsewhere, ("1.6 cuts", "3.1 ")),
    Wrong(OmitsTheEmptyChunk, ("1.6 cuts",)),
    Wrong(KeepsTheFileId, ("1.5 ",)),
    Wrong(ForgetsChanges, ("1.5 ",)),
    Wrong(AsksForTooFew, ("3.1 ",)),
    Wrong(HomeSaysStored, ("3.8 ", "3.15 ")),
    Wrong(ForgetsWhatIsLate, ("3.3 counts a STORED that comes", "3.3 stops")),
    Wrong(SaysNoDelete, ("5.1 says DELETE on MC",)),
    Wrong(SaysNoRemoved, ("6.1 says REMOVED",)),
    Wrong(ReturnsWhatItDropped, ("6.1 doesn't return",)),
    Wrong(StoresWithoutRoom, ("3.18 ",)),
    Wrong(NeverAsks, ("4.1 ",)),
    Wrong(ForgetsBodies, ("1.6 ", "2.5 ", "4.2 returns", "6.2 sends the chunk")),
    Wrong(IgnoresTrailingBytes, ("2.1 ",)),
    Wrong(ReadsFiveDigits, ("2.5 stores a chunk of the number",)),
    Wrong(AnswersOneGetChunk, ("4.2 answers a GETCHUNK that is repeated",)),
)
