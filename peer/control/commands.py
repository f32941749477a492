"""The commands of the control protocol (SPEC.md 10.3): what both sides read and write, as AMP declares it."""

# ruff: noqa: N802, N803 (methods, arguments and class attributes are declared as AMP has them)

import re
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.protocols.amp import (
    MAX_VALUE_LENGTH,
    AmpBox,
    Argument,
    Boolean,
    Command,
    Float,
    ListOf,
    RemoteAmpError,
    String,
)

from peer.control.interfaces import ErrorCode, OperationError

MAX_PATH_BYTES = 4_096
"""What Linux takes in one call. Stops a name that no file can have from going any further."""

MAX_SENTENCE_CHARACTERS = 1_000
"""An AMP value ends at 65,535 bytes and breaks the connection beyond; no sentence needs as much as this."""

MAX_NUMBER = 10**18
"""Above every count of bytes, chunks or KByte that a disk can have, below 2**63."""

MAX_PEER_ID = 2**64 - 1

MAX_LONG_TEXT_BYTES = 16_000_000
"""A page of 500 files with the longest paths, escaped, is 13 MB."""

_PART_BYTES = 60_000

INTERNAL_SENTENCE = "the peer made a mistake of its own: its log has the details, please report them"

_log = Logger()


class WireError(OperationError):
    """An error whose class says its code: AMP tells errors apart by class and makes them from a sentence."""

    class_code: ErrorCode

    def __init__(self, sentence: str) -> None:
        super().__init__(self.class_code, sentence)


def _error_type(code: ErrorCode) -> type[WireError]:
    return type(f"{code.value}_Error", (WireError,), {"class_code": code})


_ERROR_TYPES = {code: _error_type(code) for code in ErrorCode}


def wire_error(code: ErrorCode, sentence: str) -> WireError:
    """An error that goes over the wire under its own code, as one line of bounded length."""
    line = " ".join(sentence.split())
    return _ERROR_TYPES[code](line[:MAX_SENTENCE_CHARACTERS])


class Number(Argument):
    """A whole number from 0 to `maximum`, in decimal digits."""

    def __init__(self, maximum: int = MAX_NUMBER) -> None:
        super().__init__()
        self._maximum = maximum

    def toString(self, inObject: int) -> bytes:
        """The bytes for the wire."""
        if not 0 <= inObject <= self._maximum:
            raise ValueError(f"{inObject} is not from 0 to {self._maximum}")
        return b"%d" % inObject

    def fromString(self, inString: bytes) -> int:
        """The number; ValueError when these bytes are none."""
        if not re.fullmatch(rb"[0-9]{1,20}", inString) or int(inString) > self._maximum:
            raise ValueError("not a number in range")
        return int(inString)


class Text(Argument):
    """A text or a path, in UTF-8. Bytes of a file name that are no UTF-8 pass unchanged (as os.fsdecode)."""

    def toString(self, inObject: str) -> bytes:
        """The bytes for the wire; ValueError if they are more than AMP can carry."""
        text = inObject.encode("utf-8", "surrogateescape")
        if len(text) > MAX_VALUE_LENGTH:
            raise ValueError(f"a text of {len(text)} bytes is too long to be sent")
        return text

    def fromString(self, inString: bytes) -> str:
        """The text."""
        return inString.decode("utf-8", "surrogateescape")


class LongText(Argument):
    """An ASCII text too long for one AMP value: cut into parts, with keys `name`, `name.1`, `name.2` …."""

    def toBox(self, name: bytes, strings: AmpBox, objects: dict[str, Any], proto: object) -> None:
        """Put the text's parts into the box `strings`."""
        text = self.retrieve(objects, name.decode(), proto).encode("ascii")
        if len(text) > MAX_LONG_TEXT_BYTES:
            raise ValueError(f"a text of {len(text)} bytes is too long to be sent")
        for number, start in enumerate(range(0, max(len(text), 1), _PART_BYTES)):
            strings[_part(name, number)] = text[start : start + _PART_BYTES]

    def fromBox(self, name: bytes, strings: AmpBox, objects: dict[str, Any], proto: object) -> None:
        """Join the parts that the box `strings` has."""
        parts: list[bytes] = []
        while (part := strings.pop(_part(name, len(parts)), None)) is not None:
            parts.append(part)
        objects[name.decode()] = b"".join(parts).decode("ascii")


def _part(name: bytes, number: int) -> bytes:
    return b"%s.%d" % (name, number) if number else name


class ControlCommand(Command):
    """A command that can fail with any of our errors, unreadable fields among them."""

    errors = {error_type: code.value.encode() for code, error_type in _ERROR_TYPES.items()}

    @classmethod
    def parseArguments(cls, box: AmpBox, protocol: object) -> dict[str, object]:
        """What the box says; a field that is missing or that can't be read is the caller's mistake."""
        try:
            arguments: dict[str, object] = super().parseArguments(box, protocol)
        except Exception:
            sentence = f"the peer can't read the fields of this {cls.commandName.decode()}"
            # AMP doesn't look here for the errors that a command declares.
            raise RemoteAmpError(ErrorCode.USAGE.value.encode(), sentence) from None
        return arguments

    @classmethod
    def makeResponse(cls, objects: dict[str, object], proto: object) -> AmpBox | Deferred[AmpBox]:
        """The box that says `objects`; what can't be said is a mistake of the peer."""
        try:
            box: AmpBox = super().makeResponse(objects, proto)
        except Exception:
            _log.failure("the answer to {command} can't be sent", command=cls.commandName.decode())
            # AMP would wrap what is raised here into an error of its own.
            return fail(wire_error(ErrorCode.INTERNAL, INTERNAL_SENTENCE))
        return box


class Hello(ControlCommand):
    """Client to server, the first: which versions of the control protocol, and a challenge."""

    arguments = [(b"versions", ListOf(Number())), (b"nonce", String())]
    response = [(b"version", Number()), (b"nonce", String()), (b"proof", String())]


class Backup(ControlCommand):
    """Client to server: IOperations.backup."""

    arguments = [(b"run", Number()), (b"path", Text()), (b"degree", Number()), (b"enhanced", Boolean())]
    response = [
        (b"file_id", Text()),
        (b"bytes", Number()),
        (b"chunks", Number()),
        (b"desired", Number()),
        (b"perceived_min", Number()),
        (b"below_degree", Number()),
        (b"seconds", Float()),
    ]


class Restore(ControlCommand):
    """Client to server: IOperations.restore."""

    arguments = [(b"run", Number()), (b"path", Text()), (b"enhanced", Boolean())]
    response = [
        (b"file_id", Text()),
        (b"path", Text()),
        (b"bytes", Number()),
        (b"chunks", Number()),
        (b"seconds", Float()),
    ]


class Delete(ControlCommand):
    """Client to server: IOperations.delete."""

    arguments = [(b"path", Text()), (b"enhanced", Boolean())]
    response = [(b"file_id", Text())]


class Reclaim(ControlCommand):
    """Client to server: IOperations.reclaim."""

    arguments = [(b"run", Number()), (b"kbytes", Number()), (b"enhanced", Boolean())]
    response = [
        (b"capacity_kbytes", Number()),
        (b"used_kbytes", Number()),
        (b"removed_chunks", Number()),
        (b"unplaced_chunks", Number()),
    ]


class Limit(ControlCommand):
    """Client to server: IOperations.limit_sending."""

    arguments = [(b"bytes_per_second", Number())]


class Summary(ControlCommand):
    """Client to server: IOperations.state_summary."""

    response = [
        (b"peer", Number(MAX_PEER_ID)),
        (b"version", Text()),
        (b"capacity_kbytes", Number()),
        (b"used_kbytes", Number()),
        (b"files", Number()),
        (b"chunks", Number()),
    ]


class Page(ControlCommand):
    """Client to server: IOperations.state_page; the entries are JSON, see `pages`."""

    arguments = [(b"cursor", Text())]
    response = [(b"entries", LongText()), (b"cursor", Text())]


class Progressed(ControlCommand):
    """Server to client: how far the operation has come that the client started as `run`."""

    arguments = [(b"run", Number()), (b"done", Number()), (b"total", Number()), (b"unit", Text())]
