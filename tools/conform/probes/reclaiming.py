"""The peer as one that gives disk back: RECLAIM to 0, and what becomes of its copies (SPEC.md 6.1, 6.11 to 6.13)."""

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred

from protocol.messages import Chunk, Message, PutChunk, Removed, Stored
from protocol.timing import ATTEMPT_WAITS
from protocol.values import ChunkId
from tools.conform.bench import SILENCE, Bench, Held
from tools.conform.checks import Check
from tools.conform.commands import Command, CommandFailure
from tools.conform.probe import Probe
from tools.conform.statistics import fault_of_waits
from tools.conform.wire import Entry

FULL = Check("3.18", "doesn't answer a PUTCHUNK without room for the chunk")
SAYS_REMOVED = Check("6.1", "says REMOVED on MC for a copy that it drops")
DROPPED = Check("6.1", "doesn't return a chunk any more for which it said REMOVED")
ROOM_AGAIN = Check("6.11", "stores chunks again as soon as RECLAIM has given it room", is_ours=True)
PLACES = Check("6.12", "has others store a chunk before it drops the copy, if too few hold it", is_ours=True)
PLACES_BY_RULE = Check("6.13", "tries five times to place a copy, as 3.3 has it", is_ours=True)
KEEPS_LAST = Check("6.13", "keeps a copy that nobody else takes", is_ours=True)
EMPTY_NEITHER = Check("7.16", "stores not even an empty chunk with a capacity of 0", is_ours=True)


@define(eq=False)
class _Others:
    """The other holders: they confirm their copies and take new ones, but for those of `refused`."""

    bench: Bench
    confirmed: frozenset[ChunkId]
    taken: frozenset[ChunkId]
    end: Callable[[], None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.end = self.bench.wire.listen_to(self._heard)

    def _heard(self, entry: Entry) -> None:
        content = entry.content
        if isinstance(content, Removed) and content.chunk_id in self.confirmed:
            voices: tuple[int, ...] = (1, 2)
        elif isinstance(content, PutChunk) and content.chunk_id in self.taken:
            voices = (1,)
        else:
            return
        for voice in voices:
            delay = self.bench.random.uniform(0.05, 0.3)
            self.bench.say_later(delay, self.bench.stored(content.chunk_id, voice=voice))


async def _reclaim_all(bench: Bench, *, with_last_copy: bool) -> None:
    """One chunk that others hold too, one that they would take, and, if wanted, one that nobody takes."""
    await bench.tidy()
    held = await bench.hold(3 if with_last_copy else 2)
    if len(held) < (3 if with_last_copy else 2):
        return
    exceeded, placed = held[0].chunk_id, held[1].chunk_id
    for voice in (1, 2):
        bench.say(bench.stored(exceeded, voice=voice))
    await bench.pause(0.7)
    others = _Others(bench, frozenset({exceeded}), frozenset({exceeded, placed}))
    mark = bench.wire.mark
    failures: list[str] = []
    reclaimed = Deferred.fromCoroutine(_reclaim(bench, 0, failures))
    await bench.begun(
        lambda: all(bench.heard_about(Removed, chunk, since=mark) for chunk in (exceeded, placed)),
        lambda: reclaimed.called,
    )
    await bench.pause(2.5)
    _judge_removed(bench, exceeded, placed, mark, failures)
    await _judge_dropped(bench, exceeded, placed, mark)
    await _judge_full(bench)
    if with_last_copy:
        await _judge_last(bench, held[2], mark)
    others.end()
    await reclaimed
    await _judge_room(bench)


async def _reclaim(bench: Bench, kbytes: int, failures: list[str]) -> None:
    try:
        await bench.commands.reclaim(kbytes)
    except CommandFailure as failure:
        failures.append(str(failure))


def _judge_removed(bench: Bench, exceeded: ChunkId, placed: ChunkId, mark: int, failures: list[str]) -> None:
    silent = [chunk for chunk in (exceeded, placed) if not bench.heard_about(Removed, chunk, since=mark)]
    why = " ".join([f"it said none for {len(silent)} of 2 chunks", *failures])
    bench.findings.judge(SAYS_REMOVED, not silent, why, bench.story(exceeded, placed, since=mark))
    put = bench.heard_about(PutChunk, placed, since=mark)
    removed = bench.heard_about(Removed, placed, since=mark)
    if removed:
        is_right = bool(put) and put[0].number < removed[0].number
        bench.findings.judge(PLACES, is_right, "REMOVED came first", bench.story(placed, since=mark))


async def _judge_dropped(bench: Bench, exceeded: ChunkId, placed: ChunkId, mark: int) -> None:
    gone = [chunk for chunk in (exceeded, placed) if bench.heard_about(Removed, chunk, since=mark)]
    asked = bench.wire.mark
    await bench.say_each(bench.getchunk(chunk) for chunk in gone)
    await bench.pause(SILENCE)
    returned = [chunk for chunk in gone if bench.heard_about(Chunk, chunk, since=asked)]
    if gone:
        why = f"it returned {len(returned)} of {len(gone)} chunks"
        bench.findings.judge(DROPPED, not returned, why, bench.story(*(returned or gone), since=asked))


async def _judge_full(bench: Bench) -> None:
    for body, check in ((bench.body(), FULL), (b"", EMPTY_NEITHER)):
        chunk_id = ChunkId(bench.file_id(), 0)
        sent = bench.say(bench.putchunk(chunk_id, body))
        stored = await bench.hear(Stored, chunk_id, within=SILENCE, since=sent.number)
        why = "it said STORED with a capacity of 0"
        bench.findings.judge(check, stored is None, why, bench.story(chunk_id))


async def _judge_last(bench: Bench, last: Held, mark: int) -> None:
    """Let the five tries for the chunk that nobody takes pass."""

    def tries(message_type: type[Message]) -> list[Entry]:
        return bench.heard_about(message_type, last.chunk_id, since=mark)

    if not tries(PutChunk):
        await bench.hear(PutChunk, last.chunk_id, within=2.0)
    began = tries(PutChunk)
    if began:
        await bench.pause(max(0.0, began[0].at + sum(ATTEMPT_WAITS) + 2.0 - bench.wire.now()))
        times = [entry.at for entry in tries(PutChunk)]
        fault = fault_of_waits(times, ATTEMPT_WAITS)
        if not fault and len(times) != len(ATTEMPT_WAITS):
            fault = f"it tried {len(times)} times"
        bench.findings.judge(PLACES_BY_RULE, not fault, fault, tries(PutChunk))
    removed = tries(Removed)
    kept = None if removed else await bench.get(last.chunk_id)
    why = "it said REMOVED" if removed else "it doesn't return it"
    bench.findings.judge(KEEPS_LAST, kept is not None, why, bench.story(last.chunk_id, since=mark))


async def _judge_room(bench: Bench) -> None:
    failures: list[str] = []
    await _reclaim(bench, bench.commands.capacity_kbytes, failures)
    chunk_id = ChunkId(bench.file_id(), 0)
    held = await bench.put(chunk_id, bench.body())
    why = " ".join(["no STORED came", *failures])
    bench.findings.judge(ROOM_AGAIN, held is not None, why, bench.story(chunk_id))


async def _quick(bench: Bench) -> None:
    await _reclaim_all(bench, with_last_copy=False)


async def _whole(bench: Bench) -> None:
    await _reclaim_all(bench, with_last_copy=True)


_FAST = (FULL, SAYS_REMOVED, DROPPED, ROOM_AGAIN, PLACES, EMPTY_NEITHER)
_SLOW = (PLACES_BY_RULE, KEEPS_LAST)
_NEEDS = frozenset({Command.RECLAIM})

PROBES = (Probe(run=_whole, checks=_FAST + _SLOW, needs=_NEEDS),)

QUICK_PROBES = (
    Probe(run=_quick, checks=_FAST, needs=_NEEDS),
    Probe(run=_whole, checks=_SLOW, needs=_NEEDS, is_slow=True),
)
