"""Limit what a running peer sends: so many MB of chunks in a second at the most (SPEC.md 7.22).

    python -m tools.limit <peer_ap> <MB/s>|none

It holds until the peer stops; the peer's option --send-limit says what it begins with.
"""

import re
import sys
from collections.abc import Sequence

from peer.control.access_point import AccessPoint, AccessPointError
from peer.control.interfaces import ErrorCode, OperationError
from tools.reach import Interrupted, reach, run_in_reactor

USAGE = "usage: python -m tools.limit <peer_ap> <MB/s, a whole number from 1 up>|none"
MBYTE = 1_000_000
NO_LIMIT = "none"
MOST_DIGITS = 6
WRONG_USAGE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status, one of testapp's."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in ("-h", "--help"):
        print(f"{USAGE}\n\nExample: python -m tools.limit 7600 10")
        return 0
    if len(words) != 2 or not is_limit(words[1]):
        print(USAGE, file=sys.stderr)
        return WRONG_USAGE
    access_point, limit = words
    try:
        _limit(access_point, 0 if limit == NO_LIMIT else int(limit) * MBYTE)
    except OperationError as error:
        print(f"tools.limit: {error.sentence}", file=sys.stderr)
        return error.code.exit_status
    except Interrupted:
        return INTERRUPTED
    print("no limit" if limit == NO_LIMIT else f"at most {int(limit)} MB/s")
    return 0


def is_limit(text: str) -> bool:
    """Whether the text is a limit that a peer can keep."""
    is_number = re.fullmatch(rf"[0-9]{{1,{MOST_DIGITS}}}", text, re.ASCII) is not None
    return text == NO_LIMIT or (is_number and int(text) > 0)


def _limit(access_point: str, bytes_per_second: int) -> None:
    try:
        peer = AccessPoint.parse(access_point)
    except AccessPointError as error:
        raise OperationError(ErrorCode.UNREACHABLE, str(error)) from None

    async def limited(reactor: object) -> None:
        session = await reach(peer, reactor)
        await session.limit_sending(bytes_per_second)
        await session.close()

    run_in_reactor(limited)


if __name__ == "__main__":
    sys.exit(main())
