"""Datagrams in other forms than the one that everybody understands (SPEC.md 2.2 to 2.5)."""

from protocol.values import FileId


def parts(datagram: bytes) -> tuple[bytes, bytes]:
    """The first line without the spaces at its end, and the body."""
    header, _, body = datagram.partition(b"\r\n\r\n")
    return header.rstrip(b" "), body


def with_end(datagram: bytes, end: bytes) -> bytes:
    """With `end` between the last field and CR LF CR LF."""
    line, body = parts(datagram)
    return b"%b%b\r\n\r\n%b" % (line, end, body)


def with_gap(datagram: bytes, gap: bytes) -> bytes:
    """With `gap` between the fields."""
    line, body = parts(datagram)
    return b"%b \r\n\r\n%b" % (line.replace(b" ", gap), body)


def with_lines(datagram: bytes, *lines: bytes) -> bytes:
    """With further header lines."""
    line, body = parts(datagram)
    return b"%b \r\n%b\r\n%b" % (line, b"".join(further + b"\r\n" for further in lines), body)


def with_version(datagram: bytes, version: bytes) -> bytes:
    """Of another version."""
    line, body = parts(datagram)
    return b"%b \r\n\r\n%b" % (line.replace(b"1.0", version, 1), body)


def with_file_id(datagram: bytes, file_id: FileId, text: bytes) -> bytes:
    """With the file id written in another way."""
    line, body = parts(datagram)
    return b"%b \r\n\r\n%b" % (line.replace(file_id.hex().encode("ascii"), text), body)


def with_field(datagram: bytes, number: int, text: bytes) -> bytes:
    """With another text in the field of this number, type and version included, from 0."""
    line, body = parts(datagram)
    fields = line.split(b" ")
    fields[number] = text
    return b"%b \r\n\r\n%b" % (b" ".join(fields), body)
