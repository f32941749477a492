"""The peer as initiator of a chunk backup: how it counts, waits, repeats and gives up (SPEC.md 3.3 to 3.10)."""

from protocol.messages import Delete, PutChunk, Stored
from protocol.timing import ATTEMPT_WAITS
from protocol.values import ChunkId
from tools.conform.backups import WatchedBackup
from tools.conform.bench import Bench, chunk_of
from tools.conform.checks import Check
from tools.conform.commands import Command
from tools.conform.probe import Probe
from tools.conform.statistics import fault_of_waits

AFTER_LAST = 2.5
"""Seconds for which a sixth PUTCHUNK is waited for after the last wait."""

EITHER_CASE = Check("2.5", "counts a STORED whose fileId is in the other case than it writes it")
EMPTY_FILE = Check("1.6", "backs an empty file up as one empty chunk")
DISTINCT = Check("3.3", "counts distinct senders of STORED, not STOREDs")
STOPS = Check("3.3", "stops when the degree is met in a later wait")
COUNTS_LATE = Check("3.3", "counts a STORED that comes after the first wait")
WAITS = Check("3.3", "repeats an unanswered PUTCHUNK after 1, 2, 4 and 8 s")
FIVE = Check("3.3", "sends a PUTCHUNK five times at the most")
STAYS = Check("3.6", "undoes nothing when the degree stays unmet")
NOT_THE_SENDER = Check("3.9", "doesn't count another sender of a PUTCHUNK as a holder", is_ours=True)
BY_CHUNK = Check("3.10", "counts the sender of a CHUNK as a holder", is_ours=True)
OWN_FILE = Check("3.15", "doesn't store a chunk of its own file that another sends")


async def _begin(bench: Bench, name: str, degree: int, size: int = 1_000) -> WatchedBackup:
    file = bench.folder.make(name, size)
    backup = WatchedBackup(bench=bench, file=file, degree=degree, answer=lambda _chunk, _count: None)
    backup.begin()
    return backup


async def _started(backup: WatchedBackup, *checks: Check) -> bool:
    """Whether a PUTCHUNK came; if not, say so."""
    if await backup.first() is not None:
        return True
    backup.end()
    backup.bench.findings.not_reached(
        checks, f"no PUTCHUNK followed the BACKUP{': ' if backup.complaint else ''}{backup.complaint}"
    )
    return False


async def _empty_file(bench: Bench) -> None:
    backup = await _begin(bench, "empty", degree=1, size=0)
    backup.answer = backup.said_by(0)
    if await backup.first() is None:
        backup.end()
        why = f"no PUTCHUNK with an empty body came{': ' if backup.complaint else ''}{backup.complaint}"
        bench.findings.failed(EMPTY_FILE, why)
        return
    await bench.pause(1.0)
    backup.end()
    numbers = {chunk_id for chunk_id in (0, 1) if backup.attempts(chunk_id)}
    bench.findings.judge(EMPTY_FILE, numbers == {0}, f"it sent the chunks {sorted(numbers)}", backup.story())


async def _one_sender(bench: Bench) -> None:
    """Degree 2, and one peer that says STORED three times each; only after the second PUTCHUNK another one."""
    backup = await _begin(bench, "one-sender", degree=2)

    def answer(chunk_id: ChunkId, count: int) -> None:
        for delay in (0.1, 0.15, 0.2):
            bench.say_later(delay, bench.stored(chunk_id, voice=0))
        if count > 1:
            bench.say_later(0.3, bench.stored(chunk_id, voice=1))

    backup.answer = answer
    if not await _started(backup, DISTINCT, STOPS):
        return
    await bench.pause(4.5)
    backup.end()
    count = len(backup.attempts(0))
    if count < 2 and not _repeats(bench):
        # Then what it counts can't be told from what it sends.
        bench.findings.not_reached([DISTINCT, STOPS], "it was never seen to repeat a PUTCHUNK")
        return
    if bench.findings.judge(
        DISTINCT,
        count >= 2,
        "one sender's three STOREDs were enough for degree 2: there was no second PUTCHUNK",
        backup.story(0),
    ):
        bench.findings.judge(
            STOPS, count == 2, f"{count} PUTCHUNKs though two peers had answered the second", backup.story(0)
        )


def _repeats(bench: Bench) -> bool:
    """Whether the peer has sent any chunk twice, as it has to for those that nobody stores in time."""
    sent = [chunk_of(entry) for entry in bench.wire.since() if not entry.is_sent and entry.said(PutChunk)]
    return len(set(sent)) < len(sent)


async def _late(bench: Bench) -> None:
    """The one STORED that is needed comes within the second wait."""
    backup = await _begin(bench, "late", degree=1)

    def answer(chunk_id: ChunkId, count: int) -> None:
        if count == 1:
            bench.say_later(1.5, bench.stored(chunk_id, voice=0))

    backup.answer = answer
    if not await _started(backup, COUNTS_LATE):
        return
    await bench.pause(4.5)
    backup.end()
    count = len(backup.attempts(0))
    if count == 1:
        bench.findings.not_reached([COUNTS_LATE], "it never repeated the PUTCHUNK")
        return
    bench.findings.judge(
        COUNTS_LATE,
        count == 2,
        f"{count} PUTCHUNKs though STORED came 1.5 s after the first",
        backup.story(0),
    )


async def _by_chunk(bench: Bench) -> None:
    backup = await _begin(bench, "by-chunk", degree=1)

    def answer(chunk_id: ChunkId, count: int) -> None:
        bench.say_later(0.1, bench.chunk(chunk_id, backup.file.content))
        if count > 1:
            bench.say_later(0.2, bench.stored(chunk_id, voice=1))

    backup.answer = answer
    if not await _started(backup, BY_CHUNK):
        return
    await bench.pause(2.0)
    backup.end()
    bench.findings.judge(
        BY_CHUNK, len(backup.attempts(0)) == 1, "it repeated the PUTCHUNK all the same", backup.story(0)
    )


async def _own_file(bench: Bench) -> None:
    """Another sends the chunk of the peer's own file, as one does who places it anew."""
    backup = await _begin(bench, "own", degree=1)

    def answer(chunk_id: ChunkId, count: int) -> None:
        if count == 1:
            bench.say_later(0.1, bench.putchunk(chunk_id, backup.file.content, voice=0))
        else:
            bench.say_later(0.1, bench.stored(chunk_id, voice=0))

    backup.answer = answer
    if not await _started(backup, NOT_THE_SENDER, OWN_FILE):
        return
    await bench.pause(3.0)
    backup.end()
    bench.findings.judge(
        NOT_THE_SENDER,
        len(backup.attempts(0)) > 1,
        "it didn't repeat the PUTCHUNK, though nobody said STORED",
        backup.story(0),
    )
    stored = bench.heard_about(Stored, backup.chunk_id(0))
    bench.findings.judge(OWN_FILE, not stored, "it said STORED", backup.story(0))


async def _either_case(bench: Bench) -> None:
    backup = await _begin(bench, "either-case", degree=1)

    def answer(chunk_id: ChunkId, count: int) -> None:
        usual = bench.datagram(bench.stored(chunk_id))
        text = chunk_id.file_id.hex().encode("ascii")
        other = text if chunk_id.file_id in bench.spelling else text.upper()
        written = bench.spelling.get(chunk_id.file_id, text)
        # If it doesn't know the id in the other case, it hears it in its own, the second time.
        bench.wire.send("MC", usual.replace(written, other) if count == 1 else usual)

    backup.answer = answer
    if not await _started(backup, EITHER_CASE):
        return
    await bench.pause(2.0)
    backup.end()
    bench.findings.judge(
        EITHER_CASE, len(backup.attempts(0)) == 1, "it repeated the PUTCHUNK all the same", backup.story(0)
    )


async def _never(bench: Bench) -> None:
    """Nobody answers."""
    backup = await _begin(bench, "never", degree=1)
    if not await _started(backup, WAITS, FIVE, STAYS):
        return
    await bench.pause(sum(ATTEMPT_WAITS) + AFTER_LAST)
    backup.end()
    times = [entry.at for entry in backup.attempts(0)]
    fault = fault_of_waits(times, ATTEMPT_WAITS)
    count = len(ATTEMPT_WAITS)
    if not fault and len(times) < count:
        fault = f"only {len(times)} PUTCHUNKs in {sum(ATTEMPT_WAITS):.0f} s"
    bench.findings.judge(WAITS, not fault, fault, backup.attempts(0))
    bench.findings.judge(FIVE, len(times) <= count, f"it sent {len(times)}", backup.attempts(0))
    deleted = [
        entry
        for entry in bench.wire.since(backup.putchunks[0].number)
        if not entry.is_sent and isinstance(entry.content, Delete) and entry.content.file_id == backup.file_id
    ]
    bench.findings.judge(STAYS, not deleted, "it said DELETE for the file", backup.attempts(0) + deleted)


NEEDS = frozenset({Command.BACKUP})

PROBES = (
    Probe(run=_empty_file, checks=(EMPTY_FILE,), needs=NEEDS),
    Probe(run=_either_case, checks=(EITHER_CASE,), needs=NEEDS),
    Probe(run=_one_sender, checks=(DISTINCT, STOPS), needs=NEEDS),
    Probe(run=_late, checks=(COUNTS_LATE,), needs=NEEDS),
    Probe(run=_by_chunk, checks=(BY_CHUNK,), needs=NEEDS),
    Probe(run=_own_file, checks=(NOT_THE_SENDER, OWN_FILE), needs=NEEDS),
)

SLOW_PROBES = (Probe(run=_never, checks=(WAITS, FIVE, STAYS), needs=NEEDS, is_slow=True),)
