"""ABNF (RFC 5234) as regular expressions over bytes: as much of it as a grammar without recursion needs.

It is there so that the grammar of SPEC.md 2.4 can be run: a grammar that nobody runs drifts from the code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

CORE: Final[Mapping[str, str]] = {
    "CRLF": r"\r\n",
    "DIGIT": "[0-9]",
    "HEXDIG": "[0-9A-Fa-f]",
    "OCTET": r"[\x00-\xff]",
    "SP": " ",
}
"""The core rules of RFC 5234, appendix B.1, that are in use."""

_ELEMENT = re.compile(
    r"""(?P<least>[0-9]*)(?P<star>\*?)(?P<most>[0-9]*)
        (?:%x(?P<octets>[0-9A-F]{2}(?:-[0-9A-F]{2}|(?:\.[0-9A-F]{2})*))
          |"(?P<text>[^"]*)"
          |(?P<rule>[A-Za-z][A-Za-z0-9-]*))""",
    re.VERBOSE,
)


class AbnfError(ValueError):
    """The text isn't a grammar, or needs more of ABNF than is here."""


class Grammar:
    """The rules of an ABNF text; their names count in either case, as the RFC has it."""

    def __init__(self, text: str) -> None:
        self._definitions: dict[str, str] = {}
        for line in _joined_lines(text):
            name, equals, definition = (part.strip() for part in line.partition("="))
            if not equals or name.lower() in self._definitions:
                raise AbnfError(f"no rule, or one defined twice: {line!r}")
            self._definitions[name.lower()] = definition
        self._core = {name.lower(): pattern for name, pattern in CORE.items()}
        self._used: set[str] = set()

    def pattern(self, name: str) -> re.Pattern[bytes]:
        """What matches exactly the bytes that the rule describes, by ``fullmatch``."""
        return re.compile(self._expression(name, ()).encode("ascii"))

    def unused(self) -> set[str]:
        """The rules that no pattern made so far has needed."""
        return set(self._definitions) - self._used

    def _expression(self, name: str, within: tuple[str, ...]) -> str:
        name = name.lower()
        if name in within:
            raise AbnfError(f"{name} is defined by itself")
        if name not in self._definitions:
            if name not in self._core:
                raise AbnfError(f"{name} is not defined")
            return self._core[name]
        self._used.add(name)
        alternatives = [
            "".join(self._element(element, (*within, name)) for element in alternative.split())
            for alternative in self._definitions[name].split(" / ")
        ]
        return "(?:" + "|".join(alternatives) + ")"

    def _element(self, element: str, within: tuple[str, ...]) -> str:
        found = _ELEMENT.fullmatch(element)
        if found is None:
            raise AbnfError(f"not an element: {element!r}")
        if found["rule"] is not None:
            once = self._expression(found["rule"], within)
        elif found["text"] is not None:
            once = f"(?i:{re.escape(found['text'])})"
        elif "-" in found["octets"]:
            once = "[" + "-".join(rf"\x{octet}" for octet in found["octets"].split("-")) + "]"
        else:
            once = "".join(rf"\x{octet}" for octet in found["octets"].split("."))
        least, star, most = found["least"], found["star"], found["most"]
        if not (least or star):
            return once
        return f"(?:{once}){{{least or 0},{most}}}" if star else f"(?:{once}){{{least}}}"


def _joined_lines(text: str) -> list[str]:
    """The rules, one a line: comments and empty lines are gone, continued lines (indented) are joined."""
    lines: list[str] = []
    for line in text.splitlines():
        # No quoted string of ours has a semicolon in it.
        line = line.partition(";")[0].rstrip()
        if line.startswith(" ") and lines:
            lines[-1] += line
        elif line:
            lines.append(line)
    return lines
