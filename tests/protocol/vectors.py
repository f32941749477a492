"""The wire vectors of SPEC.md's appendix A as values: what each line there says, nothing more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import frozen

from protocol.errors import DropReason
from protocol.messages import Chunk, Delete, GetChunk, Message, PutChunk, Removed, Stored
from protocol.values import Edition, FileId, PeerId, Version

SPEC = Path(__file__).resolve().parents[2] / "SPEC.md"

_BLOCK = re.compile(r"^```vectors\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ABBREVIATION = re.compile(r"(\{\w+\}) = (.*)")
_ESCAPE = re.compile(r"\\r|\\n|\\x([0-9a-f]{2})|\{zeros:(\d+)\}|[^\\{}]", re.DOTALL)


@frozen
class Vector:
    """One line: a datagram, and the message that it is or the reason for which it is dropped."""

    name: str
    edition: Edition | None
    """Set where the message serialized in this edition is the datagram; None where it is only received."""
    datagram: bytes
    outcome: Message | DropReason


def read_vectors(spec: Path = SPEC) -> tuple[Vector, ...]:
    """All vectors of the document, in its order; ValueError if it has none, or a line that can't be read."""
    vectors = tuple(
        vector for block in _BLOCK.finditer(spec.read_text(encoding="utf-8")) for vector in _lines(block[1])
    )
    if not vectors:
        raise ValueError(f"{spec.name} has no block of vectors")
    names = [vector.name for vector in vectors]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"more than one vector is called {sorted(repeated)}")
    return vectors


def _lines(block: str) -> Iterator[Vector]:
    abbreviations: dict[str, str] = {}
    for line in block.splitlines():
        if not line or line.startswith("#"):
            continue
        if abbreviation := _ABBREVIATION.fullmatch(line):
            abbreviations[abbreviation[1]] = abbreviation[2]
            continue
        for short, long in abbreviations.items():
            line = line.replace(short, long)
        yield _vector(line)


def _vector(line: str) -> Vector:
    try:
        name, edition, verdict, datagram, *message = (part.strip() for part in line.split("|"))
        return Vector(
            name,
            None if edition == "*" else Edition(edition),
            _bytes(datagram),
            _message(*message) if verdict == "ok" else DropReason[verdict],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a vector: {line}") from error


def _bytes(text: str) -> bytes:
    parts: list[bytes] = []
    at = 0
    while at < len(text):
        escape = _ESCAPE.match(text, at)
        if escape is None:
            raise ValueError(f"not an escape: {text[at:]}")
        hexadecimal, zeros = escape.groups()
        if hexadecimal is not None:
            parts.append(bytes.fromhex(hexadecimal))
        elif zeros is not None:
            parts.append(bytes(int(zeros)))
        else:
            parts.append({r"\r": b"\r", r"\n": b"\n"}.get(escape[0]) or escape[0].encode("ascii"))
        at = escape.end()
    return b"".join(parts)


def _message(text: str) -> Message:
    class_name, *assignments = text.split(" ")
    fields = dict(assignment.split("=", 1) for assignment in assignments)
    message = _construct(class_name, fields)
    if fields:
        raise ValueError(f"a {class_name} has no {sorted(fields)}")
    return message


def _construct(class_name: str, fields: dict[str, str]) -> Message:
    version = Version(*map(int, fields.pop("version").split(".")))
    sender_id = PeerId(int(fields.pop("sender_id")))
    file_id = FileId.from_hex(fields.pop("file_id"))
    if class_name == "Delete":
        return Delete(version, sender_id, file_id)
    chunk_no = int(fields.pop("chunk_no"))
    if class_name == "PutChunk":
        degree = int(fields.pop("replication_degree"))
        return PutChunk(version, sender_id, file_id, chunk_no, degree, _bytes(fields.pop("body")))
    if class_name == "Chunk":
        return Chunk(version, sender_id, file_id, chunk_no, _bytes(fields.pop("body")))
    without_body: Mapping[str, type[Stored | GetChunk | Removed]] = {
        "Stored": Stored,
        "GetChunk": GetChunk,
        "Removed": Removed,
    }
    return without_body[class_name](version, sender_id, file_id, chunk_no)
