"""TestApp as a program: what it prints where, and what it ends with (SPEC.md section 7)."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import evolve, frozen
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from peer.control.access_point import AccessPoint
from peer.control.interfaces import ErrorCode, OperationError, Progress
from tests.peer.control.stand_in import (
    BACKUP,
    FILE_ID,
    RESTORE,
    SECRET,
    StandIn,
    listening,
    unix_access_point,
)
from tests.support.in_reactor import in_reactor
from tools.peer_process import PROJECT


@frozen
class Ending:
    """How a command ended."""

    status: int
    out: str
    err: str


class Command(ProcessProtocol):
    """A command that runs, until `ending` fires."""

    def __init__(self) -> None:
        self.ending: Deferred[Ending] = Deferred()
        self._out = b""
        self._err = b""

    def outReceived(self, data: bytes) -> None:
        self._out += data

    def errReceived(self, data: bytes) -> None:
        self._err += data

    def interrupt(self) -> None:
        assert self.transport is not None
        self.transport.signalProcess(signal.Signals.SIGINT.name.removeprefix("SIG"))

    def processEnded(self, reason: Failure) -> None:
        assert isinstance(reason.value, ProcessDone | ProcessTerminated)
        self.ending.callback(Ending(reason.value.exitCode, self._out.decode(), self._err.decode()))


def start(*words: str, config: Path, folder: Path | None = None, is_terminal: bool = False) -> Command:
    """Start testapp with these words, with its configuration in `config`."""
    command = Command()
    environment = os.environ | {"XDG_CONFIG_HOME": str(config), "PYTHONPATH": str(PROJECT)}
    reactor.spawnProcess(
        command,
        sys.executable,
        [sys.executable, "-m", "tools.testapp", *words],
        env=environment,
        path=str(folder or PROJECT),
        usePTY=is_terminal,
    )
    return command


@asynccontextmanager
async def peer(operations: StandIn, config: Path) -> AsyncIterator[AccessPoint]:
    """A peer of this user, who has its secret in `config`."""
    secret = config / "backup-peer" / "secret"
    secret.parent.mkdir(parents=True, mode=0o700)
    secret.touch(mode=0o600)
    secret.write_bytes(SECRET)
    async with listening(operations) as control:
        yield control.access_point


async def ended(operations: StandIn, config: Path, *words: str) -> Ending:
    """How testapp ends when it asks `operations` for this."""
    options = [word for word in words if word.startswith("--")]
    async with peer(operations, config) as access_point:
        return await start(*options, str(access_point), *words[len(options) :], config=config).ending


@in_reactor
async def test_a_backup_is_told_in_sentences_with_status_0(tmp_path: Path) -> None:
    ending = await ended(StandIn(), tmp_path, "BACKUP", "/home/ada/photo.jpg", "2")
    assert ending.status == 0
    assert "Backed up /home/ada/photo.jpg: 640,000 bytes in 11 chunks, 2 copies of each" in ending.out
    assert FILE_ID in ending.out
    assert ending.err == ""


@in_reactor
async def test_json_is_one_object_on_standard_output(tmp_path: Path) -> None:
    ending = await ended(StandIn(), tmp_path, "--json", "RESTORE", "/home/ada/photo.jpg")
    assert ending.status == 0
    assert json.loads(ending.out)["path"] == RESTORE.path
    assert ending.err == ""


@in_reactor
async def test_a_relative_path_is_taken_from_the_folder_that_the_user_is_in(tmp_path: Path) -> None:
    operations = StandIn()
    async with peer(operations, tmp_path) as access_point:
        await start(str(access_point), "DELETE", "photo.jpg", config=tmp_path, folder=tmp_path).ending
    assert operations.asked == [("delete", str(tmp_path / "photo.jpg"))]


@pytest.mark.parametrize("options", [[], ["--json"]])
@in_reactor
async def test_too_few_copies_is_status_3_with_the_report_all_the_same(
    tmp_path: Path, options: list[str]
) -> None:
    few = StandIn(backup_report=evolve(BACKUP, below_degree=3, perceived_min=1))
    ending = await ended(few, tmp_path, *options, "BACKUP", "/home/ada/photo.jpg", "2")
    assert ending.status == 3
    assert "3 of 11 chunks" in ending.err
    if options:
        assert json.loads(ending.out)["below_degree"] == 3


@pytest.mark.parametrize("options", [[], ["--json"]])
@in_reactor
async def test_what_a_reclaim_has_to_keep_is_told_on_standard_error_with_status_0(
    tmp_path: Path, options: list[str]
) -> None:
    """SPEC.md 7.9."""
    ending = await ended(StandIn(), tmp_path, *options, "RECLAIM", "1000")
    assert ending.status == 0
    assert "since no other peer took any of 1 chunk" in ending.err
    assert "no other peer" not in ending.out


@pytest.mark.parametrize("options", [[], ["--json"]])
@in_reactor
async def test_what_was_not_done_is_one_sentence_and_status_1(tmp_path: Path, options: list[str]) -> None:
    failing = StandIn(failure=OperationError(ErrorCode.PATH_MISSING, "nothing is at /x: is it spelt right?"))
    ending = await ended(failing, tmp_path, *options, "BACKUP", "/x", "2")
    assert ending == Ending(1, "", "testapp: nothing is at /x: is it spelt right?\n")


@in_reactor
async def test_wrong_usage_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    ending = await start("7600", "BACKUP", "/x", "10", config=tmp_path).ending
    assert (ending.status, ending.out) == (2, "")
    assert ending.err.count("\n") == 1


@in_reactor
async def test_where_no_peer_answers_status_is_4(tmp_path: Path) -> None:
    for access_point in ("1", "no..name:1", "nonsense", str(tmp_path / "no.sock")):
        ending = await start(access_point, "STATE", config=tmp_path).ending
        assert (ending.status, ending.out) == (4, "")
        assert ending.err.count("\n") == 1


@in_reactor
async def test_a_peer_of_somebody_else_refuses_with_status_4(tmp_path: Path) -> None:
    operations = StandIn()
    async with peer(operations, tmp_path / "theirs") as access_point:
        without = await start(str(access_point), "STATE", config=tmp_path / "none").ending
        mine = tmp_path / "mine" / "backup-peer" / "secret"
        mine.parent.mkdir(parents=True)
        mine.touch(mode=0o600)
        mine.write_bytes(bytes(32))
        other = await start(str(access_point), "STATE", config=tmp_path / "mine").ending
    for ending in (without, other):
        assert (ending.status, ending.out) == (4, "")
        assert "secret" in ending.err
    assert operations.asked == []
    assert not (tmp_path / "none").exists(), "a command makes no secret"


@in_reactor
async def test_help_has_an_example_of_each_sub_protocol(tmp_path: Path) -> None:
    for words in (["--help"], ["-h"], ["--json", "--help"]):
        ending = await start(*words, config=tmp_path).ending
        assert ending.status == 0
        for name in ("BACKUP", "RESTORE", "DELETE", "RECLAIM", "STATE"):
            assert any(
                line.strip().startswith("testapp") and f" {name}" in line for line in ending.out.splitlines()
            )


@in_reactor
async def test_ctrl_c_leaves_the_operation_to_the_peer_and_says_so(tmp_path: Path) -> None:
    operations = StandIn(pending=Deferred())
    async with peer(operations, tmp_path) as access_point:
        command = start(str(access_point), "BACKUP", "/x", "1", config=tmp_path)
        await asked(operations)
        command.interrupt()
        ending = await command.ending
        assert operations.pending is not None
        assert not operations.pending.called
    assert (ending.status, ending.out) == (130, "")
    assert "goes on in the peer" in ending.err
    assert ending.err.count("\n") == 1


@in_reactor
async def test_a_peer_that_stops_meanwhile_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    operations = StandIn(pending=Deferred())
    async with peer(operations, tmp_path) as access_point:
        command = start(str(access_point), "BACKUP", "/x", "1", config=tmp_path)
        await asked(operations)
    ending = await command.ending
    assert (ending.status, ending.out) == (1, "")
    assert "lost" in ending.err
    assert ending.err.count("\n") == 1


@in_reactor
async def test_a_terminal_sees_how_far_it_has_come(tmp_path: Path) -> None:
    operations = StandIn(pending=Deferred())
    async with peer(operations, tmp_path) as access_point:
        command = start(str(access_point), "BACKUP", "/x", "1", config=tmp_path, is_terminal=True)
        await asked(operations)
        assert operations.progress is not None
        operations.progress(Progress(done=5, total=11))
        assert operations.pending is not None
        operations.pending.callback(BACKUP)
        ending = await command.ending
    assert "BACKUP [#############................." in ending.out
    assert "5 of 11 chunks" in ending.out
    assert "Backed up /x" in ending.out


@in_reactor
async def test_a_unix_socket_needs_no_secret(tmp_path: Path) -> None:
    at = unix_access_point(tmp_path)
    async with listening(StandIn(), at=at):
        ending = await start(at.path, "STATE", config=tmp_path / "none").ending
    assert ending.status == 0


async def asked(operations: StandIn) -> None:
    """Wait until the peer was asked for something."""
    while not operations.asked:
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.01, turn.callback, None)
        await turn
