"""Our own peer keeps every rule that conform knows, those marked Ours too; whole, and in virtual time."""

import pytest

from protocol.values import Edition
from tests.support.group import Group
from tests.tools.conform.street import conform_ours, with_verdict
from tools.conform.findings import Verdict
from tools.conform.plan import Scope
from tools.conform.session import Outcome


def not_passed(outcome: Outcome) -> dict[str, str]:
    """What didn't pass, and why."""
    return {
        **with_verdict(outcome, Verdict.FAILED),
        **with_verdict(outcome, Verdict.ADVICE),
        **with_verdict(outcome, Verdict.NOT_REACHED),
    }


@pytest.mark.parametrize("seed", range(4))
def test_it_keeps_every_rule_under_every_probe(seed: int) -> None:
    outcome = conform_ours(Group(7, seed=seed), scope=Scope(is_harsh=True))
    assert not_passed(outcome) == {}
    assert len(with_verdict(outcome, Verdict.PASSED)) > 130


def test_what_is_left_out_is_not_reached_and_says_why() -> None:
    outcome = conform_ours(Group(7), scope=Scope(is_quick=True))
    assert with_verdict(outcome, Verdict.FAILED) == {}
    reasons = set(with_verdict(outcome, Verdict.NOT_REACHED).values())
    assert reasons == {
        "left for --harsh: it is known to make some peers deaf (SPEC.md 12.2)",
        "left out by --quick",
    }


def test_nothing_is_left_with_the_peer_afterwards() -> None:
    group = Group(7)
    conform_ours(group, scope=Scope(is_harsh=True))
    group.pass_time(5.0)
    member = group[7]
    assert member.held() == []
    assert member.peer is not None
    assert group.run(member.peer.operations.state_summary()).files == 0


def test_a_peer_of_the_other_edition_is_found_to_be_one() -> None:
    """SPEC.md 2.3: both are understood, one is sent."""
    outcome = conform_ours(Group(7), scope=Scope(is_quick=True), edition=Edition.VERSION_FIRST)
    assert set(with_verdict(outcome, Verdict.FAILED)) == {
        "2.3 sends headers of one edition, the one that it is said to have"
    }
