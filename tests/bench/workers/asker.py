"""Asks a peer for one thing or for many at once, over one control connection, and tells how long it took."""

import json
import sys
import time
from collections.abc import Coroutine
from typing import Any

from attrs import asdict
from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from peer.control.access_point import AccessPoint
from peer.control.interfaces import OperationError
from peer.control.session import Session
from tests.bench.workers.talk import tell, wait_to_be_told
from tools.reach import reach, run_in_reactor


def main() -> None:
    """Ask once told for which paths, as a JSON list; `<access point> backup|restore <degree>`."""
    access_point, request, degree = sys.argv[1:]
    result = run_in_reactor(
        lambda reactor: _ask(AccessPoint.parse(access_point), request, int(degree), reactor)
    )
    tell(**result)


async def _ask(access_point: AccessPoint, request: str, degree: int, reactor: Any) -> dict[str, Any]:
    session = await reach(access_point, reactor)
    # It stops the reactor, which has nothing else to do.
    paths: list[str] = json.loads(wait_to_be_told())
    started = time.monotonic()
    asked = [Deferred.fromCoroutine(_asked(session, request, degree, path)) for path in paths]
    endings = await DeferredList(asked, consumeErrors=True)
    ended = time.monotonic()
    await session.close()
    return {
        "started": started,
        "ended": ended,
        "reports": [asdict(report) for is_done, report in endings if is_done],
        "errors": [_sentence(failure) for is_done, failure in endings if not is_done],
    }


def _asked(session: Session, request: str, degree: int, path: str) -> Coroutine[Any, Any, Any]:
    return session.backup(path, degree) if request == "backup" else session.restore(path)


def _sentence(failure: Failure) -> str:
    return str(failure.value) if failure.check(OperationError) else failure.getErrorMessage()


if __name__ == "__main__":
    main()
