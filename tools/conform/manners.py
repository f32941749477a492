"""What holds for everything that a peer sends, looked at all the time (SPEC.md 2.3, 2.5 to 2.7, 2.10, 2.22)."""

import re
from collections import Counter

from attrs import define, field

from protocol.errors import ProtocolError
from protocol.messages import GetChunk, Message, PutChunk
from protocol.values import VERSION_1_0, Edition, FileId, PeerId
from tools.conform.checks import Check
from tools.conform.findings import Findings
from tools.conform.wire import Entry, usual_group

EDITION = Check("2.3", "sends headers of one edition, the one that it is said to have", is_ours=True)
OWN_NAME = Check("2.5", "gives its own id as SenderId in all that it sends")
RIGHT_GROUP = Check("2.6", "sends each message on the group of its type")
SIX_TYPES = Check("2.7", "sends nothing but messages of the six types")
ONE_FORM = Check("2.7", "sends headers in the one form that everybody understands")
ONE_SOCKET = Check("2.10", "sends everything from one socket, which is no socket of a group", is_ours=True)
ONE_VERSION = Check("2.22", "sends nothing of another version than 1.0")

CHECKS = (EDITION, OWN_NAME, RIGHT_GROUP, SIX_TYPES, ONE_FORM, ONE_SOCKET, ONE_VERSION)

MAX_FORMS = 40
"""Kinds of header counted apart: more are counted together."""

_NUMBER = rb"(?:0|[1-9][0-9]*)"
# One space between fields and one before the end, hex of one case, numbers without leading zeros, one line.
_ONE_FORM = re.compile(
    rb"(?:[A-Z]+ [0-9]\.[0-9]|[0-9]\.[0-9] [A-Z]+) %(number)b (?:[0-9a-f]{64}|[0-9A-F]{64})"
    rb"(?: %(number)b){0,2} \r\n\r\n" % {b"number": _NUMBER}
)
_TYPE_FIRST = re.compile(rb"[A-Z]+ ")


@define
class Manners:
    """Looks at each datagram of the peer."""

    findings: Findings
    edition: Edition
    group_ports: frozenset[int]
    subject: PeerId | None = None
    """Its id, once it is known."""
    forms: Counter[str] = field(factory=Counter)
    """How many datagrams had which kind of header."""
    _upper_case: set[FileId] = field(factory=set)
    _sources: dict[tuple[str, int], Entry] = field(factory=dict)

    def watch(self, entry: Entry) -> None:
        """Look at a datagram of either side."""
        if entry.is_sent:
            self._learn(entry)
        else:
            self._look_at(entry)

    def _learn(self, entry: Entry) -> None:
        """Remember for which files the probe has written the id in upper case: the peer may do so too (12.13)."""
        content = entry.content
        if isinstance(content, PutChunk | GetChunk) and _lower(content) not in entry.header:
            self._upper_case.add(content.file_id)

    def _look_at(self, entry: Entry) -> None:
        form = f"{entry.group}: {_kind(entry.header)}"
        self.forms[form if form in self.forms or len(self.forms) < MAX_FORMS else "others"] += 1
        self._look_at_socket(entry)
        content = entry.content
        if isinstance(content, ProtocolError):
            self.findings.failed(SIX_TYPES, f"it sent what is no message ({content})", [entry])
            return
        findings = self.findings
        findings.judge(
            RIGHT_GROUP, usual_group(content) in entry.group.split("+"), f"it came on {entry.group}", [entry]
        )
        findings.passed(SIX_TYPES)
        is_of_form = bool(_ONE_FORM.fullmatch(entry.header)) and (
            _lower(content) in entry.header or content.file_id in self._upper_case
        )
        findings.judge(ONE_FORM, is_of_form, f"the header is {entry.header!r}", [entry])
        findings.judge(ONE_VERSION, content.version == VERSION_1_0, f"version {content.version}", [entry])
        is_type_first = bool(_TYPE_FIRST.match(entry.header))
        findings.judge(
            EDITION,
            is_type_first is (self.edition is Edition.TYPE_FIRST),
            "it is of the other edition",
            [entry],
        )
        if self.subject is not None:
            why = f"it speaks as {content.sender_id} and as {self.subject}"
            findings.judge(OWN_NAME, content.sender_id == self.subject, why, [entry])

    def _look_at_socket(self, entry: Entry) -> None:
        self._sources.setdefault(entry.source, entry)
        if entry.source[1] in self.group_ports:
            self.findings.failed(
                ONE_SOCKET, f"it sends from port {entry.source[1]}, that of a group", [entry]
            )
        elif len(self._sources) > 1:
            self.findings.failed(
                ONE_SOCKET, f"it sends from {len(self._sources)} sockets", list(self._sources.values())
            )
        else:
            self.findings.passed(ONE_SOCKET, [entry])


def _lower(message: Message) -> bytes:
    return message.file_id.hex().encode("ascii")


def _kind(header: bytes) -> str:
    """The header with its id, and its numbers, made alike."""
    text = header.decode("ascii", "backslashreplace").replace("\r\n", "\\r\\n")
    text = re.sub(r"[0-9a-f]{64}", "<id>", text)
    text = re.sub(r"[0-9A-Fa-f]{64}", "<ID>", text)
    return re.sub(r"(?<=[ ])[0-9]+(?= |\\r)", "<n>", text)[:120]
