"""What a user asks of a peer on TestApp's command line (SPEC.md section 7), checked before anything is sent."""

import difflib
import os.path
import re
from collections.abc import Sequence
from enum import Enum

from attrs import evolve, frozen

from peer.control.access_point import AccessPoint, AccessPointError
from peer.control.interfaces import ErrorCode, OperationError

ENHANCED_SUFFIX = "ENH"


class Subprotocol(Enum):
    """What a peer can be asked for, by the name that asks for it."""

    BACKUP = "BACKUP"
    RESTORE = "RESTORE"
    DELETE = "DELETE"
    RECLAIM = "RECLAIM"
    STATE = "STATE"

    @property
    def operands(self) -> tuple[str, ...]:
        """The names of the operands, in their order."""
        return _OPERANDS[self]

    @property
    def can_be_enhanced(self) -> bool:
        """Whether a name with ENH at its end asks for the enhanced one."""
        return self is not Subprotocol.STATE


_OPERANDS = {
    Subprotocol.BACKUP: ("path", "degree"),
    Subprotocol.RESTORE: ("path",),
    Subprotocol.DELETE: ("path",),
    Subprotocol.RECLAIM: ("KByte",),
    Subprotocol.STATE: (),
}

HELP = """\
usage: testapp [--json] <peer_ap> <sub_protocol> [<opnd_1> [<opnd_2>]]
       testapp --help

Has a peer back up, restore or delete a file, lend more or less disk, or tell its state.

  <peer_ap>  where the peer is reached: a port of this machine, host:port, or the path of a Unix socket
  --json     print one JSON object on standard output instead of sentences

BACKUP <path> <degree>   keep <degree> (1 to 9) copies of each chunk of the file on other peers
    testapp 7600 BACKUP ~/photo.jpg 2
RESTORE <path>           get the file back, into the peer's restore folder, never over another file
    testapp 7600 RESTORE ~/photo.jpg
DELETE <path>            have every peer give up its copies of the file
    testapp 7600 DELETE ~/photo.jpg
RECLAIM <KByte>          lend at most so much disk (1 KByte = 1000 bytes); 0 gives back all that others take
    testapp 192.168.1.20:7600 RECLAIM 500000
STATE                    tell what the peer has backed up, what it stores, and its capacity
    testapp --json /run/user/1000/peer.sock STATE

BACKUPENH, RESTOREENH, DELETEENH and RECLAIMENH ask for the enhanced subprotocols of version 2.0 by name.
A path is as the peer sees it; for a peer on this machine it may be relative to the current folder.

exit status: 0 done; 1 not done; 2 wrong usage; 3 BACKUP kept fewer copies than asked for, but one of all;
             4 no peer answers there, or it refuses us"""


class UsageError(Exception):
    """A command line that makes no sense; says in one sentence why."""


@frozen(kw_only=True)
class Request:
    """One thing asked of one peer. Only the operands of its subprotocol are set."""

    access_point: AccessPoint
    subprotocol: Subprotocol
    is_enhanced: bool = False
    as_json: bool = False
    path: str = ""
    degree: int = 0
    kbytes: int = 0

    @property
    def name(self) -> str:
        """The name by which it was asked for."""
        return self.subprotocol.name + ENHANCED_SUFFIX * self.is_enhanced


def parse(arguments: Sequence[str]) -> Request:
    """Read a command line, without the program's name.

    A UsageError says what is wrong with it; an OperationError, that no peer can be at such an access point or
    no disk have such a capacity.
    """
    words = list(arguments)
    as_json = False
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "--":
            break
        if option != "--json":
            raise UsageError(f"unknown option {option!r}; --json is the only one, and comes first")
        as_json = True
    if len(words) < 2:
        raise UsageError("give an access point and a sub-protocol")
    peer, name, *operands = words
    subprotocol, is_enhanced = _subprotocol(name)
    _check_count(name, subprotocol, operands)
    values = dict(zip(subprotocol.operands, operands, strict=True))
    degree = _degree(values["degree"]) if "degree" in values else 0
    kbytes = _kbytes(values["KByte"]) if "KByte" in values else 0
    try:
        access_point = AccessPoint.parse(peer)
    except AccessPointError as error:
        raise OperationError(ErrorCode.UNREACHABLE, str(error)) from None
    return Request(
        access_point=access_point,
        subprotocol=subprotocol,
        is_enhanced=is_enhanced,
        as_json=as_json,
        path=values.get("path", ""),
        degree=degree,
        kbytes=kbytes,
    )


def with_path_from(request: Request, folder: str) -> Request:
    """`request` with a relative path taken from `folder`, when the peer is on this machine.

    What a relative path means to a peer on another machine only that machine knows: it is left as it is.
    """
    if not request.path or not request.access_point.is_local:
        return request
    return evolve(request, path=os.path.normpath(os.path.join(folder, request.path)))


def _subprotocol(name: str) -> tuple[Subprotocol, bool]:
    names = {each.name: (each, False) for each in Subprotocol}
    names |= {each.name + ENHANCED_SUFFIX: (each, True) for each in Subprotocol if each.can_be_enhanced}
    if name in names:
        return names[name]
    close = difflib.get_close_matches(name.upper(), names, n=1)
    hint = (
        f"did you mean {close[0]}?" if close else f"there are {', '.join(each.name for each in Subprotocol)}"
    )
    if name.startswith("-"):
        hint = "options come first, before the peer"
    raise UsageError(f"unknown sub-protocol {name!r}; {hint}")


def _check_count(name: str, subprotocol: Subprotocol, operands: Sequence[str]) -> None:
    if len(operands) != len(subprotocol.operands):
        wanted = " and ".join(f"<{operand}>" for operand in subprotocol.operands) or "no operands"
        given = "1 was given" if len(operands) == 1 else f"{len(operands)} were given"
        raise UsageError(f"{name} takes {wanted}, but {given}")


def _degree(text: str) -> int:
    if not re.fullmatch("[1-9]", text, re.ASCII):
        raise UsageError(f"a replication degree is a number from 1 to 9, not {text!r}")
    return int(text)


def _kbytes(text: str) -> int:
    if not re.fullmatch("[0-9]+", text, re.ASCII):
        raise UsageError(f"disk space is a whole number of KByte from 0 up, not {text!r}")
    if len(text.lstrip("0")) > 18:
        raise OperationError(
            ErrorCode.CAPACITY_TOO_LARGE, f"no disk has room for {text} KByte: give a smaller number"
        )
    return int(text)
