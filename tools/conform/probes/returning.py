"""The peer as a holder that is asked for chunks (SPEC.md 4.2, 4.8 to 4.11)."""

from protocol.messages import Chunk
from protocol.values import ChunkId
from tools.conform.bench import SILENCE, Bench, Held
from tools.conform.checks import Check
from tools.conform.probe import Probe

PAIRS = 40
"""Chunks for which an answer is overheard."""

OVERTAKING = 0.01
"""Seconds before which a CHUNK might overtake the GETCHUNK that it answers."""

MAY_ANSWER = PAIRS // 4
"""Its own answer leaves before that in one of 40 cases: that of 40 more than 10 do has a probability of 10^-9."""

DAMAGED = 10
"""Chunks for which damaged bytes are overheard."""

SUPPRESSED = Check("4.2", "stays silent when it has heard a CHUNK for the same chunk since the request")
ASKED_AGAIN = Check("4.2", "answers a GETCHUNK that is repeated after more than a second")
ONE_ANSWER = Check("4.8", "answers GETCHUNKs for one chunk within 0.8 s once", is_ours=True)
NOT_SILENCED = Check("4.9", "isn't silenced by a damaged CHUNK when it is asked again", is_ours=True)
SILENCED = Check("4.9", "is silenced by an equal CHUNK when it is asked again", is_ours=True)
HAS_NOT = Check("4.11", "stays silent when asked for a chunk that it doesn't hold")


async def _suppressed(bench: Bench) -> None:
    held = await bench.hold(PAIRS)
    if not held:
        return
    await _ask_and_answer(bench, held, SUPPRESSED)
    await bench.pause(1.0)
    await _ask_and_answer(bench, held, SILENCED)


async def _ask_and_answer(bench: Bench, held: list[Held], check: Check) -> None:
    """Ask for each chunk, let another answer at once, and see how often the peer answers all the same."""
    mark = bench.wire.mark
    for chunk in held:
        bench.say(bench.getchunk(chunk.chunk_id))
        await bench.pause(OVERTAKING)
        bench.say(bench.chunk(chunk.chunk_id, chunk.body))
    await bench.pause(SILENCE)
    answered = [chunk.chunk_id for chunk in held if bench.heard_about(Chunk, chunk.chunk_id, since=mark)]
    shown = bench.story(*(answered[:3] or [held[0].chunk_id]), since=mark)
    bench.findings.judge(
        check,
        len(answered) <= MAY_ANSWER,
        f"it answered {len(answered)} of {len(held)} requests that another had answered at once",
        shown,
    )


async def _asked_again(bench: Bench) -> None:
    chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
    if await bench.put(chunk_id, body) is None or await bench.get(chunk_id) is None:
        return
    for _ in range(2):
        await bench.pause(1.2)
        again = await bench.get(chunk_id, waits=(2.0,))
        bench.findings.judge(ASKED_AGAIN, again is not None, "no CHUNK came", bench.story(chunk_id))


async def _burst(bench: Bench) -> None:
    chunk_id = ChunkId(bench.file_id(), 0)
    if await bench.put(chunk_id, bench.body()) is None:
        return
    mark = bench.wire.mark
    await bench.say_each([bench.getchunk(chunk_id)] * 10, spacing=0.03)
    await bench.pause(SILENCE)
    count = len(bench.heard_about(Chunk, chunk_id, since=mark))
    bench.findings.judge(
        ONE_ANSWER, count == 1, f"10 GETCHUNKs in 0.3 s brought {count} CHUNKs", bench.story(chunk_id)
    )


async def _damaged(bench: Bench) -> None:
    """Ask again while somebody returns damaged bytes: the good copies have to come all the same."""
    held = await bench.hold(DAMAGED)
    await bench.say_each(bench.getchunk(chunk.chunk_id) for chunk in held)
    await bench.pause(1.2)
    mark = bench.wire.mark
    for chunk in held:
        bench.say(bench.getchunk(chunk.chunk_id))
        await bench.pause(OVERTAKING)
        bench.say(bench.chunk(chunk.chunk_id, bench.body()))
    await bench.pause(SILENCE)
    silent = [chunk.chunk_id for chunk in held if not bench.heard_about(Chunk, chunk.chunk_id, since=mark)]
    if held:
        bench.findings.judge(
            NOT_SILENCED,
            len(silent) <= len(held) // 5,
            f"it didn't answer {len(silent)} of {len(held)} requests that another had answered with other bytes",
            bench.story(*(silent[:3] or [held[0].chunk_id]), since=mark),
        )


async def _has_not(bench: Bench) -> None:
    chunk_id = ChunkId(bench.file_id(), 0)
    answer = await bench.get(chunk_id, waits=(SILENCE,))
    bench.findings.judge(HAS_NOT, answer is None, "it sent a CHUNK", bench.story(chunk_id))


PROBES = (
    Probe(run=_suppressed, checks=(SUPPRESSED, SILENCED)),
    Probe(run=_asked_again, checks=(ASKED_AGAIN,)),
    Probe(run=_burst, checks=(ONE_ANSWER,)),
    Probe(run=_damaged, checks=(NOT_SILENCED,)),
    Probe(run=_has_not, checks=(HAS_NOT,)),
)
