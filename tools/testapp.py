"""TestApp, the command by which a user has a peer do something (SPEC.md section 7)."""

import io
import itertools
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from peer.control.interfaces import OperationError, ReclaimReport
from tools.progress_line import ProgressLine
from tools.reach import Interrupted, reach, run_in_reactor
from tools.rendering import Report, as_object, as_text, shortfall
from tools.request import HELP, Request, Subprotocol, UsageError, parse, with_path_from

DONE, NOT_DONE, WRONG_USAGE, TOO_FEW_COPIES, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status; whatever happens, no traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    # Python has None for a standard stream that is closed.
    sys.stdout = sys.stdout or io.StringIO()
    sys.stderr = sys.stderr or io.StringIO()
    try:
        options = itertools.takewhile(lambda word: word.startswith("-"), words)
        if not {"-h", "--help"}.isdisjoint(options):
            _print(HELP)
            return DONE
        return _do(with_path_from(parse(words), os.getcwd()))
    except UsageError as error:
        return _complain(f"{error} (see testapp --help)", WRONG_USAGE)
    except OperationError as error:
        return _complain(error.sentence, error.code.exit_status)
    except BrokenPipeError:
        # Nobody reads what we print. Python would try once more at its end, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_DONE
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except OSError as error:
        return _complain(f"can't go on: {error.strerror or error}", NOT_DONE)
    except Exception as error:
        return _complain(f"this command made a mistake of its own, please report it: {error!r}", NOT_DONE)


def _do(request: Request) -> int:
    line = ProgressLine(sys.stderr, request.name, is_wanted=not request.as_json)
    try:
        report = run_in_reactor(lambda reactor: _asked(request, line, reactor))
    except Interrupted:
        goes_on = f"; the {request.name} goes on in the peer, which STATE shows"
        is_read_only = request.subprotocol is Subprotocol.STATE
        return _complain("interrupted" + ("" if is_read_only else goes_on), INTERRUPTED)
    finally:
        line.clear()
    _print(json.dumps(as_object(report)) if request.as_json else as_text(request, report))
    short = shortfall(report)
    if short is None:
        return DONE
    return _complain(short, DONE if isinstance(report, ReclaimReport) else TOO_FEW_COPIES)


async def _asked(request: Request, line: ProgressLine, reactor: Any) -> Report:
    session = await reach(request.access_point, reactor)
    enhanced = request.is_enhanced
    match request.subprotocol:
        case Subprotocol.BACKUP:
            return await session.backup(request.path, request.degree, enhanced=enhanced, progress=line)
        case Subprotocol.RESTORE:
            return await session.restore(request.path, enhanced=enhanced, progress=line)
        case Subprotocol.DELETE:
            return await session.delete(request.path, enhanced=enhanced)
        case Subprotocol.RECLAIM:
            return await session.reclaim(request.kbytes, enhanced=enhanced, progress=line)
        case Subprotocol.STATE:
            return await session.state()


def _print(text: str) -> None:
    # A terminal that has no sign for a character of a file name is no reason to fail.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    print(text, flush=True)


def _complain(sentence: str, status: int) -> int:
    print(f"testapp: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
