"""Somewhere to run the conformance test in virtual time: a LAN in memory, with the peer that is probed on it."""

from collections.abc import Awaitable
from pathlib import Path
from random import Random
from typing import TypeVar

from attrs import define, field

from peer.config import DEFAULT_GROUPS
from peer.control.interfaces import OperationError
from protocol.values import Edition
from tests.support.clock import SimClock, run_until
from tests.support.group import Group, Member
from tests.support.lan import MemoryLan
from tools.conform.commands import Command, CommandFailure, Commands
from tools.conform.files import Folder
from tools.conform.findings import Verdict
from tools.conform.plan import Scope
from tools.conform.session import Outcome, probe_peer

Result = TypeVar("Result")

LONGEST = 600.0
"""Seconds of virtual time that a run may take."""

FOLDER = Path("/files")


@define
class MemoryFolder(Folder):
    """The files are in memory: those that the probe makes, and those that the peer restores."""

    files: dict[Path, bytes] = field(factory=dict)

    def write(self, path: Path, content: bytes) -> None:
        """As Folder."""
        self.files[path] = content

    def read(self, path: Path) -> bytes | None:
        """As Folder."""
        return self.files.get(path)


@define
class MemberFolder(Folder):
    """The files are on the disk of a whole peer."""

    member: Member = field(kw_only=True)

    def write(self, path: Path, content: bytes) -> None:
        """As Folder."""
        self.member.write(str(path), content)

    def read(self, path: Path) -> bytes | None:
        """As Folder."""
        return self.member.disk.read_file(str(path))


@define
class MemberCommands:
    """Tells a whole peer of ours what to do."""

    member: Member
    capacity_kbytes: int = 1_000_000
    known: frozenset[Command] = frozenset(Command)

    async def backup(self, path: Path, degree: int) -> None:
        """As Commands."""
        await _told(self.member.begin_backup(str(path), degree))

    async def restore(self, path: Path) -> Path | None:
        """As Commands."""
        return Path((await _told(self.member.begin_restore(str(path)))).path)

    async def delete(self, path: Path) -> None:
        """As Commands."""
        await _told(self.member.begin_delete(str(path)))

    async def reclaim(self, kbytes: int) -> None:
        """As Commands."""
        await _told(self.member.begin_reclaim(kbytes))


async def _told(awaited: Awaitable[Result]) -> Result:
    try:
        return await awaited
    except OperationError as error:
        raise CommandFailure(error.sentence) from None


def conform(
    lan: MemoryLan,
    clock: SimClock,
    commands: Commands,
    folder: Folder,
    *,
    edition: Edition = Edition.TYPE_FIRST,
    scope: Scope | None = None,
    ours_binds: bool = True,
    seed: int = 1,
) -> Outcome:
    """Run the conformance test against the one peer of the LAN."""
    run = probe_peer(
        network=lan.network("10.0.0.200"),
        groups=DEFAULT_GROUPS,
        clock=clock,
        random=Random(seed),
        commands=commands,
        folder=folder,
        edition=edition,
        scope=scope or Scope(is_harsh=True),
        ours_binds=ours_binds,
    )
    return run_until(clock, run, LONGEST)


def conform_ours(
    group: Group, *, scope: Scope | None = None, edition: Edition = Edition.TYPE_FIRST
) -> Outcome:
    """Run the conformance test against the one member of a group."""
    (member,) = group.members.values()
    folder = MemberFolder(FOLDER, Random(5), member=member)
    return conform(group.lan, group.clock, MemberCommands(member), folder, scope=scope, edition=edition)


def with_verdict(outcome: Outcome, verdict: Verdict) -> dict[str, str]:
    """The checks that came out so, as `rule says`, and why."""
    return {
        f"{finding.check.rule} {finding.check.says}": finding.why
        for finding in outcome.findings.all()
        if finding.verdict(ours_binds=outcome.ours_binds) is verdict
    }
