"""The peer as a holder that hears DELETE (SPEC.md 5.2, 5.3, 5.11)."""

from protocol.messages import Chunk, Stored
from protocol.values import ChunkId
from tools.conform.bench import SILENCE, Bench
from tools.conform.checks import Check
from tools.conform.probe import Probe

FILES = 20
"""Files that are deleted while an answer is due."""

OVERTAKING = 0.01
"""Seconds before which a DELETE might overtake what it follows."""

MAY_ANSWER = FILES // 3
"""An answer leaves before that in one of 40 cases: that of 20 more than 6 do has a probability of 10^-7."""

REMOVES = Check("5.2", "removes every chunk of a file on DELETE")
CANCELS_STORED = Check("5.3", "cancels a STORED that is due when DELETE comes", is_ours=True)
CANCELS_CHUNK = Check("5.3", "cancels a CHUNK that is due when DELETE comes", is_ours=True)
REFUSES = Check("5.11", "refuses PUTCHUNKs for a file in the 2 s after its DELETE", is_ours=True)
ACCEPTS_AGAIN = Check(
    "5.11", "accepts PUTCHUNKs for a file again when its DELETE is more than 2 s ago", is_ours=True
)


async def _removes(bench: Bench) -> None:
    held = await bench.hold(3)
    if not held:
        return
    file_id = held[0].chunk_id.file_id
    bench.say(bench.delete(file_id))
    await bench.pause(0.1)
    mark = bench.wire.mark
    bench.say(bench.putchunk(held[0].chunk_id, held[0].body))
    refused = await bench.hear(Stored, held[0].chunk_id, within=SILENCE, since=mark)
    bench.findings.judge(REFUSES, refused is None, "it said STORED", bench.story(held[0].chunk_id))
    # The first was offered again just now, and may have been taken.
    kept = held[1:]
    await bench.say_each(bench.getchunk(chunk.chunk_id) for chunk in kept)
    await bench.pause(SILENCE)
    returned = [chunk.chunk_id for chunk in kept if bench.heard_about(Chunk, chunk.chunk_id, since=mark)]
    if kept:
        bench.findings.judge(
            REMOVES,
            not returned,
            f"it returned {len(returned)} of {len(kept)} chunks after that",
            bench.story(*(returned or [kept[0].chunk_id])),
        )
    await bench.pause(2.5)
    again = await bench.put(held[0].chunk_id, held[0].body)
    bench.findings.judge(ACCEPTS_AGAIN, again is not None, "no STORED came", bench.story(held[0].chunk_id))


async def _cancels_stored(bench: Bench) -> None:
    mark = bench.wire.mark
    chunks = []
    for _ in range(FILES):
        chunk_id = ChunkId(bench.file_id(), 0)
        chunks.append(chunk_id)
        bench.say(bench.putchunk(chunk_id, bench.body()))
        await bench.pause(OVERTAKING)
        bench.say(bench.delete(chunk_id.file_id))
    await bench.pause(SILENCE)
    answered = [chunk_id for chunk_id in chunks if bench.heard_about(Stored, chunk_id, since=mark)]
    bench.findings.judge(
        CANCELS_STORED,
        len(answered) <= MAY_ANSWER,
        f"it said STORED for {len(answered)} of {FILES} files deleted at once",
        bench.story(*(answered[:3] or chunks[:1])),
    )


async def _cancels_chunk(bench: Bench) -> None:
    chunks = [ChunkId(bench.file_id(), 0) for _ in range(FILES)]
    await bench.say_each(bench.putchunk(chunk_id, bench.body()) for chunk_id in chunks)
    await bench.pause(SILENCE)
    held = [chunk_id for chunk_id in chunks if bench.heard_about(Stored, chunk_id)]
    if len(held) < FILES // 2:
        return
    mark = bench.wire.mark
    for chunk_id in held:
        bench.say(bench.getchunk(chunk_id))
        await bench.pause(OVERTAKING)
        bench.say(bench.delete(chunk_id.file_id))
    await bench.pause(SILENCE)
    answered = [chunk_id for chunk_id in held if bench.heard_about(Chunk, chunk_id, since=mark)]
    bench.findings.judge(
        CANCELS_CHUNK,
        len(answered) <= MAY_ANSWER,
        f"it returned {len(answered)} of {len(held)} chunks deleted at once",
        bench.story(*(answered[:3] or held[:1])),
    )


PROBES = (
    Probe(run=_removes, checks=(REMOVES, REFUSES, ACCEPTS_AGAIN)),
    Probe(run=_cancels_stored, checks=(CANCELS_STORED,)),
    Probe(run=_cancels_chunk, checks=(CANCELS_CHUNK,)),
)
