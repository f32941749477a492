"""The peer as one that stores: PUTCHUNK in the forms that are harmless to everybody (SPEC.md 2, 3.15 to 3.22)."""

from peer.config import GroupAddress
from protocol.codec import serialize
from protocol.messages import Chunk, PutChunk, Stored
from protocol.values import CHUNK_SIZE, MAX_CHUNK_NO, VERSION_1_0, ChunkId, PeerId
from tools.conform.bench import SILENCE, Bench, Held
from tools.conform.checks import Check
from tools.conform.forms import with_file_id
from tools.conform.probe import Probe

EMPTY = Check("1.6", "stores an empty chunk, and returns it empty")
FULL = Check("1.6", "stores a chunk of 64,000 bytes, and returns it whole")
IGNORED_BODY = Check("2.1", "answers a GETCHUNK that has bytes behind its header")
EITHER_CASE = Check(
    "2.5", "stores a chunk whose fileId is in upper case, and returns it when asked in lower case"
)
HIGHEST_NUMBER = Check("2.5", "stores a chunk of the number 999,999")
LARGE_SENDER = Check("2.5", "stores a chunk from a sender whose id needs 64 bits", is_ours=True)
ANY_GROUP = Check("2.8", "reads a message by its type, also on the wrong group", is_ours=True)
OTHER_GROUP = Check("2.9", "doesn't hear another group that uses the same port", is_ours=True)
OWN_ID = Check("2.12", "stores a chunk that another sends in its name", is_ours=True)
OVERSIZED = Check("2.16", "drops a PUTCHUNK with more than 64,000 bytes of body")
ANSWERS = Check("3.2", "stores a chunk and says STORED")
REPEATED = Check("3.16", "says STORED again for a chunk that it holds, whenever it is asked to store it")
OTHER_BODY = Check("3.17", "doesn't answer a PUTCHUNK with another body than it holds", is_ours=True)
KEEPS_BODY = Check("3.17", "keeps the body that it holds when another one comes", is_ours=True)
TWINS = Check("3.20", "answers two PUTCHUNKs for one chunk at once with one STORED", is_ours=True)
LONE_NUMBER = Check(
    "3.22", "stores a chunk in the middle of a file of which it knows nothing else", is_ours=True
)
IN_KIND = Check("12.13", "answers in the case of the fileId in which it was asked", is_ours=True)
RETURNS = Check("4.2", "returns the chunk that it stored")


async def _plain(bench: Bench) -> None:
    await _put_and_get(bench, ChunkId(bench.file_id(), 0), bench.body(1_000), ANSWERS, RETURNS)


async def _empty(bench: Bench) -> None:
    await _put_and_get(bench, ChunkId(bench.file_id(), 0), b"", EMPTY, EMPTY)


async def _full(bench: Bench) -> None:
    await _put_and_get(bench, ChunkId(bench.file_id(), 0), bench.body(CHUNK_SIZE), FULL, FULL)


async def _upper_case(bench: Bench) -> None:
    chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
    usual = bench.datagram(bench.putchunk(chunk_id, body))
    upper = chunk_id.file_id.hex().upper().encode("ascii")
    form = with_file_id(usual, chunk_id.file_id, upper)
    held = await _put_and_get(bench, chunk_id, body, EITHER_CASE, EITHER_CASE, form=form)
    if held is not None:
        why = "it wrote a fileId in lower case that it was given in upper case"
        bench.findings.judge(IN_KIND, upper in held.stored.header, why, bench.story(chunk_id))


async def _numbers(bench: Bench) -> None:
    file_id = bench.file_id()
    await _put_and_get(bench, ChunkId(file_id, MAX_CHUNK_NO), bench.body(), HIGHEST_NUMBER, HIGHEST_NUMBER)
    await _put_and_get(bench, ChunkId(file_id, 7), bench.body(), LONE_NUMBER, LONE_NUMBER)


async def _large_sender(bench: Bench) -> None:
    chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
    message = PutChunk(VERSION_1_0, PeerId(2**64 - 1), *chunk_id, 1, body)
    held = await bench.put(chunk_id, body, form=serialize(message, bench.edition))
    bench.findings.judge(LARGE_SENDER, held is not None, "no STORED came", bench.story(chunk_id))


async def _wrong_group(bench: Bench) -> None:
    chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
    held = await bench.put(chunk_id, body, group="MC")
    if not bench.findings.judge(
        ANY_GROUP, held is not None, "a PUTCHUNK on MC brought no STORED", bench.story(chunk_id)
    ):
        return
    entry = await bench.get(chunk_id, group="MDB")
    bench.findings.judge(
        ANY_GROUP, entry is not None, "a GETCHUNK on MDB brought no CHUNK", bench.story(chunk_id)
    )


async def _other_group(bench: Bench) -> None:
    """Speak in a group that only shares the port with MDB: a socket bound to the wildcard address hears it."""
    mdb = bench.wire.groups.mdb
    first, second, third, last = mdb.host.split(".")
    other = GroupAddress(f"{first}.{second}.{third}.{int(last) ^ 1}", mdb.port)
    if other in (bench.wire.groups.mc, bench.wire.groups.mdr):
        bench.findings.not_reached([OTHER_GROUP], "the groups leave no address for it")
        return
    bench.wire.join_besides(other)
    chunk_id = ChunkId(bench.file_id(), 0)
    sent = bench.wire.send_beside(other, bench.datagram(bench.putchunk(chunk_id, bench.body())))
    stored = await bench.hear(Stored, chunk_id, within=SILENCE, since=sent.number)
    bench.findings.judge(
        OTHER_GROUP, stored is None, f"it stored what was sent to {other}", bench.story(chunk_id)
    )


async def _own_id(bench: Bench) -> None:
    chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
    message = PutChunk(VERSION_1_0, bench.subject, *chunk_id, 1, body)
    held = await bench.put(chunk_id, body, form=bench.datagram(message))
    bench.findings.judge(OWN_ID, held is not None, "no STORED came", bench.story(chunk_id))


async def _oversized(bench: Bench) -> None:
    usual = ChunkId(bench.file_id(), 0)
    # A message whose body is too long can't be made: the header of another one is put before it.
    header = bench.datagram(bench.putchunk(usual, b""))
    sent = [bench.wire.send("MDB", header + bench.body(size)) for size in (CHUNK_SIZE + 1, 65_300)]
    stored = await bench.hear(Stored, usual, within=SILENCE, since=sent[0].number)
    evidence = sent + ([] if stored is None else [stored])
    bench.findings.judge(OVERSIZED, stored is None, "it said STORED", evidence)


async def _repeated(bench: Bench) -> None:
    chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
    if await bench.put(chunk_id, body) is None:
        return
    for _ in range(2):
        again = await bench.put(chunk_id, body, waits=(2.0,))
        bench.findings.judge(
            REPEATED, again is not None, "a repeated PUTCHUNK brought no STORED", bench.story(chunk_id)
        )


async def _other_body(bench: Bench) -> None:
    chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
    if await bench.put(chunk_id, body) is None:
        return
    sent = bench.say(bench.putchunk(chunk_id, bench.body()))
    stored = await bench.hear(Stored, chunk_id, within=SILENCE, since=sent.number)
    bench.findings.judge(OTHER_BODY, stored is None, "it said STORED", bench.story(chunk_id))
    entry = await bench.get(chunk_id)
    if entry is not None:
        bench.findings.judge(
            KEEPS_BODY, _body(entry.content) == body, "it returned the other body", bench.story(chunk_id)
        )


async def _twins(bench: Bench) -> None:
    """Ten pairs: a STORED that happens to leave between the two of one pair proves nothing."""
    file_id = bench.file_id()
    pairs = [ChunkId(file_id, number) for number in range(10)]
    for chunk_id in pairs:
        message = bench.putchunk(chunk_id, bench.body())
        bench.say(message)
        bench.say(message)
        await bench.pause(0.05)
    await bench.pause(SILENCE)
    answers = [len(bench.heard_about(Stored, chunk_id)) for chunk_id in pairs]
    doubled = [chunk_id for chunk_id, count in zip(pairs, answers, strict=True) if count > 1]
    if any(answers):
        bench.findings.judge(
            TWINS,
            len(doubled) <= len(pairs) // 3,
            f"{len(doubled)} of {len(pairs)} pairs brought several STOREDs",
            bench.story(*doubled[:2]) if doubled else bench.story(pairs[0]),
        )


async def _ignored_body(bench: Bench) -> None:
    chunk_id = ChunkId(bench.file_id(), 0)
    if await bench.put(chunk_id, bench.body()) is None:
        return
    entry = await bench.get(chunk_id, form=bench.datagram(bench.getchunk(chunk_id)) + b"not a body")
    bench.findings.judge(IGNORED_BODY, entry is not None, "no CHUNK came", bench.story(chunk_id))


async def _put_and_get(
    bench: Bench, chunk_id: ChunkId, body: bytes, stores: Check, returns: Check, form: bytes | None = None
) -> Held | None:
    """Have the peer store a chunk and return it, and judge both."""
    held = await bench.put(chunk_id, body, form=form)
    if held is None:
        bench.findings.failed(stores, "no STORED came", bench.story(chunk_id))
        return None
    if returns is not stores:
        bench.findings.passed(stores, bench.story(chunk_id))
    entry = await bench.get(chunk_id)
    if entry is None:
        bench.findings.failed(returns, "it said STORED, but no CHUNK came", bench.story(chunk_id))
    else:
        is_right = _body(entry.content) == body
        why = f"it returned {entry.body_bytes} other bytes for the {len(body)} that it stored"
        bench.findings.judge(returns, is_right, why, bench.story(chunk_id))
    return held


def _body(content: object) -> bytes:
    assert isinstance(content, Chunk)
    return bytes(content.body)


PROBES = (
    Probe(run=_plain, checks=(ANSWERS, RETURNS)),
    Probe(run=_empty, checks=(EMPTY,)),
    Probe(run=_full, checks=(FULL,)),
    Probe(run=_upper_case, checks=(EITHER_CASE, IN_KIND)),
    Probe(run=_numbers, checks=(HIGHEST_NUMBER, LONE_NUMBER)),
    Probe(run=_large_sender, checks=(LARGE_SENDER,)),
    Probe(run=_wrong_group, checks=(ANY_GROUP,)),
    Probe(run=_other_group, checks=(OTHER_GROUP,)),
    Probe(run=_own_id, checks=(OWN_ID,)),
    Probe(run=_oversized, checks=(OVERSIZED,)),
    Probe(run=_repeated, checks=(REPEATED,)),
    Probe(run=_other_body, checks=(OTHER_BODY, KEEPS_BODY)),
    Probe(run=_twins, checks=(TWINS,)),
    Probe(run=_ignored_body, checks=(IGNORED_BODY,)),
)
