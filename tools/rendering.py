"""What a peer answered, as sentences and tables for people and as objects for programs."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from attrs import asdict

from peer.control.interfaces import (
    BackupReport,
    ChunkState,
    DeleteReport,
    FileState,
    ReclaimReport,
    RestoreReport,
)
from peer.control.session import State
from tools.request import Request

Report = BackupReport | RestoreReport | DeleteReport | ReclaimReport | State
Key = TypeVar("Key")

WIDTH = 100


def as_object(report: Report) -> dict[str, object]:
    """The report as an object for JSON."""
    if not isinstance(report, State):
        values = asdict(report)
        return values | ({"seconds": round(values["seconds"], 3)} if "seconds" in values else {})
    return {
        "peer": report.summary.peer,
        "version": report.summary.version,
        "capacity_kbytes": report.summary.capacity_kbytes,
        "used_kbytes": report.summary.used_kbytes,
        "files": [
            {
                "path": file.path,
                "file_id": file.file_id,
                "desired": file.desired,
                "chunk_count": file.chunk_count,
                "is_complete": file.is_complete,
                "chunks": [{"no": no, "perceived": perceived} for no, perceived in file.chunks],
            }
            for file in report.files
        ],
        "chunks": [
            {
                "file_id": chunk.file_id,
                "no": chunk.no,
                "kbytes": kbytes(chunk.length),
                "desired": chunk.desired,
                "perceived": chunk.perceived,
            }
            for chunk in report.chunks
        ],
    }


def as_text(request: Request, report: Report) -> str:
    """The report as sentences, and for STATE as tables: some lines without an end of line at the last."""
    match report:
        case BackupReport():
            return _backup(request, report)
        case RestoreReport():
            return (
                f"Restored {printable(request.path)}: {_size(report)}, in {report.seconds:.1f} s.\n"
                f"It is in {printable(report.path)}"
            )
        case DeleteReport():
            return (
                f"Deleted the backup of {printable(request.path)} from the group (file id {report.file_id})."
            )
        case ReclaimReport():
            return _reclaim(report)
        case State():
            return "\n".join(_state(report))


def shortfall(report: Report) -> str | None:
    """What wasn't done of what was asked for, as a sentence; None if all was."""
    if isinstance(report, ReclaimReport) and report.unplaced_chunks:
        return (
            f"{report.used_kbytes - report.capacity_kbytes:,} KByte stay over the capacity, since no other peer took"
            f" any of {count(report.unplaced_chunks, 'chunk')}: start one that has room; this one goes on trying, and"
            " after its --last-copy-grace, 24 hours unless it was told otherwise, drops what has to go"
        )
    if not isinstance(report, BackupReport) or not report.below_degree:
        return None
    return (
        f"{report.below_degree:,} of {count(report.chunks, 'chunk')} below degree {report.desired}"
        f" (the worst has {report.perceived_min}): start more peers, or RECLAIM more room on them,"
        " and ask for the BACKUP again"
    )


def kbytes(length: int) -> int | float:
    """`length` bytes in KByte of 1000, exactly."""
    return length // 1000 if length % 1000 == 0 else length / 1000


def printable(text: str) -> str:
    """`text` on one line, whatever characters a file name has: those that can't be seen are escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def count(number: int, noun: str) -> str:
    """`number` and `noun`, which is a plural unless it is one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def runs(items: Iterable[tuple[int, Key]]) -> Iterator[tuple[str, Key]]:
    """Join what has successive numbers and equal keys: (0, a), (1, a), (2, b) as ("0-1", a), ("2", b)."""
    numbered = ((no - position, no, key) for position, (no, key) in enumerate(items))
    for (_, key), group in groupby(numbered, key=lambda item: (item[0], item[2])):
        numbers = [no for _, no, _ in group]
        yield (f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])), key


def _size(report: BackupReport | RestoreReport) -> str:
    return f"{count(report.bytes, 'byte')} in {count(report.chunks, 'chunk')}"


def _backup(request: Request, report: BackupReport) -> str:
    kept = (
        f"at least {report.perceived_min} of {report.desired}" if report.below_degree else f"{report.desired}"
    )
    copies = "copy" if report.desired == 1 else "copies"
    text = (
        f"Backed up {printable(request.path)}: {_size(report)}, {kept} {copies} of each,"
        f" in {report.seconds:.1f} s.\nIts file id is {report.file_id}"
    )
    if report.desired > request.degree:
        text += (
            f"\nDegree {report.desired} was asked for before, and still holds:"
            " DELETE it first to have fewer copies"
        )
    return text


def _reclaim(report: ReclaimReport) -> str:
    return (
        f"The peer lends {report.capacity_kbytes:,} KByte now, and {report.used_kbytes:,} KByte are in use;"
        f" it has dropped {count(report.removed_chunks, 'chunk')}."
    )


def _state(state: State) -> Iterator[str]:
    summary = state.summary
    yield f"Peer {summary.peer}, protocol version {summary.version}"
    yield f"Lends {summary.capacity_kbytes:,} KByte to others, {summary.used_kbytes:,} KByte of them in use"
    yield ""
    yield f"Backed up from here: {count(len(state.files), 'file')}"
    for file in state.files:
        yield from _file(file)
    yield ""
    by_file = [(file_id, list(group)) for file_id, group in groupby(state.chunks, key=lambda c: c.file_id)]
    stored = count(len(state.chunks), "chunk")
    yield f"Stored here for others: {stored}" + (f" of {count(len(by_file), 'file')}" if by_file else "")
    for file_id, chunks in by_file:
        yield from _stored_file(file_id, chunks)


def _file(file: FileState) -> Iterator[str]:
    yield ""
    yield f"  {printable(file.path)}"
    yield f"    file id {file.file_id}"
    so_far = "" if file.is_complete else f"; not complete, {len(file.chunks):,} recorded so far"
    yield f"    {count(file.chunk_count, 'chunk')}{so_far}, desired degree {file.desired}; perceived degrees:"
    ranges = "  ".join(
        f"{numbers}: {perceived}".replace(" ", "\xa0") for numbers, perceived in runs(file.chunks)
    )
    for line in textwrap.wrap(ranges, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6):
        yield line.replace("\xa0", " ")


def _stored_file(file_id: str, chunks: Sequence[ChunkState]) -> Iterator[str]:
    yield ""
    yield f"  file id {file_id}"
    yield f"    {'chunks':<13}  {'KByte each':>10}  {'desired':>7}  {'perceived':>9}"
    for numbers, (length, desired, perceived) in runs(
        (chunk.no, (chunk.length, chunk.desired, chunk.perceived)) for chunk in chunks
    ):
        yield f"    {numbers:<13}  {kbytes(length):>10}  {desired:>7}  {perceived:>9}"
