"""A peer is told what to do by command lines that its author gives."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred

from tests.support.in_reactor import in_reactor
from tools.conform.commands import Command, CommandFailure, TemplateCommands

WRITES = shlex.join([sys.executable, "-c", "import sys; open(sys.argv[1], 'w').write(repr(sys.argv[2:]))"])


def commands(
    template: str, command: Command = Command.BACKUP, restored: str | None = None
) -> TemplateCommands:
    from twisted.internet import reactor

    reactor_with_processes: Any = reactor
    return TemplateCommands(
        templates={command: template}, restored=restored, capacity_kbytes=1, reactor=reactor_with_processes
    )


@in_reactor
async def test_path_and_degree_are_filled_in_without_a_shell(tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = commands(f"{WRITES} {out} 'two words' {{path}} {{degree}} $HOME ;")
    await given.backup(Path("/a file"), 3)
    assert out.read_text() == repr(["two words", "/a file", "3", "$HOME", ";"])


@in_reactor
async def test_reclaim_may_count_in_kbytes_or_bytes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    await commands(f"{WRITES} {out} {{kbytes}} {{bytes}}", Command.RECLAIM).reclaim(12)
    assert out.read_text() == repr(["12", "12000"])


@in_reactor
async def test_where_a_restored_file_is_may_be_told(tmp_path: Path) -> None:
    given = commands(f"{WRITES} {tmp_path}/out {{path}}", Command.RESTORE, restored="/restored/{name}")
    assert await given.restore(Path("/files/life")) == Path("/restored/life")
    unknown = commands(f"{WRITES} {tmp_path}/out {{path}}", Command.RESTORE)
    assert await unknown.restore(Path("/files/life")) is None


@in_reactor
async def test_a_command_that_fails_is_told_with_the_last_that_it_said() -> None:
    program = shlex.join([sys.executable, "-c", "import sys; print('first'); sys.exit('no such file')"])
    with pytest.raises(CommandFailure, match="ended with status 1: no such file"):
        await commands(f"{program} {{path}}", Command.DELETE).delete(Path("/x"))


@in_reactor
async def test_a_command_that_is_not_there_fails() -> None:
    with pytest.raises(CommandFailure, match="can't be started: No such file"):
        await commands("/nowhere/testapp {path}", Command.DELETE).delete(Path("/x"))


@in_reactor
async def test_commands_that_still_run_are_ended_with_the_probe() -> None:
    program = shlex.join([sys.executable, "-c", "import signal; signal.pause()"])
    given = commands(f"{program} {{path}}", Command.DELETE)
    running: Deferred[None] = ensureDeferred(given.delete(Path("/x")))
    given.end()
    with pytest.raises(CommandFailure, match="ended with status None"):
        await running


def test_only_what_has_a_command_line_is_known() -> None:
    assert commands("x", Command.RECLAIM).known == {Command.RECLAIM}
