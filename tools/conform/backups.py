"""A BACKUP that the peer was told to do, as the probe sees it: its PUTCHUNKs, and the answers to them."""

from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred

from protocol.messages import PutChunk
from protocol.values import ChunkId, FileId
from tools.conform.bench import Bench
from tools.conform.commands import CommandFailure
from tools.conform.files import MadeFile
from tools.conform.wire import Entry

QUIET = 5.0
"""Seconds without a PUTCHUNK after which none is expected: some send one chunk at a time, a second or more apart."""

REPETITION = 2.5
"""Seconds in which a PUTCHUNK that was not answered is repeated, and a half more than the first wait."""

Answer = Callable[[ChunkId, int], None]
"""Is called with the chunk of each PUTCHUNK, and how many came for that chunk so far."""


@define(kw_only=True, eq=False)
class WatchedBackup:
    """The PUTCHUNKs for one file, which is told by its bytes; `answer` is called for each."""

    bench: Bench
    file: MadeFile
    degree: int
    answer: Answer
    file_id: FileId | None = None
    """Known once the first PUTCHUNK has come."""
    putchunks: list[Entry] = field(factory=list)
    complaint: str = ""
    """What the command said when it failed."""
    is_ended: bool = False
    """Whether the command has ended."""
    _unclaimed: list[Entry] = field(factory=list)
    _first: Deferred[None] = field(factory=Deferred)
    _end_listening: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """Tell the peer to back the file up."""
        self._end_listening = self.bench.wire.listen_to(self._heard)
        command = Deferred.fromCoroutine(self._command(self.file.path))
        command.addBoth(self._command_ended)

    async def first(self) -> Entry | None:
        """The first PUTCHUNK; None if none comes in time."""
        await self.bench.begun(lambda: bool(self.putchunks), lambda: self.is_ended)
        return self.putchunks[0] if self.putchunks else None

    async def all_sent(self) -> None:
        """Wait until every chunk was sent, or no more come, and then for the repetitions of the last."""
        while True:
            seen = {_putchunk(entry).chunk_no for entry in self.putchunks}
            if seen >= set(range(len(self.file.chunks))):
                break
            if self.bench.wire.now() - self.putchunks[-1].at > QUIET:
                return
            await self.bench.pause(0.1)
        await self.bench.pause(REPETITION)

    def end(self) -> None:
        """Answer no more."""
        self._end_listening()

    def attempts(self, number: int) -> list[Entry]:
        """The PUTCHUNKs for one chunk."""
        return [entry for entry in self.putchunks if _putchunk(entry).chunk_no == number]

    def body(self, number: int) -> bytes:
        """The bytes of a chunk, as the peer has cut the file."""
        sent = self.attempts(number)
        if sent:
            return bytes(_putchunk(sent[0]).body)
        chunks = self.file.chunks
        return chunks[number] if number < len(chunks) else b""

    def chunk_id(self, number: int) -> ChunkId:
        """A chunk of the file, whose id has to be known."""
        assert self.file_id is not None
        return ChunkId(self.file_id, number)

    def story(self, *numbers: int) -> list[Entry]:
        """Everything that was said about these chunks, or all of the file."""
        if self.file_id is None:
            return []
        all_numbers = numbers or range(len(self.file.chunks) + 1)
        return self.bench.story(*(self.chunk_id(number) for number in all_numbers))

    def said_by(self, *voices: int) -> Answer:
        """An answer: STORED from each of these voices, after up to 350 ms."""

        def answer(chunk_id: ChunkId, _count: int) -> None:
            for voice in voices:
                self.bench.say_later(
                    self.bench.random.uniform(0.02, 0.35), self.bench.stored(chunk_id, voice=voice)
                )

        return answer

    async def _command(self, path: Path) -> None:
        await self.bench.commands.backup(path, self.degree)

    def _command_ended(self, outcome: object) -> None:
        self.is_ended = True
        error = getattr(outcome, "value", None)
        if isinstance(error, CommandFailure):
            self.complaint = str(error)
        elif isinstance(error, BaseException):
            raise error

    def _heard(self, entry: Entry) -> None:
        message = entry.said(PutChunk)
        if message is None:
            return
        if self.file_id is None:
            self._unclaimed.append(entry)
            if not self._is_of_file(message):
                return
            self.file_id = message.file_id
            self._learn_spelling(entry.header)
            claimed = [each for each in self._unclaimed if _putchunk(each).file_id == self.file_id]
            self._unclaimed.clear()
        elif message.file_id == self.file_id:
            claimed = [entry]
        else:
            return
        for each in claimed:
            self.putchunks.append(each)
            chunk_id = _putchunk(each).chunk_id
            self.answer(chunk_id, len(self.attempts(chunk_id.chunk_no)))

    def _learn_spelling(self, header: bytes) -> None:
        """Remember how the peer writes the id, so that it knows it again when it hears it."""
        assert self.file_id is not None
        usual = self.file_id.hex().encode("ascii")
        text = next((field for field in header.split() if field.lower() == usual), usual)
        if text != usual:
            self.bench.spelling[self.file_id] = text

    def _is_of_file(self, message: PutChunk) -> bool:
        if not self.file.content:
            # The empty last chunk of another file has a higher number.
            return not message.body and message.chunk_no < 2 and message.file_id not in self.bench.used
        # Wherever the peer cuts the file.
        return bool(message.body) and message.body in self.file.content


def _putchunk(entry: Entry) -> PutChunk:
    message = entry.said(PutChunk)
    assert message is not None
    return message
