"""What is asked of a peer while it stops, and after that, ends with STOPPING (SPEC.md 10.10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from peer.control.interfaces import IOperations
from peer.errors import ErrorCode, OperationError
from protocol.messages import PutChunk
from protocol.values import CHUNK_SIZE
from tests.support.group import Group, ignore

PATH = "/home/photo"
SEVERAL = bytes(20 * CHUNK_SIZE)

Ask = Callable[[IOperations], Any]
OPERATIONS: dict[str, Ask] = {
    "BACKUP": lambda operations: operations.backup(PATH, 2, ignore),
    "RESTORE": lambda operations: operations.restore(PATH, ignore),
    "DELETE": lambda operations: operations.delete(PATH),
    "RECLAIM": lambda operations: operations.reclaim(0, ignore),
    "STATE": lambda operations: operations.state_summary(),
    "STATE page": lambda operations: operations.state_page(""),
}


def code_of(group: Group, running: Deferred[Any]) -> ErrorCode:
    """With what the operation fails."""
    with pytest.raises(OperationError) as raised:
        group.run(running)
    return raised.value.code


def _code(failure: Failure) -> object:
    assert isinstance(failure.value, OperationError)
    return failure.value.code


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_of_a_stopped_peer_is_refused(name: str) -> None:
    with Group(1, 2) as group:
        group[1].write(PATH, SEVERAL)
        group[1].backup(PATH, 1)
        peer = group[1].peer
        assert peer is not None
        group[1].stop()
        assert code_of(group, Deferred.fromCoroutine(OPERATIONS[name](peer.operations))) is ErrorCode.STOPPING


@pytest.mark.parametrize("name", ["BACKUP", "RESTORE", "DELETE", "RECLAIM"])
def test_one_that_comes_while_the_peer_stops_begins_nothing(name: str) -> None:
    """The disk still works then, and what began would be left to do when the peer has stopped."""
    with Group(1, 2) as group:
        group[1].write(PATH, SEVERAL)
        group[1].backup(PATH, 1)
        peer, clock = group[1].peer, group[1].clock
        assert peer is not None
        assert clock is not None
        stopping = Deferred.fromCoroutine(peer.stop())
        asked = Deferred.fromCoroutine(OPERATIONS[name](peer.operations))
        assert code_of(group, asked) is ErrorCode.STOPPING
        group.run(stopping)
        assert clock.getDelayedCalls() == []
        group[1].peer = None
        group[1].disk.crash()


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("after", [0.0, 0.001, 0.002, 0.004, 0.007, 0.02, 0.5])
def test_one_that_is_under_way_ends_and_leaves_nothing_to_do(name: str, after: float) -> None:
    """Done or refused, whatever the stop cuts it off in."""
    with Group(1, 2, 3) as group:
        group[1].write(PATH, SEVERAL)
        group[1].backup(PATH, 1)
        group[2].write("/home/song", SEVERAL)
        group[2].backup("/home/song", 1)
        peer = group[1].peer
        assert peer is not None
        asked = Deferred.fromCoroutine(OPERATIONS[name](peer.operations))
        group.pass_time(after)
        group[1].stop()
        asked.addErrback(_code)
        outcome = group.run(asked)
        assert not isinstance(outcome, ErrorCode) or outcome is ErrorCode.STOPPING
        sent = len(group.said(PutChunk, by=1))
        group.pass_time(60.0)
        assert len(group.said(PutChunk, by=1)) == sent
        group[1].start()
        group.pass_time(60.0)
