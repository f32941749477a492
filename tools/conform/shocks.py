"""Sending what may make a peer deaf, one at a time, and seeing after each whether it still hears."""

from collections.abc import Callable, Sequence

from attrs import define, frozen

from protocol.messages import Chunk, Stored
from protocol.values import ChunkId
from tools.conform.bench import Bench, about
from tools.conform.checks import Check
from tools.conform.wire import Entry

WAITS = (1.0, 2.0, 4.0)
"""How long a sign of life is waited for before it is asked for again."""


@frozen(kw_only=True)
class Shock:
    """One datagram that may make a peer deaf.

    `make` gives the datagram, for a chunk that nobody holds and its body, or, when `asks` is set, for a chunk
    that the peer holds. Then `brings` is what a right peer answers: STORED, CHUNK or nothing.
    """

    what: str
    """What it is, as an object: "an empty datagram"."""
    group: str
    make: Callable[[Bench, ChunkId, bytes], bytes]
    outlives: Check
    expected: Check | None = None
    """Whether it is stored, answered or dropped, as the check says; None if there is nothing to see."""
    is_stored: bool = False
    """Whether a right peer says STORED; else it says nothing."""
    is_answered: bool = False
    """Whether it asks for a chunk that the peer holds, and a right peer sends it."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """What is found out by it."""
        return (self.outlives,) if self.expected is None else (self.outlives, self.expected)


@define(eq=False)
class Ward:
    """Watches over the peer while shocks are given: it has to store one chunk and return another after each."""

    bench: Bench
    _known: ChunkId | None = None

    async def give(self, shocks: Sequence[Shock]) -> None:
        """Give the shocks, until the peer is deaf."""
        if not await self._is_well():
            why = "it doesn't store and return a plain chunk any more, so this was not tried"
            self._give_up(shocks, why)
            return
        for number, shock in enumerate(shocks):
            await self._give(shock)
            if self.bench.deaf_since:
                self._give_up(shocks[number + 1 :], f"it hears nothing since it was sent {shock.what}")
                return

    def _give_up(self, shocks: Sequence[Shock], why: str) -> None:
        for shock in shocks:
            self.bench.findings.not_reached(shock.checks, why)

    async def _give(self, shock: Shock) -> None:
        bench = self.bench
        chunk_id = ChunkId(bench.file_id(), 0)
        if shock.is_answered:
            assert self._known is not None
            chunk_id = self._known
        sent = bench.wire.send(shock.group, shock.make(bench, chunk_id, bench.body()))
        answer = await self._answer(shock, chunk_id, sent)
        is_well = await self._is_well()
        story = [sent, *([answer] if answer is not None else [])]
        bench.findings.judge(
            shock.outlives, is_well, f"it stores or returns nothing any more after {shock.what}", story
        )
        if shock.expected is not None:
            wants_answer = shock.is_stored or shock.is_answered
            why = "nothing came" if wants_answer else "it answered"
            bench.findings.judge(shock.expected, (answer is not None) is wants_answer, why, story)
        if not is_well:
            bench.deaf_since = shock.what

    async def _answer(self, shock: Shock, chunk_id: ChunkId, sent: Entry) -> Entry | None:
        """What the peer answers within its delay; a file id that was spoilt is known by its beginning."""
        hexadecimal = chunk_id.file_id.hex()[:56].encode("ascii")

        def is_answer(entry: Entry) -> bool:
            if shock.is_answered:
                return about(entry, Chunk, chunk_id)
            return b"STORED" in entry.header and hexadecimal in entry.header.lower()

        if shock.expected is None:
            return None
        within = 2.0 if shock.is_stored or shock.is_answered else 0.6
        return await self.bench.wire.heard(is_answer, within=within, since=sent.number)

    async def _is_well(self) -> bool:
        """Whether the peer stores a plain chunk, and returns one that it stored before."""
        bench = self.bench
        chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
        known, is_stored, is_returned = self._known, False, self._known is None
        for wait in WAITS:
            mark = bench.wire.mark
            if not is_stored:
                bench.say(bench.putchunk(chunk_id, body))
            if known is not None and not is_returned:
                bench.say(bench.getchunk(known))
            until = bench.wire.now() + wait
            if not is_stored:
                is_stored = await bench.hear(Stored, chunk_id, within=wait, since=mark) is not None
            if known is not None and not is_returned:
                left = max(0.01, until - bench.wire.now())
                is_returned = await bench.hear(Chunk, known, within=left, since=mark) is not None
            if is_stored and is_returned:
                self._known = chunk_id
                return True
        return False
