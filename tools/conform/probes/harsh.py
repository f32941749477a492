"""What is known to make some real peers deaf (SPEC.md 12.1, 12.2), though a right one takes it."""

from protocol.codec import serialize
from protocol.messages import Chunk
from protocol.values import ChunkId, Edition
from tools.conform.bench import Bench
from tools.conform.checks import Check
from tools.conform.forms import with_end, with_gap, with_lines, with_version
from tools.conform.probe import Probe
from tools.conform.shocks import Shock, Ward

LINE_IS_HEADER = Check("2.20", "doesn't take a further header line for a part of the chunk", is_ours=True)


def _putchunk(bench: Bench, chunk_id: ChunkId, body: bytes) -> bytes:
    return bench.datagram(bench.putchunk(chunk_id, body))


def _getchunk(bench: Bench, chunk_id: ChunkId) -> bytes:
    return bench.datagram(bench.getchunk(chunk_id))


def _other_edition(bench: Bench, chunk_id: ChunkId, body: bytes) -> bytes:
    other = Edition.VERSION_FIRST if bench.edition is Edition.TYPE_FIRST else Edition.TYPE_FIRST
    return serialize(bench.putchunk(chunk_id, body), other)


def _outlives(what: str) -> Check:
    return Check("2.15", f"outlives {what}")


SHOCKS = (
    Shock(
        what="a header without a space before its end",
        group="MDB",
        make=lambda bench, chunk_id, body: with_end(_putchunk(bench, chunk_id, body), b""),
        outlives=_outlives("a header without a space before its end"),
        expected=Check("2.2", "stores a chunk whose header has no space before its end"),
        is_stored=True,
    ),
    Shock(
        what="a header with several spaces before its end",
        group="MDB",
        make=lambda bench, chunk_id, body: with_end(_putchunk(bench, chunk_id, body), b"  "),
        outlives=_outlives("a header with several spaces before its end"),
        expected=Check("2.2", "stores a chunk whose header has several spaces before its end"),
        is_stored=True,
    ),
    Shock(
        what="a header with several spaces between its fields",
        group="MDB",
        make=lambda bench, chunk_id, body: with_gap(_putchunk(bench, chunk_id, body), b"  "),
        outlives=_outlives("a header with several spaces between its fields"),
        expected=Check("2.2", "stores a chunk whose header has several spaces between its fields"),
        is_stored=True,
    ),
    Shock(
        what="a header of the other edition",
        group="MDB",
        make=_other_edition,
        outlives=_outlives("a header of the other edition"),
        expected=Check("2.3", "stores a chunk whose header is of the other edition", is_ours=True),
        is_stored=True,
    ),
    Shock(
        what="a PUTCHUNK with a further header line",
        group="MDB",
        make=lambda bench, chunk_id, body: with_lines(_putchunk(bench, chunk_id, body), b"Extra: 1"),
        outlives=_outlives("a PUTCHUNK with a further header line"),
        expected=Check("2.20", "stores a chunk whose header has a further line", is_ours=True),
        is_stored=True,
    ),
    Shock(
        what="a PUTCHUNK of version 2.0 with further header lines",
        group="MDB",
        make=lambda bench, chunk_id, body: with_version(
            with_lines(_putchunk(bench, chunk_id, body), b"Extra: 1", b"More: 2"), b"2.0"
        ),
        outlives=_outlives("a PUTCHUNK of version 2.0 with further header lines"),
        expected=Check("2.20", "stores a chunk of version 2.0 whose header has further lines", is_ours=True),
        is_stored=True,
    ),
    Shock(
        what="a GETCHUNK of version 1.1",
        group="MC",
        make=lambda bench, chunk_id, _body: with_version(_getchunk(bench, chunk_id), b"1.1"),
        outlives=_outlives("a GETCHUNK of version 1.1"),
        expected=Check("2.17", "answers a GETCHUNK of version 1.1", is_ours=True),
        is_answered=True,
    ),
    Shock(
        what="a GETCHUNK with a further header line",
        group="MC",
        make=lambda bench, chunk_id, _body: with_lines(_getchunk(bench, chunk_id), b"127.0.0.1 9"),
        outlives=_outlives("a GETCHUNK with a further header line"),
        expected=Check("2.20", "answers a GETCHUNK with a further header line", is_ours=True),
        is_answered=True,
    ),
    Shock(
        what="an unknown type with three fields",
        group="MC",
        make=lambda bench, _chunk_id, _body: b"ONLINE 1.0 %d \r\n\r\n" % bench.voices[0],
        outlives=_outlives("an unknown type with three fields"),
    ),
    Shock(
        what="an unknown type with three fields and a further line",
        group="MC",
        make=lambda bench, _chunk_id, _body: b"QUERYDELETED 1.0 %d \r\n9 \r\n\r\n" % bench.voices[0],
        outlives=_outlives("an unknown type with three fields and a further line"),
    ),
)


async def _harsh(bench: Bench) -> None:
    await Ward(bench).give(SHOCKS)
    if not bench.deaf_since:
        await _line_is_header(bench)


async def _line_is_header(bench: Bench) -> None:
    chunk_id, body = ChunkId(bench.file_id(), 0), bench.body()
    held = await bench.put(chunk_id, body, form=with_lines(_putchunk(bench, chunk_id, body), b"Extra: 1"))
    if held is None:
        bench.findings.not_reached([LINE_IS_HEADER], "it doesn't store such a chunk")
        return
    entry = await bench.get(chunk_id)
    if entry is not None and isinstance(entry.content, Chunk):
        bench.findings.judge(
            LINE_IS_HEADER,
            entry.content.body == body,
            f"it returned {entry.body_bytes} bytes for a chunk of {len(body)}",
            bench.story(chunk_id),
        )


PROBES = (
    Probe(
        run=_harsh,
        checks=(*(check for shock in SHOCKS for check in shock.checks), LINE_IS_HEADER),
        is_harsh=True,
    ),
)
