"""The peer as a holder that hears REMOVED (SPEC.md 6.2 to 6.4, 6.7)."""

from attrs import define, field

from protocol.messages import PutChunk, Stored
from protocol.values import ChunkId
from tools.conform.bench import SILENCE, Bench, Held
from tools.conform.checks import Check
from tools.conform.probe import Probe
from tools.conform.statistics import described, fault_of_delays
from tools.conform.wire import Entry

CHUNKS = 24
"""Chunks of which a copy is lost."""

APART = 0.2
"""Seconds between those losses: some peers keep a thread for the whole of a chunk backup, and have ten."""

OVERHEARD = 40
"""Chunks of which a copy is lost and another peer begins the repair."""

OVERTAKING = 0.01
"""Seconds before which a PUTCHUNK might overtake the REMOVED that it follows."""

MAY_BEGIN = OVERHEARD // 4
"""The peer begins before that in one of 40 cases: that of 40 it does in more than 10 has a probability of 10^-9."""

REPAIRS = Check("6.2", "begins a chunk backup when a REMOVED brings the count below the degree")
REPAIR_DELAY = Check("6.2", "waits U(0, 400 ms) before that chunk backup")
REPAIR_BODY = Check("6.2", "sends the chunk in it as it was stored")
GIVES_WAY = Check("6.2", "leaves the chunk backup to another whose PUTCHUNK it has heard since the REMOVED")
NOT_NEEDED = Check("6.2", "begins no chunk backup while the count still meets the degree")
COUNTS_ITSELF = Check("6.3", "counts itself in that chunk backup, and ends it when one more peer says STORED")
SAYS_STORED = Check("3.7", "says STORED for its own copy in that chunk backup", is_ours=True)
DEGREE_STAYS = Check("3.21", "keeps the desired degree when a PUTCHUNK with a lower one comes", is_ours=True)
LOOKS_AGAIN = Check("6.4", "begins a chunk backup when one that it didn't count says REMOVED", is_ours=True)
NOT_TOO_OFTEN = Check("6.4", "looks again for one chunk at most once in 10 s", is_ours=True)
OWN_NAME = Check("2.12", "looks again when another says REMOVED in its name", is_ours=True)
CONFIRMS = Check("6.7", "says STORED when it hears REMOVED for a chunk that it holds", is_ours=True)


@define
class _Repairs:
    """The PUTCHUNKs of the peer that follow REMOVEDs; each is answered by one more holder."""

    bench: Bench
    begun: dict[ChunkId, list[Entry]] = field(factory=dict)

    def heard(self, entry: Entry) -> None:
        """Take a datagram of the peer."""
        message = entry.said(PutChunk)
        if message is not None and message.chunk_id in self.begun:
            self.begun[message.chunk_id].append(entry)
            self.bench.say_later(0.05, self.bench.stored(message.chunk_id, voice=2))


async def _held_by_two(bench: Bench, count: int) -> list[Held]:
    """Chunks of degree 2 that the peer and voice 1 hold."""
    held = await bench.hold(count, degree=2)
    await bench.say_each(bench.stored(chunk.chunk_id, voice=1) for chunk in held)
    await bench.pause(0.5)
    return held


async def _repairs(bench: Bench) -> None:
    held = await _held_by_two(bench, CHUNKS)
    if not held:
        return
    repairs = _Repairs(bench, {chunk.chunk_id: [] for chunk in held})
    end = bench.wire.listen_to(repairs.heard)
    mark = bench.wire.mark
    removed = await bench.say_each((bench.removed(chunk.chunk_id) for chunk in held), spacing=APART)
    await bench.pause(4.0)
    end()
    began = {chunk_id: entries for chunk_id, entries in repairs.begun.items() if entries}
    missing = [chunk.chunk_id for chunk in held if chunk.chunk_id not in began]
    findings = bench.findings
    if not findings.judge(
        REPAIRS,
        len(missing) <= len(held) // 10,
        f"it began none for {len(missing)} of {len(held)} chunks",
        bench.story(*(missing[:2] or [held[0].chunk_id]), since=mark),
    ):
        return
    by_chunk = {chunk.chunk_id: chunk for chunk in held}
    asked = {chunk.chunk_id: entry.at for chunk, entry in zip(held, removed, strict=True)}
    delays = [entries[0].at - asked[chunk_id] for chunk_id, entries in began.items()]
    fault = fault_of_delays(delays)
    first = [entries[0] for entries in list(began.values())[:5]]
    if fault:
        findings.failed(REPAIR_DELAY, f"{fault} ({described(delays)})", first)
    else:
        findings.passed(REPAIR_DELAY, first, described(delays))
    other = [
        entry
        for entries in began.values()
        for entry in entries
        if _body(entry) != _held(by_chunk, entry).body
    ]
    findings.judge(REPAIR_BODY, not other, f"{len(other)} PUTCHUNKs had other bytes", other or first)
    again = [chunk_id for chunk_id, entries in began.items() if len(entries) > 1]
    findings.judge(
        COUNTS_ITSELF,
        len(again) <= len(began) // 10,
        f"it sent {len(again)} of {len(began)} chunks again though it and one more hold them",
        bench.story(*(again[:2] or list(began)[:1]), since=mark),
    )
    silent = [chunk_id for chunk_id in began if not bench.heard_about(Stored, chunk_id, since=mark)]
    findings.judge(
        SAYS_STORED,
        len(silent) <= len(began) // 10,
        f"it said none for {len(silent)} of {len(began)} chunks",
        bench.story(*(silent[:2] or list(began)[:1]), since=mark),
    )


def _body(entry: Entry) -> bytes:
    message = entry.said(PutChunk)
    assert message is not None
    return bytes(message.body)


def _held(by_chunk: dict[ChunkId, Held], entry: Entry) -> Held:
    message = entry.said(PutChunk)
    assert message is not None
    return by_chunk[message.chunk_id]


async def _gives_way(bench: Bench) -> None:
    held = await _held_by_two(bench, OVERHEARD)
    if not held:
        return
    mark = bench.wire.mark
    for chunk in held:
        bench.say(bench.removed(chunk.chunk_id))
        await bench.pause(OVERTAKING)
        bench.say(bench.putchunk(chunk.chunk_id, chunk.body, degree=2, voice=2))
        # Only when the peer would have begun, so that it is the PUTCHUNK that keeps it from that.
        bench.say_later(0.6, bench.stored(chunk.chunk_id, voice=2))
    await bench.pause(SILENCE)
    began = [chunk.chunk_id for chunk in held if bench.heard_about(PutChunk, chunk.chunk_id, since=mark)]
    bench.findings.judge(
        GIVES_WAY,
        len(began) <= MAY_BEGIN,
        f"it sent {len(began)} of {len(held)} chunks for which another had sent PUTCHUNK at once",
        bench.story(*(began[:2] or [held[0].chunk_id]), since=mark),
    )


async def _not_needed(bench: Bench) -> None:
    chunk_id = ChunkId(bench.file_id(), 0)
    if await bench.put(chunk_id, bench.body(), degree=1) is None:
        return
    bench.say(bench.stored(chunk_id, voice=1))
    await bench.pause(0.5)
    sent = bench.say(bench.removed(chunk_id, voice=1))
    began = await bench.hear(PutChunk, chunk_id, within=1.5, since=sent.number)
    bench.findings.judge(NOT_NEEDED, began is None, "it sent PUTCHUNK", bench.story(chunk_id))
    if began is None:
        confirmed = bench.heard_about(Stored, chunk_id, since=sent.number)
        bench.findings.judge(CONFIRMS, bool(confirmed), "it said nothing", bench.story(chunk_id))


async def _degree_stays(bench: Bench) -> None:
    chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
    if await bench.put(chunk_id, body, degree=2) is None:
        return
    await bench.put(chunk_id, body, degree=1, waits=(1.0,))
    bench.say(bench.stored(chunk_id, voice=1))
    await bench.pause(0.5)
    repairs = _Repairs(bench, {chunk_id: []})
    end = bench.wire.listen_to(repairs.heard)
    sent = bench.say(bench.removed(chunk_id, voice=1))
    began = await bench.hear(PutChunk, chunk_id, within=2.0, since=sent.number)
    end()
    degree = None if began is None else began.content.replication_degree  # type: ignore[union-attr]
    why = "no PUTCHUNK came" if degree is None else f"its PUTCHUNK asked for {degree}, not 2"
    bench.findings.judge(DEGREE_STAYS, degree == 2, why, bench.story(chunk_id))


async def _looks_again(bench: Bench) -> None:
    chunk_id = ChunkId(bench.file_id(), 0)
    if await bench.put(chunk_id, bench.body(), degree=1) is None:
        return
    sent = bench.say(bench.removed(chunk_id, voice=3))
    began = await bench.hear(PutChunk, chunk_id, within=2.0, since=sent.number)
    if not bench.findings.judge(LOOKS_AGAIN, began is not None, "no PUTCHUNK came", bench.story(chunk_id)):
        return
    bench.say(bench.stored(chunk_id, voice=2))
    await bench.pause(2.0)
    sent = bench.say(bench.removed(chunk_id, voice=3))
    again = await bench.hear(PutChunk, chunk_id, within=1.5, since=sent.number)
    bench.findings.judge(NOT_TOO_OFTEN, again is None, "it sent PUTCHUNK again", bench.story(chunk_id))


async def _own_name(bench: Bench) -> None:
    chunk_id = ChunkId(bench.file_id(), 0)
    if await bench.put(chunk_id, bench.body(), degree=1) is None:
        return
    message = bench.removed(chunk_id)
    sent = bench.say(type(message)(message.version, bench.subject, *chunk_id))
    began = await bench.hear(PutChunk, chunk_id, within=2.0, since=sent.number)
    bench.findings.judge(OWN_NAME, began is not None, "no PUTCHUNK came", bench.story(chunk_id))


MANY_PROBES = (Probe(run=_repairs, checks=(REPAIRS, REPAIR_DELAY, REPAIR_BODY, COUNTS_ITSELF, SAYS_STORED)),)

PROBES = (
    Probe(run=_gives_way, checks=(GIVES_WAY,)),
    Probe(run=_not_needed, checks=(NOT_NEEDED, CONFIRMS)),
    Probe(run=_degree_stays, checks=(DEGREE_STAYS,)),
    Probe(run=_looks_again, checks=(LOOKS_AGAIN, NOT_TOO_OFTEN)),
    Probe(run=_own_name, checks=(OWN_NAME,)),
)
