"""One whole run against one peer, and what is known after it."""

from collections.abc import Callable
from random import Random

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from peer.config import Groups
from peer.network import IGroupNetwork
from protocol.values import Edition, PeerId
from tools.conform.bench import Bench
from tools.conform.commands import Commands
from tools.conform.files import Folder
from tools.conform.findings import Findings
from tools.conform.manners import CHECKS, Manners
from tools.conform.plan import Scope, run
from tools.conform.presence import find_subject
from tools.conform.wire import Wire


@frozen(kw_only=True)
class Outcome:
    """What a run found out."""

    subject: PeerId
    edition: Edition
    groups: Groups
    scope: Scope
    ours_binds: bool
    seconds: float
    findings: Findings
    forms: dict[str, int]
    """How many datagrams the peer sent of each kind of header."""


async def probe_peer(
    *,
    network: IGroupNetwork,
    groups: Groups,
    clock: IReactorTime,
    random: Random,
    commands: Commands,
    folder: Folder,
    edition: Edition,
    scope: Scope,
    ours_binds: bool,
    tell: Callable[[str], None] = lambda _sentence: None,
) -> Outcome:
    """Probe the one peer in the groups. NobodyThere and SeveralThere say that there is not one."""
    findings = Findings()
    findings.declare(CHECKS)
    wire = Wire(network=network, groups=groups, clock=clock)
    manners = Manners(findings, edition, frozenset({groups.mc.port, groups.mdb.port, groups.mdr.port}))
    wire.watch(manners.watch)
    wire.listen()
    bench = Bench(
        wire=wire,
        clock=clock,
        random=random,
        findings=findings,
        commands=commands,
        folder=folder,
        edition=edition,
    )
    bench.draw_voices()
    bench.subject = manners.subject = await find_subject(bench)
    tell(f"Probing peer {bench.subject}")
    bench.draw_voices()
    await run(bench, scope)
    return Outcome(
        subject=bench.subject,
        edition=edition,
        groups=groups,
        scope=scope,
        ours_binds=ours_binds,
        seconds=wire.now(),
        findings=findings,
        forms=dict(manners.forms.most_common()),
    )
