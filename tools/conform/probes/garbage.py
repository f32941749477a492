"""Garbage and malformed messages, as real peers send them and as none does (SPEC.md 2.15 to 2.17)."""

from collections.abc import Callable

from protocol.values import CHUNK_SIZE, ChunkId, Edition
from tools.conform.bench import Bench
from tools.conform.checks import Check
from tools.conform.forms import parts, with_field, with_version
from tools.conform.probe import Probe
from tools.conform.shocks import Shock, Ward

ZEROS = b"0" * 64

Make = Callable[[Bench, ChunkId, bytes], bytes]


def _putchunk(bench: Bench, chunk_id: ChunkId, body: bytes) -> bytes:
    return bench.datagram(bench.putchunk(chunk_id, body))


def _bytes(datagram: bytes) -> Make:
    return lambda _bench, _chunk_id, _body: datagram


def _said(line: bytes) -> Make:
    """A header of this line, in which SENDER stands for the first voice."""
    return lambda bench, _chunk_id, _body: line.replace(b"SENDER", b"%d" % bench.voices[0]) + b" \r\n\r\n"


def _field(number: int, text: bytes) -> Make:
    """A PUTCHUNK with another text in a field, by its number in the type-first edition."""

    def make(bench: Bench, chunk_id: ChunkId, body: bytes) -> bytes:
        is_swapped = bench.edition is Edition.VERSION_FIRST and number < 2
        return with_field(_putchunk(bench, chunk_id, body), 1 - number if is_swapped else number, text)

    return make


def _outlives(what: str) -> Check:
    return Check("2.15", f"outlives {what}")


def _ignored(what: str, group: str, make: Make) -> Shock:
    """Nothing to see but that the peer lives on."""
    return Shock(what=what, group=group, make=make, outlives=_outlives(what))


def _dropped(what: str, make: Make, *, rule: str = "2.16", is_ours: bool = False) -> Shock:
    """A PUTCHUNK that is not to be taken."""
    drops = Check(rule, f"drops {what}", is_ours)
    return Shock(what=what, group="MDB", make=make, outlives=_outlives(what), expected=drops)


def _tabbed(bench: Bench, chunk_id: ChunkId, body: bytes) -> bytes:
    line, _ = parts(_putchunk(bench, chunk_id, body))
    return b"%b \r\n\r\n%b" % (line.replace(b" ", b"\t"), body)


def _short_id(bench: Bench, chunk_id: ChunkId, body: bytes) -> bytes:
    return with_field(_putchunk(bench, chunk_id, body), 3, chunk_id.file_id.hex()[:63].encode("ascii"))


SHOCKS = (
    _ignored("an empty datagram on MC", "MC", _bytes(b"")),
    _ignored("an empty datagram on MDB", "MDB", _bytes(b"")),
    _ignored("three bytes of garbage", "MC", _bytes(b"\x00\xffx")),
    _ignored("64,000 bytes without a header", "MDB", _bytes(bytes(CHUNK_SIZE))),
    _ignored("a CHUNK without an end of the header", "MDR", _bytes(b"CHUNK 1.0 7 " + ZEROS + b" 0 \r\n")),
    _dropped("a PUTCHUNK after a leading CR LF", lambda b, c, body: b"\r\n" + _putchunk(b, c, body)),
    _dropped("a PUTCHUNK with tabs between its fields", _tabbed),
    _dropped("a PUTCHUNK with its type in lower case", _field(0, b"putchunk")),
    _dropped("a PUTCHUNK of version 10.0", _field(1, b"10.0")),
    _dropped("a PUTCHUNK whose sender is a name", _field(2, b"peer7")),
    _dropped("a PUTCHUNK whose sender is 2^64", _field(2, b"18446744073709551616")),
    _dropped("a PUTCHUNK whose fileId has 63 digits", _short_id),
    _dropped("a PUTCHUNK whose chunk number has 7 digits", _field(4, b"1000000")),
    _dropped("a PUTCHUNK of degree 0", _field(5, b"0")),
    _ignored("a DELETE whose fileId is null", "MC", _said(b"DELETE 1.0 SENDER null")),
    _ignored("a DELETE with a fifth field", "MC", _said(b"DELETE 1.0 SENDER " + ZEROS + b" -1")),
    _ignored("a STORED whose fileId is a file name", "MC", _said(b"STORED 1.0 SENDER ChunksRecorder.ser 0")),
    _dropped(
        "a PUTCHUNK of version 2.0 without a body",
        lambda b, c, body: with_version(_putchunk(b, c, b""), b"2.0"),
        rule="2.17",
        is_ours=True,
    ),
    _ignored("a CHUNK of version 2.0 without a body", "MDR", _said(b"CHUNK 2.0 SENDER " + ZEROS + b" 0")),
    Shock(
        what="a PUTCHUNK of version 2.0 with its body",
        group="MDB",
        make=lambda b, c, body: with_version(_putchunk(b, c, body), b"2.0"),
        outlives=_outlives("a PUTCHUNK of version 2.0 with its body"),
        expected=Check("2.17", "stores the chunk of a PUTCHUNK of version 2.0", is_ours=True),
        is_stored=True,
    ),
    _ignored(
        "an unknown type of version 1.0 with all five fields",
        "MC",
        _said(b"HELLO 1.0 SENDER " + ZEROS + b" 0"),
    ),
    _ignored(
        "an unknown type of version 2.0 with all five fields",
        "MC",
        _said(b"HELLO 2.0 SENDER " + ZEROS + b" 0"),
    ),
)


async def _garbage(bench: Bench) -> None:
    await Ward(bench).give(SHOCKS)


PROBES = (Probe(run=_garbage, checks=tuple(check for shock in SHOCKS for check in shock.checks)),)
