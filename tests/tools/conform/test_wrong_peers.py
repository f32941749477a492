"""Conform finds what is wrong with a peer, and nothing that is right: each fault of a real peer, one at a time."""

from random import Random

import pytest

from tests.support.clock import SimClock
from tests.support.lan import MemoryLan
from tests.tools.conform.simple_peer import SimplePeer
from tests.tools.conform.street import FOLDER, MemoryFolder, conform, with_verdict
from tests.tools.conform.wrong_peers import WRONG, Wrong
from tools.conform.findings import Verdict
from tools.conform.plan import Scope
from tools.conform.session import Outcome


def probed(peer: type[SimplePeer], *, scope: Scope, seed: int = 1) -> Outcome:
    """What conform finds out about a peer of this kind."""
    clock, random = SimClock(), Random(seed)
    lan = MemoryLan(clock=clock, random=random)
    folder = MemoryFolder(FOLDER, random)
    commands = peer(network=lan.network("10.0.0.7"), clock=clock, random=random, folder=folder)
    return conform(lan, clock, commands, folder, scope=scope, ours_binds=False, seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_a_peer_that_keeps_what_all_peers_share_breaks_no_rule(seed: int) -> None:
    """What SPEC.md marks Ours may be advice at most."""
    outcome = probed(SimplePeer, scope=Scope(is_harsh=True), seed=seed)
    assert with_verdict(outcome, Verdict.FAILED) == {}
    assert len(with_verdict(outcome, Verdict.ADVICE)) > 10


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.peer.__name__)
def test_a_fault_is_found_and_no_other(wrong: Wrong) -> None:
    outcome = probed(wrong.peer, scope=Scope(is_quick=not wrong.is_slow, is_harsh=wrong.is_harsh))
    failed = with_verdict(outcome, Verdict.FAILED)
    missed = [begin for begin in wrong.fails if not any(check.startswith(begin) for check in failed)]
    invented = [check for check in failed if not check.startswith(wrong.fails)]
    assert (missed, invented) == ([], []), failed
